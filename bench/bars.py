"""What is required and what was measured. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from fleet.figure import figure

QUICK_SLACK = 6.0  # a short run on a slow or busy machine shows what is broken, not what is 5 % off


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One figure and its limit, `at_least` or `at_most`; with neither it is for information."""

    what: str
    measured: float
    at_least: float | None = None
    at_most: float | None = None
    unit: str = "x"
    detail: str = ""  # the absolute figures behind a ratio

    def is_met(self, slack: float = 1.0) -> bool:
        """Within the limit, or within `slack` times it."""
        if self.at_least is not None and self.measured < self.at_least / slack:
            return False
        return self.at_most is None or self.measured <= self.at_most * slack

    @property
    def required(self) -> str:
        """The limit as it is written."""
        if self.at_least is not None:
            return f">= {self.at_least:g} {self.unit}"
        return "" if self.at_most is None else f"<= {self.at_most:g} {self.unit}"

    @property
    def shown(self) -> str:
        """The figure as it is written."""
        return f"{figure(self.measured)} {self.unit}"


def ratio(over: Sequence[float], under: Sequence[float]) -> float:
    """The middle of the rounds' ratios: both sides of a round ran next to each other in time."""
    return median(one / other for one, other in zip(over, under, strict=True))


def percentile(values: Sequence[float], share: float) -> float:
    """By the nearest rank; raises ValueError for no values."""
    if not values:
        raise ValueError("nothing was measured")
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def spread(values: Sequence[float]) -> str:
    """The middle and, where there are more, the least and the most: `5.1 (4.9 .. 5.2)`."""
    middle = figure(median(values))
    return middle if len(values) == 1 else f"{middle} ({figure(min(values))} .. {figure(max(values))})"
