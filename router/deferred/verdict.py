"""
What the end of a run means for its job (core: no clock, no I/O).

A busy, restarting or vanished fleet never fails a job, and a limit of its key only if no wait is long enough: it waits.
What ends badly again and again, with nothing but the audio to blame, gathers strikes and fails in the end. Deaths of
workers weigh most: one rejection stands for two.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from fleet.errors import BadRequest, FleetError, NotFound, RateLimited, Unavailable
from router.deferred.record import JobError, Result

STRIKES_MAX = 10
REJECTED_STRIKES = 4  # so that the third rejection is the last
WAIT_MAX_S = 60
QUOTA_WAIT_MAX_S = 600  # it is back within a day, sooner if the operator gives more
NO_MODEL_WAIT_S = 10  # the model was there when the job came, so its worker is expected back
BUSY_WAIT_MIN_S = 1


@dataclass(frozen=True, slots=True)
class Later:
    """Run it again, not before so long."""

    after_s: float
    strikes: int
    is_keys: bool = False  # what stood in its way stands in the way of all its key's jobs: none of them before so long


Verdict = Result | JobError | Later


def of_error(error: FleetError, strikes: int) -> Verdict:
    """After an error of the intake."""
    envelope = error.to_json()["error"]
    if error.retry_after_s == math.inf:  # a clip longer than its key's whole quota
        return JobError(error.status, envelope)
    if isinstance(error, Unavailable | RateLimited):
        is_quota = error.code == "quota_exceeded"  # a shorter clip may still fit into what is left of it
        most_s = QUOTA_WAIT_MAX_S if is_quota else WAIT_MAX_S
        after_s = min(most_s, max(BUSY_WAIT_MIN_S, error.retry_after_s or 0))
        return Later(after_s, strikes, is_keys=isinstance(error, RateLimited) and not is_quota)
    if isinstance(error, NotFound):
        return Later(NO_MODEL_WAIT_S, strikes)
    if isinstance(error, BadRequest) and error.code != "audio_rejected":
        return JobError(error.status, envelope)
    return _struck(error.status, envelope, strikes)


def of_envelope(status: int, envelope: dict[str, str | None], strikes: int) -> Verdict:
    """After an error that a worker answered, or sent in the middle of its events."""
    if status < 500 and envelope.get("type") == "invalid_request_error":
        return JobError(status, envelope)
    if envelope.get("code") in ("overloaded", "no_worker", "draining"):
        return Later(BUSY_WAIT_MIN_S, strikes)
    return _struck(status, envelope, strikes)


def of_silence(strikes: int) -> Verdict:
    """After an answer that is none."""
    return _struck(502, FleetError().to_json()["error"], strikes)


def _struck(status: int, envelope: dict[str, str | None], strikes: int) -> Verdict:
    strikes += REJECTED_STRIKES if envelope.get("code") == "audio_rejected" else 1
    if strikes >= STRIKES_MAX:
        return JobError(status, envelope)
    return Later(min(WAIT_MAX_S, 2.0**strikes), strikes)
