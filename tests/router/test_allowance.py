"""A key gets what its limits say and no more, in whatever order requests begin, grow and end."""

import math
from contextlib import ExitStack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from fleet.errors import RateLimited
from router.allowance import Allowance, Allowances, clock
from router.limits import DAY_S, Limits

LIMITS = Limits(requests=5, per_s=10, concurrency=3, audio_s_per_day=100)


class Use(RuleBasedStateMachine):
    """Requests of one key begin, hold audio, are charged and end, while time passes."""

    def __init__(self):
        super().__init__()
        self.now = 0.0
        self.allowance = Allowance(LIMITS, self.now)
        self.running = []
        self.begun = []
        self.charged = []

    @rule(seconds=st.sampled_from([0.1, 1.0, 5.0, DAY_S / 3]))
    def wait(self, seconds):
        self.now += seconds

    @rule()
    def begin(self):
        expected = self.allowance.refusal(self.now)
        stack = ExitStack()
        try:
            grant = stack.enter_context(self.allowance.request(self.now))
        except RateLimited as error:
            assert expected is not None
            assert error.code == expected.code
            return
        assert expected is None
        self.begun.append(self.now)
        self.running.append([stack, grant, 0.0])

    @precondition(lambda self: self.running)
    @rule(audio_s=st.floats(0, 60), which=st.integers(0, 10))
    def expect(self, audio_s, which):
        one = self.running[which % len(self.running)]
        one[2] = 0.0
        try:
            one[1].expect(audio_s, self.now)
            one[2] = audio_s
        except RateLimited as error:
            assert error.code == "quota_exceeded"

    @precondition(lambda self: self.running)
    @rule(which=st.integers(0, 10), is_charged=st.booleans())
    def end(self, which, is_charged):
        stack, grant, held_s = self.running.pop(which % len(self.running))
        if is_charged:
            grant.charge(held_s, self.now)
            if held_s:
                self.charged.append((self.now, held_s))
        stack.close()

    @invariant()
    def no_more_at_a_time(self):
        assert self.allowance.running == len(self.running) <= LIMITS.concurrency

    @invariant()
    def no_more_in_a_stretch_of_time(self):
        for first, begin in enumerate(self.begun):
            for last in range(first, len(self.begun)):
                assert last - first + 1 <= 5 + 0.5 * (self.begun[last] - begin) + 1e-6

    @invariant()
    def honest_estimates_never_pass_the_quota(self):
        """By the day, which begins with the first charge after the day before."""
        used_s, ends_at = 0.0, float("-inf")
        for at, audio_s in self.charged:
            if at >= ends_at:
                used_s, ends_at = 0.0, at + DAY_S
            used_s += audio_s
            assert used_s <= LIMITS.audio_s_per_day + 0.001 * len(self.charged)

    def teardown(self):
        for stack, *_ in self.running:
            stack.close()
        assert self.allowance.running == 0
        self.now += 2 * DAY_S
        assert self.allowance.headers(self.now)["x-ratelimit-remaining-audio-seconds"] == "100"


TestUse = Use.TestCase
TestUse.settings = settings(max_examples=60, stateful_step_count=40)


def test_concurrency_is_given_back_by_whatever_ends_a_request():
    """An error too."""
    allowance = Allowance(Limits(concurrency=1), 0.0)
    with pytest.raises(ZeroDivisionError), allowance.request(0.0):
        assert allowance.refusal(0.0).code == "concurrency_limit"
        raise ZeroDivisionError
    assert allowance.refusal(0.0) is None


def test_a_refusal_says_when():
    """The rate's by its flow; a quota that is back only tomorrow is not to be tried again by a client itself."""
    allowance = Allowance(Limits(requests=2, per_s=60, audio_s_per_day=10), 0.0)
    for _ in range(2):
        with allowance.request(0.0) as grant:
            grant.charge(5.0, 0.0)
    refused = allowance.refusal(1.0)
    assert (refused.status, refused.code, refused.headers()["Retry-After"]) == (429, "rate_limit_exceeded", "29")
    refused = allowance.refusal(60.0)
    assert (refused.code, refused.headers()["x-should-retry"]) == ("quota_exceeded", "false")
    assert refused.headers()["Retry-After"] == "60"
    assert "10" not in refused.message.replace("0.00277778 hours", "")
    assert allowance.refusal(DAY_S) is None


def test_a_clip_longer_than_the_whole_quota_is_told_so():
    """No day is long enough for it; one that would fit into a fresh quota is told that too little is left."""
    allowance = Allowance(Limits(audio_s_per_day=7200), 0.0)
    with allowance.request(0.0) as grant:
        grant.charge(100, 0.0)
        for audio_s, wait_s, words in ((7201, math.inf, "this clip is longer"), (7199, DAY_S, "less than this clip")):
            with pytest.raises(RateLimited, match=f"2 hours of audio a day, and {words}") as no:
                grant.expect(audio_s, 0.0)
            assert no.value.retry_after_s == wait_s


def test_held_audio_counts_until_it_is_given_back():
    """Two long clips at once do not both fit into what one of them leaves."""
    allowance = Allowance(Limits(audio_s_per_day=100), 0.0)
    with allowance.request(0.0) as first, allowance.request(0.0) as second:
        first.expect(60.0, 0.0)
        with pytest.raises(RateLimited):
            second.expect(60.0, 0.0)
        second.expect(40.0, 0.0)
    with allowance.request(0.0) as third:
        third.expect(100.0, 0.0)


def test_headers_name_the_limits_that_there_are():
    """As OpenAI writes them; none for a key without limits."""
    allowance = Allowance(Limits(requests=60, per_s=60, audio_s_per_day=3600), 0.0)
    with allowance.request(0.0) as grant:
        grant.charge(90.0, 0.0)
    assert allowance.headers(0.0) == {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "59",
        "x-ratelimit-reset-requests": "1s",
        "x-ratelimit-limit-audio-seconds": "3600",
        "x-ratelimit-remaining-audio-seconds": "3510",
        "x-ratelimit-reset-audio-seconds": "24h0m0s",
    }
    assert Allowance(Limits(), 0.0).headers(0.0) == {}


def test_other_limits_keep_what_was_used():
    """A file that is read again is no way to a fresh quota; who is not in it any more is forgotten."""
    allowances = Allowances()
    allowances.replace({"a": Limits(audio_s_per_day=100)}, 0.0)
    with allowances.of("a").request(0.0) as grant:
        grant.charge(90.0, 0.0)
    allowances.replace({"a": Limits(audio_s_per_day=200, concurrency=1)}, 1.0)
    assert allowances.of("a").headers(1.0)["x-ratelimit-remaining-audio-seconds"] == "110"
    allowances.replace({}, 2.0)
    assert allowances.of("a").headers(2.0) == {}


@given(st.floats(0, 200_000))
def test_clock_is_never_early(seconds):
    """Rounded up to whole seconds."""
    hours, _, rest = clock(seconds).rpartition("h")
    minutes, _, last = rest.rpartition("m")
    shown = 3600 * int(hours or 0) + 60 * int(minutes or 0) + int(last.removesuffix("s"))
    assert 0 <= shown - seconds < 1.0001
