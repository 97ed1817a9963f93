"""Who has a live session: so many at most, counted for /lb-status and /metrics."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from fleet.errors import Unavailable

RETRY_AFTER_S = 5


class Seat:
    """One session's place. State: the seconds of audio that it has sent."""

    def __init__(self) -> None:
        self.audio_s = 0.0


class Seats(Collector):
    """State: the seats that are taken, how many were and how many were refused, and the audio of who has left."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken: set[Seat] = set()
        self._opened = 0
        self._refused = 0
        self._left_s = 0.0

    def __len__(self) -> int:
        return len(self._taken)

    def __repr__(self) -> str:
        return f"<Seats {len(self)}/{self._limit} taken>"

    def check(self) -> None:
        """Raises Unavailable, and counts who was refused, if there is none."""
        if len(self) >= self._limit:
            self._refused += 1
            raise Unavailable(f"All {self._limit} live sessions are taken.", retry_after_s=RETRY_AFTER_S)

    @contextmanager
    def take(self) -> Iterator[Seat]:
        """Have one for exactly as long as the block runs; raises as check does."""
        self.check()
        seat = Seat()
        self._taken.add(seat)
        self._opened += 1
        try:
            yield seat
        finally:
            self._taken.discard(seat)
            self._left_s += seat.audio_s

    def to_json(self) -> dict[str, Any]:
        """For /lb-status. `audio_s` is what the open sessions have sent; the rest only grows."""
        audio_s = self._audio_s()
        return {
            "sessions": len(self),
            "max": self._limit,
            "audio_s": round(audio_s, 1),
            "opened": self._opened,
            "refused": self._refused,
            "audio_s_total": round(self._left_s + audio_s, 1),
        }

    def collect(self) -> Iterator[Metric]:
        """Read when they are scraped."""
        yield GaugeMetricFamily("stt_router_realtime_sessions", "Live sessions that are open.", len(self))
        yield GaugeMetricFamily("stt_router_realtime_sessions_limit", "Live sessions that may be.", self._limit)
        asked = CounterMetricFamily(
            "stt_router_realtime_handshakes", "Live sessions asked for, by what became of it.", labels=["outcome"]
        )
        asked.add_metric(["opened"], self._opened)
        asked.add_metric(["refused"], self._refused)
        yield asked
        audio_s = self._left_s + self._audio_s()
        yield CounterMetricFamily("stt_router_realtime_audio_seconds", "Audio that live sessions sent.", audio_s)

    def _audio_s(self) -> float:
        return sum(seat.audio_s for seat in self._taken)
