"""
Figures -> one report: the record that `report.json` holds, the table on the terminal, and the verdict (pure).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from rich.table import Table

from loadtest.measure import Figures, Point, Slice, all_figures, efficiency, knee, over_time
from loadtest.scale import Leg
from loadtest.scenarios import LADDER, SATURATE
from loadtest.usage import OTHERS, cores_used

LAG_MOST_S = 0.1  # a generator later than this measures itself
OTHERS_MOST = 0.2  # cores that other programs may use beside a run before it is worth a word


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A phase's figures, and the cores that each part kept busy in it (settling included)."""

    figures: Figures
    cores: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Something on the time axis."""

    at_s: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """One run."""

    title: str
    scenario: str
    workers: int
    balancer: str
    model: str
    url: str
    mix: str
    seed: int
    capacity_per_s: float
    knee: Point | None
    rows: Sequence[Row]
    phases: Sequence[Mark]
    faults: Sequence[Mark]
    slices: Sequence[Slice]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingPoint:
    """What a fleet of this size could do when every slot was busy."""

    balancer: str
    workers: int
    requests_per_s: float
    audio_s_per_s: float
    efficiency: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything that is shown, in any form."""

    made_at: str
    command: str
    machine: Mapping[str, str]
    runs: Sequence[RunReport]
    scaling: Sequence[ScalingPoint]
    complaints: Sequence[str]  # what --strict fails for
    warnings: Sequence[str]  # what a reader should know before trusting a figure


def report_of(
    legs: Sequence[Leg],
    *,
    made_at: str,
    command: str,
    machine: Mapping[str, str],
    wrong_above: float,
    least_efficiency: float,
) -> Report:
    """The report of these runs."""
    runs = [_run(leg, wrong_above) for leg in legs]
    scaling = _scaling(runs)
    return Report(
        made_at=made_at,
        command=command,
        machine=machine,
        runs=runs,
        scaling=scaling,
        complaints=complaints(runs, scaling, least_efficiency),
        warnings=warnings(runs),
    )


def complaints(runs: Sequence[RunReport], scaling: Sequence[ScalingPoint], least_efficiency: float) -> list[str]:
    """Wrong words, errors, and scaling below the least; a refusal is neither."""
    found = []
    for run in runs:
        for figures in (row.figures for row in run.rows if row.figures.kind == "all"):
            where = f"{run.title}, {figures.phase}"
            if figures.wrong_share:
                found.append(f"{where}: {round(figures.wrong_share * figures.calls)} answers with wrong words")
            if figures.error_share:
                found.append(f"{where}: {round(figures.error_share * figures.calls)} errors: {_causes(figures)}")
            if not figures.calls:
                found.append(f"{where}: no call was made")
    found += [
        f"{point.workers} workers behind {point.balancer} do {point.efficiency:.2f} of what they should; "
        f"at least {least_efficiency:g} was asked for"
        for point in scaling
        if point.efficiency < least_efficiency
    ]
    return found


def warnings(runs: Sequence[RunReport]) -> list[str]:
    """Where the load generator, other programs or a cache, not the fleet, may have been measured."""
    found = []
    for run in runs:
        for row in (row for row in run.rows if row.figures.kind == "all"):
            figures = row.figures
            if row.cores.get(OTHERS, 0.0) > OTHERS_MOST and run.model:
                found.append(
                    f"{run.title}, {figures.phase}: other programs used {row.cores[OTHERS]:.2f} cores beside it"
                )
            lag_s = figures.generator_lag_s.p99
            if lag_s is not None and lag_s > LAG_MOST_S:
                found.append(
                    f"{run.title}, {figures.phase}: the load generator itself was {lag_s * 1000:.0f} ms late (P99)"
                )
            if figures.cached:
                found.append(f"{run.title}, {figures.phase}: {figures.cached} answers came from a cache")
    return found


def to_json(report: Report) -> dict[str, object]:
    """Plain values under the fields' names; times in seconds, shares from 0 to 1."""
    return {"version": 1, **asdict(report)}


