"""The picture of BENCHMARKS.md: every bar against its limit, right of the line is met."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from bench.bars import Bar

MET, MISSED = (
    "#0072B2",
    "#D55E00",
)  # of Okabe and Ito's, which the colour-blind can tell apart; a missed one says so too
CUT = 5.0  # so that the rest can be seen beside what is a hundred times better


def draw(bars: Sequence[Bar], file: Path) -> None:
    """Write the PNG; bars without a limit are left out."""
    judged = [bar for bar in reversed(bars) if bar.required]
    figure = Figure(figsize=(9, 0.8 + 0.55 * len(judged)), layout="constrained")
    axes = figure.subplots()
    labels = [textwrap.fill(bar.what.replace("`", ""), 58) for bar in judged]
    axes.barh(labels, [margin(bar) for bar in judged], color=[MET if bar.is_met() else MISSED for bar in judged])
    for place, bar in enumerate(judged):
        said = f"{bar.shown}, required {bar.required.replace('>=', '≥').replace('<=', '≤')}"
        said = said if bar.is_met() else f"{said}: missed"
        said = f"» {said}" if margin(bar) == CUT else said
        axes.text(max(margin(bar), 1.0) + 0.04, place, said, va="center", fontsize=8)  # right of the line, never on it
    axes.axvline(1, color="black", linewidth=1)
    axes.set_title("What was measured, against what is required: right of the line is met", fontsize=10, loc="left")
    axes.set_xlim(0, 1.6 * max(2, *map(margin, judged)) if judged else 1)
    axes.set_ylim(-0.7, len(judged) - 0.3)
    axes.set_xticks([tick for tick in range(int(CUT) + 1) if tick <= axes.get_xlim()[1]])
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(axis="y", labelsize=8)
    axes.set_xlabel("how many times better than required (1: just met; »: beyond 5)")
    figure.savefig(file, dpi=110)


def margin(bar: Bar) -> float:
    """Measured over required, the other way round where less is better; at most CUT."""
    if bar.at_least is not None:
        return min(CUT, bar.measured / bar.at_least)
    return min(CUT, (bar.at_most or 0.0) / max(bar.measured, 1e-3))
