"""
A report's plots, each in two shapes: wide for a desk, narrow for a telephone, so that letters keep their size.

Colours are Okabe and Ito's, which people with the common kinds of colour blindness can tell apart.
"""

from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Any

from matplotlib.figure import Figure

from loadtest.report import Report, RunReport
from loadtest.scenarios import LADDER

BLUE, ORANGE, GREEN, RED, PURPLE, SKY, BLACK = (
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#222222",
)  # fmt: skip
CYCLE = (BLUE, ORANGE, GREEN, PURPLE, SKY, RED)
KINDS = ("short", "medium", "long")
WIDE, NARROW = (10.4, 4.0), (3.9, 3.6)  # inches
DPI = 120
INSIDE: dict[str, Any] = {"clip_on": True, "in_layout": False}  # a mark past the end must not squeeze the plot

Plot = Callable[[tuple[float, float]], Figure]


def plots_of(report: Report) -> dict[str, tuple[str, Plot]]:
    """File name -> caption and how to draw it; only those for which there are figures."""
    found: dict[str, tuple[str, Plot]] = {}
    if report.scaling:
        found["scaling"] = ("Throughput against workers", lambda size: scaling(report, size))
    if ladders := [run for run in report.runs if len(_ladder(run)) >= 3]:
        found["latency"] = ("Latency against load, and the knee", lambda size: latency(ladders, size))
    if mixed := [run for run in report.runs if _kinds(run)]:
        found["waits"] = ("Short against long", lambda size: waits(mixed, size))
    for index, run in enumerate(_over_time(report)):
        name = f"time-{index + 1}"
        found[name] = (f"Over time: {run.title}", lambda size, run=run: over_time(run, size))  # type: ignore[misc]
    return found


def png(plot: Plot, size: tuple[float, float]) -> bytes:
    """The plot as a picture."""
    file = BytesIO()
    plot(size).savefig(file, format="png", dpi=DPI)
    return file.getvalue()


def scaling(report: Report, size: tuple[float, float]) -> Figure:
    """Requests per second when every slot is busy, beside the line that perfect scaling would follow."""
    figure, axes = _figure(size)
    for colour, balancer in zip(CYCLE, dict.fromkeys(point.balancer for point in report.scaling), strict=False):
        points = [point for point in report.scaling if point.balancer == balancer]
        workers = [point.workers for point in points]
        each = points[0].requests_per_s / points[0].workers
        axes.plot(
            workers,
            [each * count for count in workers],
            ls="--",
            color=colour,
            alpha=0.6,
            label=f"ideal, {balancer}" if balancer else "ideal",
        )
        axes.plot(workers, [p.requests_per_s for p in points], marker="o", color=colour, label=balancer or "measured")
        for point in points:
            axes.annotate(
                f"{point.efficiency:.2f}",
                (point.workers, point.requests_per_s),
                textcoords="offset points",
                xytext=(0, -14),
                ha="center",
                fontsize=8,
            )
    axes.set_xticks(sorted({point.workers for point in report.scaling}))
    axes.set(xlabel="workers (numbers: share of ideal)", ylabel="right answers per second", ylim=(0, None))
    axes.margins(x=0.12)
    _legend(figure)
    return figure


def latency(runs: Sequence[RunReport], size: tuple[float, float]) -> Figure:
    """P50 and P95 from when calls were due, over what was offered; a star marks the knee of P95."""
    figure, axes = _figure(size)
    for colour, run in zip(CYCLE, runs, strict=False):
        ladder = _ladder(run)
        offered = [row.load * run.capacity_per_s for row in ladder]
        name = f"{run.workers} {run.balancer}" if run.balancer else "URL"
        axes.plot(offered, [1000 * (row.latency_s.p95 or 0) for row in ladder], "o-", color=colour, label=f"{name} P95")
        axes.plot(offered, [1000 * (row.latency_s.p50 or 0) for row in ladder], ".:", color=colour, label=f"{name} P50")
        if run.knee:
            axes.plot([run.knee.rate_per_s], [1000 * run.knee.p95_s], "*", ms=15, color=colour, markeredgecolor=BLACK)
    axes.plot([], [], "*", ms=11, color="white", markeredgecolor=BLACK, label="knee")
    axes.set(xlabel="calls due per second (planned)", ylabel="from due to answered, ms", ylim=(0, None))
    _legend(figure)
    return figure


