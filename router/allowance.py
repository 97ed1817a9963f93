"""
What is left to a key of its limits: requests, requests at a time, seconds of audio (core: time is passed in).

Kept in memory by each router for itself. Two routers allow a key twice as much, and a restart forgets what was used:
docs/keys.md says how to live with that.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from fleet.errors import RETRY_AFTER_MAX_S, RateLimited
from router.bucket import Bucket
from router.limits import DAY_S, UNLIMITED, Limits

CONCURRENCY_RETRY_S = 1.0  # nobody knows when one of the key's own requests ends


class Quota:
    """
    Seconds of audio a day. A day is 24 hours from the first audio that is charged to it, by no calendar.

    State, in whole milliseconds since sums of fractions drift: what was charged to this day, what is held for requests
    that run; and when the day ends.
    """

    def __init__(self, limit_s: float) -> None:
        self.limit_s = limit_s
        self._held_ms = 0
        self._used_ms = 0
        self._ends_at = -math.inf

    def left_s(self, now: float) -> float:
        """Seconds of audio that may still be asked for; below zero if clips were longer than they seemed."""
        used_ms = self._used_ms if now < self._ends_at else 0
        return self.limit_s - (self._held_ms + used_ms) / 1000

    def ends_in_s(self, now: float) -> float:
        """Seconds until the whole quota is there again."""
        return max(0.0, self._ends_at - now)

    def hold(self, change_ms: int) -> None:
        """So much more, or less, is held for requests that run."""
        self._held_ms += change_ms

    def charge(self, audio_s: float, now: float) -> None:
        """So much was transcribed."""
        if audio_s <= 0:
            return
        if now >= self._ends_at:
            self._used_ms, self._ends_at = 0, now + DAY_S
        self._used_ms += round(audio_s * 1000)


class Grant:
    """One request's part of an allowance, for as long as it runs. State: the audio that is held for it."""

    def __init__(self, quota: Quota | None, words: str) -> None:
        self._quota = quota
        self._words = words
        self._held_ms = 0

    def expect(self, audio_s: float, now: float) -> None:
        """Hold as much audio as the clip seems to have; raises RateLimited if that is more than is left."""
        self.release()
        if self._quota is None:
            return
        if audio_s > self._quota.left_s(now):
            raise over_quota(self._quota, self._words, now, audio_s)
        self._held_ms = round(audio_s * 1000)
        self._quota.hold(self._held_ms)

    def charge(self, audio_s: float, now: float) -> None:
        """So much audio was decoded and transcribed."""
        if self._quota is not None:
            self._quota.charge(audio_s, now)

    def release(self) -> None:
        """Give back what was held."""
        if self._quota is not None:
            self._quota.hold(-self._held_ms)
        self._held_ms = 0


