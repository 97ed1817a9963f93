"""What callers and routers say in headers, and what they are told."""

import pytest

from fleet import wire
from fleet.stages import SERVER_TIMING
from fleet.wire import Tier
from worker.door import Visit
from worker.gate import Admission
from worker.headers import PATIENCE_MAX_S, describe, patience_s, tier_of


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 600),
        ({"X-Request-Timeout": "30"}, 30),
        ({"x-stainless-read-timeout": "20"}, 20),
        ({wire.DEADLINE_MS: "1500", "X-Request-Timeout": "30"}, 1.5),
        ({"X-Request-Timeout": "inf"}, 600),
        ({"X-Request-Timeout": "-1", "x-stainless-read-timeout": "nan"}, 600),
        ({"X-Request-Timeout": "1e12"}, PATIENCE_MAX_S),
    ],
)
def test_patience_is_the_routers_word_then_the_callers_then_the_setting(headers, seconds):
    """Nonsense is skipped."""
    assert patience_s(headers, 600) == seconds


def test_only_deferred_is_deferred():
    """Anything else is realtime."""
    assert tier_of({wire.TIER: " Deferred "}) is Tier.DEFERRED
    assert tier_of({wire.TIER: "batch"}) is tier_of({}) is Tier.REALTIME


def test_answers_tell_what_is_known_and_leave_a_routers_word():
    """Duration and warnings only once there are any."""
    visit = Visit(admission=Admission(Tier.REALTIME, 1.0), deadline=0.0)
    headers = {wire.ATTEMPTS: "2"}
    describe(visit, headers, visit.began)
    timing = "queue;dur=0.0, total;dur=0.0"
    assert headers == {wire.ATTEMPTS: "2", wire.CACHE: "miss", wire.QUEUE_MS: "0", SERVER_TIMING: timing}

    visit.ignored = ("language", "prompt")
    visit.queue_s, visit.progress.duration_s, visit.progress.warnings = 0.25, 3.5, ("truncated",)
    describe(visit, headers, visit.began + 1)
    assert headers[wire.IGNORED] == "language, prompt"
    assert headers[SERVER_TIMING] == "queue;dur=250.0, total;dur=1000.0"
    assert (headers[wire.QUEUE_MS], headers[wire.DURATION], headers[wire.WARNINGS]) == ("250", "3.500", "truncated")
