"""
Outcomes -> figures (pure).

Percentiles are nearest-rank over all the calls they speak of, never averages of percentiles. Latencies are those of
answered calls, from when each was due; what was refused or failed is counted beside them, not hidden in them.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loadtest.outcome import Ending, Outcome, PhaseSpan, Record
from loadtest.words import word_errors

if TYPE_CHECKING:
    from loadtest.recorder import Tally

SLICES = 60  # at most, of a run on the time axis
WRONG_ABOVE = 0.05  # word errors per word; a model may mishear one word of a five-minute clip, not one of five


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Percentiles of one thing; None where there is nothing to speak of."""

    n: int
    p50: float | None
    p95: float | None
    p99: float | None
    most: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One phase, or one kind of clip in it. Shares are of all calls due; rates are per second of the phase."""

    phase: str
    kind: str
    clients: int
    load: float
    length_s: float
    calls: int
    offered_per_s: float
    answered_per_s: float
    goodput_per_s: float  # answers with the right words
    audio_s_per_s: float
    rtfx: Spread  # audio seconds per second of latency, each answer
    latency_s: Spread
    queue_s: Spread  # X-Fleet-Queue-Ms
    ok_share: float
    wrong_share: float
    shed_share: float
    error_share: float
    word_error_rate: float | None
    refusals: int
    cached: int
    generator_lag_s: Spread  # sent after due: the load generator's own lateness
    whys: dict[str, int]
    workers: dict[str, int]


@dataclass(frozen=True, slots=True)
class Slice:
    """What ended in a slice of a run: counts, and the P95 of its answers."""

    at_s: int
    length_s: int
    right: int
    wrong: int
    shed: int
    errors: int
    latency_p95_s: float | None


@dataclass(frozen=True, slots=True)
class Point:
    """A step of the ladder: calls planned per second, and the P95 of their answers."""

    rate_per_s: float
    p95_s: float


def percentile(values: Sequence[float], share: float) -> float | None:
    """Nearest rank: the smallest value that at least this share of the values does not exceed."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def spread(values: Sequence[float]) -> Spread:
    """The percentiles that reports show."""
    p50, p95, p99 = (percentile(values, share) for share in (0.5, 0.95, 0.99))
    return Spread(n=len(values), p50=p50, p95=p95, p99=p99, most=max(values, default=None))


def error_rate(outcome: Outcome) -> float:
    """Word errors per word said."""
    if not outcome.heard:
        return 0.0
    return word_errors(outcome.said.split(), outcome.heard.split()) / max(1, outcome.words)


def is_right(outcome: Outcome, wrong_above: float = WRONG_ABOVE) -> bool:
    """Answered, with the words that were said."""
    return outcome.ending is Ending.OK and error_rate(outcome) <= wrong_above


def figures(
    span: PhaseSpan, outcomes: Sequence[Outcome], *, kind: str = "all", wrong_above: float = WRONG_ABOVE
) -> Figures:
    """
    The figures of a phase: of calls that ended in its window (closed loop), or that were due in it (open).

    A closed loop's call that failed after the window is one of its errors all the same: a server that hangs fails late.
    """
    calls = [each for each in outcomes if _belongs(each, span) and kind in ("all", each.kind)]
    answered = [each for each in calls if each.ending is Ending.OK]
    right = [each for each in answered if is_right(each, wrong_above)]
    counts = Counter(each.ending for each in calls)
    length_s, total = max(0.001, span.end_s - span.begin_s), max(1, len(calls))
    words = sum(each.words for each in answered)
    return Figures(
        phase=span.phase,
        kind=kind,
        clients=span.clients,
        load=span.load,
        length_s=length_s,
        calls=len(calls),
        offered_per_s=len(calls) / length_s,
        answered_per_s=len(answered) / length_s,
        goodput_per_s=len(right) / length_s,
        audio_s_per_s=sum(each.audio_s for each in right) / length_s,
        rtfx=spread([each.audio_s / max(0.001, each.latency_s) for each in answered]),
        latency_s=spread([each.latency_s for each in answered]),
        queue_s=spread([each.queue_ms / 1000 for each in answered if each.queue_ms is not None]),
        ok_share=counts[Ending.OK] / total,
        wrong_share=(len(answered) - len(right)) / total,
        shed_share=counts[Ending.SHED] / total,
        error_share=counts[Ending.ERROR] / total,
        word_error_rate=sum(error_rate(each) * each.words for each in answered) / words if words else None,
        refusals=sum(each.refusals for each in calls),
        cached=sum(each.is_cached for each in calls),
        generator_lag_s=spread([each.sent_s - each.due_s for each in calls]),
        whys=dict(Counter(each.why for each in calls if each.why).most_common(8)),
        workers=dict(sorted(Counter(each.worker for each in answered if each.worker).items())),
    )


