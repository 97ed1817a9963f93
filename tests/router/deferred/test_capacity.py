"""Who finds room in the store, and what is told to who does not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.errors import FleetError, RateLimited, Unavailable
from router.deferred.capacity import Amount, Capacity

AMOUNTS = st.builds(Amount, st.integers(0, 20), st.integers(0, 2000))


@given(st.dictionaries(st.sampled_from("abc"), AMOUNTS), st.integers(1, 1500), st.sampled_from([0.1, 0.5, 1]))
def test_nobody_passes_the_limit_nor_its_share(kept: dict[str, Amount], size_bytes: int, key_share: float):
    """Whoever is let in is within both afterwards; who is not would be past one of them."""
    capacity, new = Capacity(Amount(20, 2000), key_share), Amount(1, size_bytes)
    after = sum(kept.values(), new), kept.get("a", Amount()) + new
    is_past = after[0].exceeds(capacity.limit), after[1].exceeds(capacity.own_limit)
    try:
        capacity.check(kept, "a", new)
    except FleetError as error:
        assert isinstance(error, Unavailable if is_past[0] else RateLimited)
        assert any(is_past)
    else:
        assert not any(is_past)


def test_a_key_without_room_is_told_what_it_may_have():
    """A limit of its own is 429, and nothing that a client should try again by itself."""
    capacity = Capacity(Amount(1000, 5_000_000), key_share=0.1)
    with pytest.raises(RateLimited, match=r"100 jobs and 0\.5 MB") as refusal:
        capacity.check({"a": Amount(100, 0), "b": Amount(5, 0)}, "a", Amount(1, 1))
    assert refusal.value.code == "quota_exceeded"
    assert refusal.value.headers()["x-should-retry"] == "false"
    capacity.check({"a": Amount(100, 0), "b": Amount(5, 0)}, "b", Amount(1, 1))


def test_any_share_holds_one_job():
    """A share of a small store is not nothing."""
    Capacity(Amount(1, 10), key_share=1).check({}, "a", Amount(1, 10))
    assert Capacity(Amount(3, 10), key_share=0.001).own_limit.jobs == 1
