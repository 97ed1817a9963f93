"""How much may be kept, by all and by one key (core: no clock, no I/O)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fleet.errors import RETRY_AFTER_MAX_S, RateLimited, Unavailable


@dataclass(frozen=True, slots=True)
class Amount:
    """Jobs, and the bytes of their audio and results."""

    jobs: int = 0
    size_bytes: int = 0

    def exceeds(self, other: Amount) -> bool:
        """Whether there is more of either."""
        return self.jobs > other.jobs or self.size_bytes > other.size_bytes

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.jobs + other.jobs, self.size_bytes + other.size_bytes)


@dataclass(frozen=True, slots=True)
class Capacity:
    """`key_share` is how much of it one key may fill: others find room then, however much one brings."""

    limit: Amount
    key_share: float = 1

    @property
    def own_limit(self) -> Amount:
        """One key's part, one job at least."""
        return Amount(max(1, round(self.limit.jobs * self.key_share)), round(self.limit.size_bytes * self.key_share))

    def check(self, kept: Mapping[str, Amount], tenant: str, new: Amount) -> None:
        """
        Raise Unavailable if all that is `kept`, by tenant, leaves no room for the new one, RateLimited if the tenant's
        own share does.
        """
        if (sum(kept.values(), Amount()) + new).exceeds(self.limit):
            raise Unavailable("The store of jobs is full.", code="storage_unavailable", retry_after_s=60)
        own = self.own_limit
        if (kept.get(tenant, Amount()) + new).exceeds(own):
            message = (
                f"This key may keep {own.jobs} jobs and {own.size_bytes / 1e6:g} MB of them: "
                "delete some that are over, or wait until they expire."
            )
            raise RateLimited(message, code="quota_exceeded", retry_after_s=RETRY_AFTER_MAX_S, should_retry=False)
