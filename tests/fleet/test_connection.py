"""Counting connections; what they do on the wire is in tests/hostile/test_http.py."""

import json

from fleet.connection import REFUSAL, ConnectionLimits, Connections


def test_there_is_a_limit_in_all_and_for_each_address():
    """And places come back."""
    connections = Connections(ConnectionLimits(total=3, each_address=2))
    assert [connections.open(address) for address in ("a", "a", "a", "b", "c")] == [True, True, False, True, False]
    connections.close("a")
    assert connections.open("c")
    assert connections.refused == 2


def test_addresses_without_connections_are_forgotten():
    """A scan of a million addresses leaves nothing."""
    connections = Connections(ConnectionLimits())
    for number in range(1_000):
        connections.open(str(number))
        connections.close(str(number))
    assert not connections._by_address


def test_the_refusal_is_a_whole_answer():
    """Its length is right, its body the envelope."""
    head, _, body = REFUSAL.partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    assert json.loads(body)["error"]["code"] == "overloaded"
