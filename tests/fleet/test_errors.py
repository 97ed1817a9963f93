"""The error tree: envelope, headers, statuses."""

import math
from random import Random

import pytest

from fleet import errors
from fleet.errors import BadAudio, BadRequest, DeadlineExceeded, FleetError, RateLimited, Unavailable, jittered


def tree(kind=FleetError):
    """Every class of the tree."""
    return [kind, *(below for child in kind.__subclasses__() for below in tree(child))]


@pytest.mark.parametrize("kind", tree(), ids=lambda kind: kind.__name__)
def test_envelope_has_all_four_keys(kind):
    """Every error renders as OpenAI's envelope with nothing missing and a code in snake case."""
    error = kind("what happened")

    envelope = error.to_json()["error"]
    assert set(envelope) == {"message", "type", "param", "code"}
    assert envelope["message"] == "what happened"
    assert envelope["code"].islower()
    assert 400 <= error.status < 600


@pytest.mark.parametrize(("seconds", "shown"), [(0, "1"), (0.2, "1"), (1.2, "2"), (59.1, "60"), (3600, "60")])
def test_retry_after_is_whole_seconds_within_a_minute(seconds, shown):
    """Clients ignore 0 and anything past 60, so neither is ever sent; both headers agree."""
    headers = Unavailable(retry_after_s=seconds).headers()

    assert headers["Retry-After"] == shown
    assert headers["retry-after-ms"] == f"{shown}000"


def test_whose_fault_decides_the_status():
    """A full fleet is 503, a caller's own limit 429, bad audio 400 on the file."""
    assert Unavailable().status == 503
    assert RateLimited("slow down").status == 429
    assert (BadAudio().status, BadAudio().param) == (400, "file")
    assert "Retry-After" not in BadRequest("no").headers()


def test_what_is_told_of_a_wait_is_what_is_counted():
    """A quota is back in a day, or for this clip never: one infinity would stay in a histogram's sum for ever."""
    assert RateLimited("no", retry_after_s=math.inf).told_retry_after_s == 60
    assert RateLimited("no", retry_after_s=0.1).told_retry_after_s == 1
    assert BadRequest("no").told_retry_after_s is None


def test_hopeless_retry_is_told():
    """A missed deadline asks SDKs not to try again."""
    assert DeadlineExceeded().headers() == {"x-should-retry": "false"}


def test_one_error_does_not_change_the_next():
    """Code and message given to an instance stay with that instance."""
    BadRequest("special", code="special", param="p")

    assert BadRequest("plain").code == "invalid_value"
    assert errors.Unauthorized().message == "Missing or incorrect API key."


def test_jitter_only_adds_and_at_most_a_tenth():
    """Nobody is asked back before the ticket's time."""
    rng = Random(1)
    assert all(10 <= jittered(10, rng) <= 11 for _ in range(1000))
