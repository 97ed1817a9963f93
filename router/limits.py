"""What one key may ask for, as a person writes it, as a file keeps it, and as a refusal says it (core: no I/O)."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, fields
from typing import Any

DAY_S = 86_400
MOST = 1e12  # of anything; a file may hold numbers that no arithmetic can
PERIODS_S = {"s": 1, "sec": 1, "second": 1, "min": 60, "minute": 60, "h": 3600, "hour": 3600, "d": DAY_S, "day": DAY_S}
PERIOD_NAMES = {1: "second", 60: "minute", 3600: "hour", DAY_S: "day"}
RATE = re.compile(r"(\d{1,15}(?:\.\d{1,15})?)/([a-z]+)", re.ASCII)


class LimitError(Exception):
    """A limit that cannot be meant; the message says what can."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """None is no limit."""

    requests: int | None = None  # may start in a period, all at once if need be
    per_s: int | None = None  # the period, seconds
    concurrency: int | None = None  # requests that run at one time
    audio_s_per_day: float | None = None

    def __post_init__(self) -> None:
        if (self.requests is None) is not (self.per_s is None):
            raise LimitError("requests and per_s belong together.")
        for one in fields(self):
            value = getattr(self, one.name)
            kinds: tuple[type, ...] = (int, float) if one.name == "audio_s_per_day" else (int,)
            is_number = isinstance(value, kinds) and not isinstance(value, bool)
            if value is not None and not (is_number and 0 < value <= MOST):
                raise LimitError(
                    f"{one.name} must be a {'' if float in kinds else 'whole '}number above zero, {MOST:g} at most."
                )

    def __str__(self) -> str:
        return ", ".join(filter(None, (self.rate_words, self.concurrency_words, self.audio_words))) or "no limits"

    @property
    def rate_words(self) -> str:
        """`60 requests a minute`."""
        period = PERIOD_NAMES.get(self.per_s or 0, f"{self.per_s} s")
        return f"{self.requests} requests a {period}" if self.requests is not None else ""

    @property
    def concurrency_words(self) -> str:
        """`8 requests at a time`."""
        return f"{self.concurrency} requests at a time" if self.concurrency is not None else ""

    @property
    def audio_words(self) -> str:
        """`100 hours of audio a day`."""
        return f"{self.audio_s_per_day / 3600:g} hours of audio a day" if self.audio_s_per_day is not None else ""

    def to_json(self) -> dict[str, Any]:
        """The limits that there are."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def from_json(cls, value: Any) -> Limits:
        """Raises LimitError, also for a limit that is not known: what was mistyped would otherwise not be limited."""
        if not isinstance(value, dict) or not set(value) <= {one.name for one in fields(cls)}:
            raise LimitError(f"limits must be an object with some of {', '.join(one.name for one in fields(cls))}.")
        return cls(**value)


UNLIMITED = Limits()


def parse_rate(text: str) -> tuple[int, int]:
    """`60/min` -> 60 requests in 60 s; raises LimitError."""
    count, period_s = _parts(text, "60/min or 5/s")
    if count != int(count):
        raise LimitError(f"{text!r}: requests come whole.")
    return int(count), period_s


def parse_audio_hours(text: str) -> float:
    """`100/day`, or `100`, which is the same -> seconds of audio a day; raises LimitError."""
    hours, period_s = _parts(text if "/" in text else f"{text}/day", "100/day")
    if period_s != DAY_S:
        raise LimitError(f"{text!r}: hours of audio are counted by the day, as in 100/day.")
    return hours * 3600


def _parts(text: str, example: str) -> tuple[float, int]:
    found = RATE.fullmatch(text.strip().lower())
    if found is None or found[2] not in PERIODS_S or float(found[1]) <= 0:
        raise LimitError(f"{text!r} is no limit; write it as {example}.")
    return float(found[1]), PERIODS_S[found[2]]
