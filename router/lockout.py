"""
Wrong keys, counted by the address they came from (core: time is passed in).

It guards the two secrets that a person may have chosen, API_KEY and ADMIN_KEY. Keys of the file have 256 random bits:
they need no guard, and are let in from every address. Behind a proxy all callers share an address, and one of them
could lock out the others; so an address from which the right secret came before stays open.
"""

from __future__ import annotations

from collections import OrderedDict
from ipaddress import IPv6Address, ip_address

from router.bucket import Bucket

WRONG_AT_ONCE = 20
WRONG_PER_S = 20 / 60
ADDRESSES_KEPT = 4096  # the least recent is forgotten; who has more addresses than this is not stopped by counting


class Lockout:
    """State: how many wrong keys each address may still send; the addresses that sent the right one."""

    def __init__(self) -> None:
        self._wrong: OrderedDict[str, Bucket] = OrderedDict()
        self._right: OrderedDict[str, None] = OrderedDict()

    def __repr__(self) -> str:
        return f"<Lockout {len(self._wrong)} addresses with wrong keys, {len(self._right)} with the right one>"

    def shut_for_s(self, address: str, now: float) -> float:
        """Seconds until a key from there is looked at again; zero for nearly everybody."""
        if not self._wrong:
            return 0.0
        source = source_of(address)
        bucket = self._wrong.get(source)
        return 0.0 if bucket is None or source in self._right else bucket.wait_s(now)

    def wrong(self, address: str, now: float) -> bool:
        """A wrong key came from there; true if that was the last one to be looked at for now."""
        source = source_of(address)
        bucket = self._wrong.setdefault(source, Bucket(WRONG_AT_ONCE, WRONG_PER_S, now))
        self._wrong.move_to_end(source)
        if len(self._wrong) > ADDRESSES_KEPT:
            self._wrong.popitem(last=False)
        if bucket.wait_s(now) > 0:
            return False
        bucket.take(now)
        return bucket.wait_s(now) > 0

    def right(self, address: str) -> None:
        """The right one came from there."""
        source = source_of(address)
        self._right[source] = None
        self._right.move_to_end(source)
        if len(self._right) > ADDRESSES_KEPT:
            self._right.popitem(last=False)


def source_of(address: str) -> str:
    """An IPv4 address, or the /64 network of an IPv6 one: whoever has one address of it has all of them."""
    if ":" not in address:
        return address
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(IPv6Address(int(parsed) >> 64 << 64))
