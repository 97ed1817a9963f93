"""Numbers from stories."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.sim.engine.traffic import LONG_S, SHORT_S, Story


def percentile(values: Iterable[float], share: float) -> float:
    """By the nearest rank; 0 of nothing."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(len(ranked) * share))] if ranked else 0.0


def mean(values: Iterable[float]) -> float:
    """Of nothing, 0."""
    kept = list(values)
    return sum(kept) / len(kept) if kept else 0.0


def jain(shares: Sequence[float]) -> float:
    """Jain's index of fairness: 1 when all are equal, 1/n when one has everything."""
    return sum(shares) ** 2 / (len(shares) * sum(share**2 for share in shares))


@dataclass(frozen=True, slots=True)
class Waits:
    """Seconds from arrival until work began."""

    mean: float
    p99: float
    short_p95: float
    short_p99: float
    long_p95: float

    @classmethod
    def of(cls, stories: Iterable[Story]) -> Waits:
        """Of those that were served."""
        served = [story for story in stories if story.is_served]
        waits = [story.wait_s for story in served]
        short = [story.wait_s for story in served if story.order.audio_s <= SHORT_S]
        long = [story.wait_s for story in served if story.order.audio_s >= LONG_S]
        return cls(
            mean(waits),
            percentile(waits, 0.99),
            percentile(short, 0.95),
            percentile(short, 0.99),
            percentile(long, 0.95),
        )
