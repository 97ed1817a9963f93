"""What fails a job, and what only delays it."""

import math

import pytest

from fleet.errors import (
    BadAudio,
    BadRequest,
    DeadlineExceeded,
    FleetError,
    NotFound,
    RateLimited,
    Unavailable,
    UpstreamFailed,
)
from router.deferred.record import JobError
from router.deferred.verdict import STRIKES_MAX, Later, of_envelope, of_error, of_silence


@pytest.mark.parametrize(
    "error",
    [Unavailable(), Unavailable(code="no_worker"), Unavailable(code="draining"), RateLimited(), NotFound()],
    ids=lambda error: error.code,
)
def test_a_fleet_that_is_busy_fails_nothing(error):
    """However often: no strike, and a wait."""
    later = of_error(error, STRIKES_MAX - 1)
    assert isinstance(later, Later)
    assert later.strikes == STRIKES_MAX - 1
    assert 1 <= later.after_s <= 60


def test_it_waits_as_long_as_it_was_told():
    """Within a minute."""
    assert of_error(Unavailable(retry_after_s=7), 0) == Later(7, 0)
    assert of_error(Unavailable(retry_after_s=7000), 0) == Later(60, 0)


def test_what_no_wait_can_mend_fails_at_once():
    """A clip longer than its key's whole quota fits on no day; one that fits tomorrow waits."""
    never = of_error(RateLimited("m", code="quota_exceeded", retry_after_s=math.inf), 0)
    assert (never.status, never.envelope["code"]) == (429, "quota_exceeded")
    assert of_error(RateLimited("m", code="quota_exceeded", retry_after_s=80_000), 0) == Later(600, 0)


@pytest.mark.parametrize(
    ("error", "is_keys"),
    [
        (RateLimited(code="concurrency_limit", retry_after_s=1), True),
        (RateLimited(code="rate_limit_exceeded", retry_after_s=9), True),
        (RateLimited(code="quota_exceeded", retry_after_s=9), False),
        (Unavailable(retry_after_s=9), False),
    ],
    ids=lambda one: getattr(one, "code", ""),
)
def test_what_stops_all_of_a_keys_jobs(error, is_keys):
    """A limit of requests does; what is left of a quota may be enough for a shorter clip."""
    assert of_error(error, 2) == Later(error.retry_after_s, 2, is_keys)


def test_the_callers_own_mistakes_fail_at_once():
    """From the intake and from a worker."""
    assert of_error(BadAudio(code="audio_corrupt"), 0).envelope["code"] == "audio_corrupt"
    envelope = {"message": "m", "type": "invalid_request_error", "param": "file", "code": "audio_empty"}
    assert of_envelope(400, envelope, 0) == JobError(400, envelope)


@pytest.mark.parametrize("error", [UpstreamFailed(), DeadlineExceeded(), FleetError()], ids=lambda error: error.code)
def test_our_failures_fail_it_in_the_end(error):
    """With longer and longer waits between."""
    waits, strikes = [], 0
    while isinstance(later := of_error(error, strikes), Later):
        waits.append(later.after_s)
        strikes = later.strikes
    assert len(waits) == STRIKES_MAX - 1
    assert waits == sorted(waits)
    assert sum(waits) > 240
    assert later == JobError(error.status, error.to_json()["error"])


def test_the_third_rejection_is_the_last():
    """Six workers died under it by then."""
    rejected = BadRequest("m", code="audio_rejected")
    first = of_error(rejected, 0)
    second = of_error(rejected, first.strikes)
    assert isinstance(second, Later)
    assert isinstance(of_error(rejected, second.strikes), JobError)


def test_a_workers_own_trouble():
    """Busy is busy in the middle of a stream as well; what is no answer is a strike."""
    assert of_envelope(500, {"type": "server_error", "code": "overloaded"}, 3).strikes == 3
    assert of_envelope(500, {"type": "server_error", "code": "internal_error"}, 3).strikes == 4
    assert of_silence(0).strikes == 1