def all_figures(record: Record, wrong_above: float = WRONG_ABOVE) -> list[Figures]:
    """Every measured phase, all clips and then each kind that occurs."""
    found: list[Figures] = []
    for span in record.phases:
        if span.is_measured:
            kinds = sorted({each.kind for each in record.outcomes if each.phase == span.phase}, reverse=True)
            of = [figures(span, record.outcomes, kind=kind, wrong_above=wrong_above) for kind in ("all", *kinds)]
            found += of if len(kinds) > 1 else of[:1]
    return found


def over_time(outcomes: Sequence[Outcome], wrong_above: float = WRONG_ABOVE) -> list[Slice]:
    """
    The run in slices, by when calls ended; those in which nothing ended are there too.

    A second each, more where a run is so long that seconds could not be told apart.
    """
    last_s = max((each.ended_s for each in outcomes), default=0.0)
    length_s = max(1, math.ceil(last_s / SLICES))
    bins: dict[int, list[Outcome]] = {}
    for each in outcomes:
        bins.setdefault(int(each.ended_s) // length_s, []).append(each)
    return [
        _slice(number * length_s, length_s, bins.get(number, []), wrong_above)
        for number in range(max(bins, default=-1) + 1)
    ]


def knee(points: Sequence[Point]) -> Point | None:
    """
    The point where load per latency is highest: left of it more load costs little waiting, right of it little is
    gained for much.

    Kleinrock's "power", from "Power and deterministic rules of thumb for probabilistic problems in computer
    communications" (ICC 1979). None without points.
    """
    usable = [point for point in points if point.p95_s > 0]
    return max(usable, key=lambda point: point.rate_per_s / point.p95_s, default=None)


def efficiency(throughput: dict[int, float]) -> dict[int, float]:
    """Throughput of each fleet size over what the smallest measured one promises, worker for worker."""
    if not throughput:
        return {}
    least = min(throughput)
    each = throughput[least] / least
    return {size: rate / (each * size) if each else 0.0 for size, rate in sorted(throughput.items())}


def recent_figures(tally: "Tally") -> dict[str, Any]:
    """What Locust's pages show of a run that is going on; rounded for people."""
    answered = [each for each in tally.recent if each.ending is Ending.OK]
    total = max(1, sum(tally.counts[ending] for ending in Ending))
    length_s = max(1.0, tally.recent[-1].ended_s - tally.recent[0].ended_s) if tally.recent else 1.0
    latency = percentile([each.latency_s for each in answered], 0.95)
    queue = percentile([each.queue_ms for each in answered if each.queue_ms is not None], 0.95)
    rtfx = percentile([each.audio_s / max(0.001, each.latency_s) for each in answered], 0.5)
    return {
        "audio_s_per_s": round(sum(each.audio_s for each in answered) / length_s, 1),
        "rtfx_p50": round(rtfx, 1) if rtfx else None,
        "p95_ms": round(1000 * latency) if latency is not None else None,
        "queue_p95_ms": round(queue) if queue is not None else None,
        "shed_share": f"{tally.counts[Ending.SHED] / total:.1%}",
        "error_share": f"{tally.counts[Ending.ERROR] / total:.1%}",
        "wrong_share": f"{tally.counts['differ'] / total:.1%}",
    }


def _belongs(outcome: Outcome, span: PhaseSpan) -> bool:
    if outcome.phase != span.phase:
        return False
    is_late_error = outcome.ending is Ending.ERROR and outcome.ended_s > span.end_s
    return not span.clients or span.begin_s <= outcome.ended_s <= span.end_s or is_late_error


def _slice(at_s: int, length_s: int, ended: Sequence[Outcome], wrong_above: float) -> Slice:
    counts = Counter(each.ending for each in ended)
    right = sum(is_right(each, wrong_above) for each in ended)
    latency = percentile([each.latency_s for each in ended if each.ending is Ending.OK], 0.95)
    return Slice(at_s, length_s, right, counts[Ending.OK] - right, counts[Ending.SHED], counts[Ending.ERROR], latency)