def waits(runs: Sequence[RunReport], size: tuple[float, float]) -> Figure:
    """P95 of what each kind of clip waited for its answer, run beside run."""
    figure, axes = _figure(size)
    width = 0.8 / len(runs)
    for index, (colour, run) in enumerate(zip(CYCLE, runs, strict=False)):
        kinds = _kinds(run)
        values = [1000 * kinds.get(kind, 0.0) for kind in KINDS]
        at = [position + index * width for position in range(len(KINDS))]
        bars = axes.bar(at, values, width * 0.92, color=colour, label=run.balancer or run.title)
        axes.bar_label(bars, fmt="%.0f", fontsize=8, padding=2)
    axes.set_xticks([position + 0.4 - width / 2 for position in range(len(KINDS))], KINDS)
    axes.set(xlabel="clips by length", ylabel="P95 from due to answered, ms")
    axes.margins(y=0.15)
    _legend(figure)
    return figure


def over_time(run: RunReport, size: tuple[float, float]) -> Figure:
    """What ended in each slice, per second, its P95 over it, phases between dotted lines, faults as red ones."""
    figure, axes = _figure(size)
    at, bottom = [part.at_s for part in run.slices], [0.0] * len(run.slices)
    length_s = run.slices[0].length_s if run.slices else 1
    for name, colour in (("right", GREEN), ("wrong", PURPLE), ("shed", ORANGE), ("errors", RED)):
        values = [getattr(part, name) / length_s for part in run.slices]
        if any(values) or name == "right":
            axes.bar(at, values, length_s, bottom=bottom, color=colour, label=name, align="edge", linewidth=0)
        bottom = [low + value for low, value in zip(bottom, values, strict=True)]
    top = max(bottom, default=1) * 1.35 or 1
    for mark in run.phases:
        axes.axvline(mark.at_s, color="#999999", ls=":", lw=0.8)
        if size is WIDE or len(run.phases) <= 4:
            axes.text(
                mark.at_s, top * 0.99, f" {mark.text}", fontsize=7, va="top", rotation=90, color="#555555", **INSIDE
            )
    for mark in run.faults:
        axes.axvline(mark.at_s, color=RED, lw=1.5)
        axes.text(mark.at_s, top * 0.6, f" {mark.text}", fontsize=8, color=RED, rotation=90, va="center", **INSIDE)
    axes.set(
        xlabel="seconds since the start",
        ylabel="answers per second",
        ylim=(0, top),
        xlim=(0, (at or [0])[-1] + length_s),
    )
    other = axes.twinx()
    other.plot(
        [part.at_s + length_s / 2 for part in run.slices],
        [1000 * part.latency_p95_s if part.latency_p95_s else float("nan") for part in run.slices],
        color=BLACK,
        lw=1,
        label="P95",
    )
    other.set(ylabel="P95 from due to answered, ms", ylim=(0, None))
    other.spines[["top"]].set_visible(False)
    other.tick_params(labelsize=8)
    handles = [*axes.get_legend_handles_labels()[0], *other.get_legend_handles_labels()[0]]
    figure.legend(handles=handles, ncols=len(handles), loc="outside lower center", fontsize=7, frameon=False)
    return figure


def _figure(size: tuple[float, float]) -> tuple[Figure, Any]:
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#dddddd", lw=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8)
    return figure, axes


def _legend(figure: Figure) -> None:
    """Above the plot: inside it would sooner or later lie on a line."""
    figure.legend(
        loc="outside upper right", ncols=4 if figure.get_figwidth() == WIDE[0] else 2, fontsize=8, frameon=False
    )


def _ladder(run: RunReport) -> list[Any]:
    """The phases of rising load."""
    return [row.figures for row in run.rows if row.figures.kind == "all" and row.figures.phase.startswith(LADDER)]


def _kinds(run: RunReport) -> dict[str, float]:
    """P95 by kind in the run's last open phase that had several kinds."""
    rows = [row.figures for row in run.rows if row.figures.kind != "all" and row.figures.load]
    last = rows[-1].phase if rows else ""
    return {row.kind: row.latency_s.p95 or 0.0 for row in rows if row.phase == last}


def _over_time(report: Report) -> list[RunReport]:
    """The largest fleet's runs, and every run in which something was done to the fleet."""
    most = max((run.workers for run in report.runs), default=0)
    return [run for run in report.runs if run.workers == most or run.faults]
