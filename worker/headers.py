"""What a request's headers ask of a worker, and what every answer's headers say. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, MutableMapping

from fleet.stages import SERVER_TIMING
from fleet.wire import ATTEMPTS, CACHE, DEADLINE_MS, DURATION, IGNORED, QUEUE_MS, TIER, WARNINGS, Tier
from worker.door import Visit

PATIENCE_MAX_S = 86_400.0


def tier_of(headers: Mapping[str, str]) -> Tier:
    """Deferred only where it says so."""
    return Tier.DEFERRED if headers.get(TIER, "").strip().lower() == Tier.DEFERRED else Tier.REALTIME


def patience_s(headers: Mapping[str, str], default_s: float) -> float:
    """How long the caller will wait: the router's word, else the caller's own, else the setting."""
    for name, unit_s in ((DEADLINE_MS, 0.001), ("X-Request-Timeout", 1.0), ("x-stainless-read-timeout", 1.0)):
        try:
            seconds = float(headers.get(name, "")) * unit_s
        except ValueError:
            continue
        if math.isfinite(seconds) and seconds > 0:
            return min(seconds, PATIENCE_MAX_S)
    return default_s


def describe(visit: Visit, headers: MutableMapping[str, str], now: float) -> None:
    """Put on an answer what is known of the request behind it."""
    headers.setdefault(ATTEMPTS, "1")
    headers.setdefault(CACHE, "miss")
    headers[QUEUE_MS] = str(round(visit.queue_s * 1000))
    headers[SERVER_TIMING] = visit.stages(now).to_header()
    if visit.progress.duration_s:
        headers[DURATION] = f"{visit.progress.duration_s:.3f}"
    if visit.progress.warnings:
        headers[WARNINGS] = ", ".join(visit.progress.warnings)
    if visit.ignored:
        headers[IGNORED] = ", ".join(visit.ignored)
