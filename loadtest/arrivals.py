"""When calls are due in an open loop: decided before the first is sent, so that no answer can move them (pure)."""

from collections.abc import Iterator
from random import Random


def poisson(rate_per_s: float, length_s: float, rng: Random) -> Iterator[float]:
    """Seconds after the start, rising, below `length_s`: independent callers who come at this rate on average."""
    if rate_per_s <= 0:
        return
    due_s = rng.expovariate(rate_per_s)
    while due_s < length_s:
        yield due_s
        due_s += rng.expovariate(rate_per_s)
