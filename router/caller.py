"""Who asks, how patiently, and by which door: what a request says of itself besides its body."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from aiohttp import web

from fleet import trace
from fleet.trace import Span, Untraced
from fleet.web import ID_KEY
from router.keys import TENANT

DEADLINE_HEADERS = ("X-Request-Timeout", "x-stainless-read-timeout")


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """One request's sender. Times are seconds on time.monotonic."""

    request_id: str
    door: str  # as the access log names it: `POST /v1/audio/transcriptions`, `wyoming`
    arrived_at: float
    deadline_at: float
    tenant: str = ""
    client_retries: int = 0
    is_guess: bool = False  # the router's own idea, to be early: it counts against nobody's limits
    is_part: bool = False  # of a request that was let in already: a drain finishes what it began
    span: Span = field(default_factory=Untraced)
    is_stored: bool = False  # a job, which keeps count of the workers that died under it


def caller_of(request: web.Request, *, now: float, default_deadline_s: float) -> Caller:
    """The sender of an HTTP request that passed the keys."""
    return Caller(
        request_id=request.get(ID_KEY, ""),  # not named yet when it only expects a 100
        door=f"{request.method} {request.path}",
        arrived_at=now,
        deadline_at=now + deadline_s(request, default_deadline_s),
        tenant=request[TENANT],
        client_retries=client_retries(request),
        span=trace.of(request),
    )


def deadline_s(request: web.Request, default_s: float) -> float:
    """How long the caller will wait, by its own word, else the default."""
    for name in DEADLINE_HEADERS:
        if name not in request.headers:
            continue
        try:
            stated_s = float(request.headers[name])
        except ValueError:
            continue
        if math.isfinite(stated_s) and stated_s > 0:
            return min(stated_s, default_s * 100)
    return default_s


def client_retries(request: web.Request) -> int:
    """How often the client was here before with this, as OpenAI's clients say."""
    stated = request.headers.get("x-stainless-retry-count", "")
    return int(stated) if stated.isdecimal() and len(stated) < 4 else 0
