"""Who guesses is slowed down, nobody else."""

from hypothesis import given
from hypothesis import strategies as st

from router.lockout import ADDRESSES_KEPT, WRONG_AT_ONCE, Lockout, source_of


def test_an_address_is_shut_after_twenty_and_opens_slowly():
    """One more key every three seconds; other addresses notice nothing."""
    lockout = Lockout()
    for count in range(WRONG_AT_ONCE):
        assert lockout.shut_for_s("10.0.0.1", 0.0) == 0
        assert lockout.wrong("10.0.0.1", 0.0) is (count == WRONG_AT_ONCE - 1)
    assert lockout.shut_for_s("10.0.0.1", 0.0) == 3
    assert lockout.shut_for_s("10.0.0.1", 3.1) == 0
    assert lockout.shut_for_s("10.0.0.2", 0.0) == 0


def test_where_the_right_key_came_from_stays_open():
    """A proxy, behind which one guesses and the others work."""
    lockout = Lockout()
    lockout.right("10.0.0.1")
    for _ in range(100):
        lockout.wrong("10.0.0.1", 0.0)
    assert lockout.shut_for_s("10.0.0.1", 0.0) == 0


def test_memory_is_bounded():
    """However many addresses somebody has."""
    lockout = Lockout()
    for number in range(ADDRESSES_KEPT + 100):
        lockout.wrong(f"10.{number // 65536}.{number // 256 % 256}.{number % 256}", 0.0)
        lockout.right(f"11.{number // 65536}.{number // 256 % 256}.{number % 256}")
    assert repr(lockout).startswith(f"<Lockout {ADDRESSES_KEPT} addresses with wrong keys, {ADDRESSES_KEPT} ")


def test_a_network_of_ipv6_is_one_source():
    """A /64, which a single machine may have; a mapped IPv4 address is that address."""
    assert source_of("2001:db8::1") == source_of("2001:db8::ffff:1") != source_of("2001:db8:0:1::1")
    assert source_of("::ffff:10.0.0.1") == source_of("10.0.0.1")
    assert source_of("fe80::1%eth0") == source_of("fe80::2")


@given(st.text(max_size=40))
def test_any_address_is_a_source(address):
    """An odd one is itself."""
    assert source_of(address) is not None