def table(report: Report) -> Table:
    """The figures for a terminal."""
    shown = Table(title="Load test", title_style="bold", header_style="bold", row_styles=["", "dim"])
    shown.add_column("run", overflow="fold")
    for heading in HEADINGS:
        shown.add_column(heading, justify="left" if heading in ("phase", "clips") else "right", no_wrap=True)
    for run in report.runs:
        for index, row in enumerate(run.rows):
            shown.add_row(run.title if index == 0 else "", *cells(row.figures), end_section=index == len(run.rows) - 1)
    return shown


HEADINGS = (
    "phase", "clips", "offered/s", "right/s", "audio s/s", "RTFx", "P50 ms", "P95 ms", "P99 ms", "wait P95",
    "ok", "wrong", "shed", "error",
)  # fmt: skip


def cells(figures: Figures) -> list[str]:
    """One row of the table, in the order of HEADINGS."""
    latency = figures.latency_s
    return [
        figures.phase,
        figures.kind,
        f"{figures.offered_per_s:.1f}",
        f"{figures.goodput_per_s:.1f}",
        f"{figures.audio_s_per_s:.0f}",
        "-" if figures.rtfx.p50 is None else f"{figures.rtfx.p50:.1f}",
        *(_ms(value) for value in (latency.p50, latency.p95, latency.p99, figures.queue_s.p95)),
        *(_share(share) for share in (figures.ok_share, figures.wrong_share, figures.shed_share, figures.error_share)),
    ]


def _run(leg: Leg, wrong_above: float) -> RunReport:
    record, stop = leg.ran.record, leg.stop
    samples = leg.ran.samples
    cores = {
        span.phase: cores_used(before, after)
        for span, before, after in zip(record.phases, samples, samples[1:], strict=False)
    }
    found = all_figures(record, wrong_above)
    ladder = [
        Point(each.load * record.phases[-1].capacity_per_s, each.latency_s.p95)
        for each in found
        if each.kind == "all" and each.phase.startswith(LADDER) and each.latency_s.p95
    ]
    return RunReport(
        title=stop.title,
        scenario=stop.scenario,
        workers=stop.workers,
        balancer=stop.balancer,
        model=stop.model,
        url=record.heading.url,
        mix=record.heading.mix,
        seed=record.heading.seed,
        capacity_per_s=record.phases[-1].capacity_per_s,
        knee=knee(ladder) if len(ladder) >= 3 else None,
        rows=[Row(figures=each, cores=cores.get(each.phase, {})) for each in found],
        phases=[Mark(at_s=span.begin_s, text=span.phase) for span in record.phases],
        faults=[Mark(at_s=fault.at_s, text=str(fault)) for fault in leg.ran.faults],
        slices=over_time(record.outcomes, wrong_above),
    )


def _scaling(runs: Sequence[RunReport]) -> list[ScalingPoint]:
    """One point a fleet size and balancer; nothing where only one size was run."""
    points = []
    for balancer in dict.fromkeys(run.balancer for run in runs):
        saturated = {
            run.workers: row.figures
            for run in runs
            if run.scenario == "scaling" and run.balancer == balancer
            for row in run.rows
            if row.figures.phase == SATURATE and row.figures.kind == "all"
        }
        shares = efficiency({workers: each.goodput_per_s for workers, each in saturated.items()})
        points += [
            ScalingPoint(
                balancer=balancer,
                workers=workers,
                requests_per_s=saturated[workers].goodput_per_s,
                audio_s_per_s=saturated[workers].audio_s_per_s,
                efficiency=share,
            )
            for workers, share in shares.items()
            if len(shares) > 1
        ]
    return points


def _causes(figures: Figures) -> str:
    return ", ".join(f"{count} x {why}" for why, count in figures.whys.items())


def _ms(seconds: float | None) -> str:
    return "-" if seconds is None else f"{1000 * seconds:.0f}"


def _share(share: float) -> str:
    return "0" if share == 0 else f"{share:.1%}"
