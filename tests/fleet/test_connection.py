"""Counting connections; what they do on the wire is in tests/hostile/test_http.py."""

import asyncio
import json

from fleet.connection import REFUSAL, Connection, ConnectionLimits, Connections


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


class Line(asyncio.Transport):
    """Nobody at the other end; remembers whether it was cut."""

    is_cut = False

    def abort(self) -> None:
        self.is_cut = True


class Parser(asyncio.Protocol):
    """In aiohttp's place."""


async def test_the_rest_of_a_refused_body_is_no_head():
    """The connection stays open for the next request, as a proxy in front expects; a head that begins has its time."""
    is_body_in, line = False, Line()
    connection = Connection(Connections(ConnectionLimits(head_s=0.01)), Parser)
    connection.connection_made(line)
    connection.head_is_read()
    connection.request_is_over(lambda: is_body_in)

    connection.data_received(b"rest of it")
    await asyncio.sleep(0.05)
    assert not line.is_cut

    is_body_in = True
    connection.data_received(b"GET /")
    await asyncio.sleep(0.05)
    assert line.is_cut