class Allowance:
    """What is left to one key. State: its bucket of requests, how many run, its quota of audio."""

    def __init__(self, limits: Limits, now: float) -> None:
        self.running = 0
        self._limits = UNLIMITED
        self._bucket: Bucket | None = None
        self._quota: Quota | None = None
        self.change(limits, now)

    def __repr__(self) -> str:
        return f"<Allowance of {self._limits}: {self.running} running, {self._bucket}>"

    @property
    def concurrency(self) -> int | None:
        """Requests at a time; None is any number."""
        return self._limits.concurrency

    def change(self, limits: Limits, now: float) -> None:
        """Other limits from now on; what was used stays used."""
        if limits.requests is None or limits.per_s is None:
            self._bucket = None
        elif self._bucket is None:
            self._bucket = Bucket(limits.requests, limits.requests / limits.per_s, now)
        else:
            self._bucket.resize(limits.requests, limits.requests / limits.per_s, now)
        if limits.audio_s_per_day is None:
            self._quota = None
        elif self._quota is None:
            self._quota = Quota(limits.audio_s_per_day)
        else:
            self._quota.limit_s = limits.audio_s_per_day
        self._limits = limits

    @contextmanager
    def request(self, now: float) -> Iterator[Grant]:
        """Count one request against the limits for exactly as long as the block runs; raises RateLimited."""
        error = self.refusal(now)
        if error is not None:
            raise error
        if self._bucket is not None:
            self._bucket.take(now)
        grant = Grant(self._quota, self._limits.audio_words)
        self.running += 1
        try:
            yield grant
        finally:
            self.running -= 1
            grant.release()

    def refusal(self, now: float) -> RateLimited | None:
        """Why one more request may not begin, or None; changes nothing."""
        limits = self._limits
        if limits.concurrency is not None and self.running >= limits.concurrency:
            message = f"This key has a limit of {limits.concurrency_words}."
            return RateLimited(message, code="concurrency_limit", retry_after_s=CONCURRENCY_RETRY_S)
        if self._bucket is not None and (wait_s := self._bucket.wait_s(now)) > 0:
            message = f"This key has a limit of {limits.rate_words}."
            return RateLimited(message, retry_after_s=wait_s, should_retry=_may_retry(wait_s))
        if self._quota is not None and self._quota.left_s(now) <= 0:
            return over_quota(self._quota, limits.audio_words, now)
        return None

    def headers(self, now: float) -> dict[str, str]:
        """The `x-ratelimit-*` headers of the limits that there are, as OpenAI writes them."""
        shown: dict[str, str] = {}
        if self._bucket is not None:
            shown["x-ratelimit-limit-requests"] = f"{self._bucket.size:.0f}"
            shown["x-ratelimit-remaining-requests"] = str(max(0, math.floor(self._bucket.level(now))))
            shown["x-ratelimit-reset-requests"] = clock(self._bucket.full_in_s(now))
        if self._quota is not None:
            shown["x-ratelimit-limit-audio-seconds"] = f"{self._quota.limit_s:.0f}"
            shown["x-ratelimit-remaining-audio-seconds"] = str(max(0, math.floor(self._quota.left_s(now))))
            shown["x-ratelimit-reset-audio-seconds"] = clock(self._quota.ends_in_s(now))
        return shown


NO_LIMITS = Allowance(UNLIMITED, 0.0)  # of whoever has none, all together


class Allowances:
    """The allowance of each limited key. State: those, by tenant; whoever is not among them has no limits."""

    def __init__(self) -> None:
        self._by_tenant: dict[str, Allowance] = {}

    def of(self, tenant: str) -> Allowance:
        """What is left to a tenant."""
        return self._by_tenant.get(tenant, NO_LIMITS)

    def replace(self, limits: Mapping[str, Limits], now: float) -> None:
        """Other limits for whom there are some; the others are forgotten with what they used."""
        kept: dict[str, Allowance] = {}
        for tenant, each in limits.items():
            kept[tenant] = self._by_tenant.get(tenant) or Allowance(each, now)
            kept[tenant].change(each, now)
        self._by_tenant = kept


def over_quota(quota: Quota, words: str, now: float, audio_s: float = 0.0) -> RateLimited:
    """The refusal of so much more audio; a clip longer than the whole quota waits for ever."""
    is_hopeless = audio_s > quota.limit_s
    wait_s = math.inf if is_hopeless else quota.ends_in_s(now)
    why = "this clip is longer than that" if is_hopeless else "less than this clip is left"
    message = f"This key has a limit of {words}, and {why}."
    return RateLimited(message, code="quota_exceeded", retry_after_s=wait_s, should_retry=_may_retry(wait_s))


def clock(seconds: float) -> str:
    """`0s`, `42s`, `6m0s`, `23h59m1s`: whole seconds, rounded up."""
    minutes, rest_s = divmod(math.ceil(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes}m{rest_s}s" if hours else f"{minutes}m{rest_s}s" if minutes else f"{rest_s}s"


def _may_retry(wait_s: float) -> bool | None:
    """False where a client that comes back by itself would come too early; None leaves it to Retry-After."""
    return False if wait_s > RETRY_AFTER_MAX_S else None
