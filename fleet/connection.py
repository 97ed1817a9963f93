"""
What a connection may do before it is a request: how many there may be, and how long a request's head may take.

aiohttp has one timer for both idle connections and unfinished heads. They differ: a proxy in front keeps connections
idle for a minute and must not find one closed as it sends, while a caller who has begun a head ends it in milliseconds.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fleet.errors import Unavailable

BODY = json.dumps(Unavailable("There are too many connections.").to_json()).encode()
HEAD = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 5\r\nConnection: close\r\n"
REFUSAL = f"{HEAD}Content-Length: {len(BODY)}\r\n\r\n".encode() + BODY


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """How many at once, in all and from one address, and the seconds from a request's first byte to its last header."""

    total: int = 4096
    each_address: int = 1024
    head_s: float = 15.0


class Connections:
    """Counts what is open. State: connections, in all and by address."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self.limits = limits
        self.refused = 0
        self._by_address: Counter[str] = Counter()
        self.count = 0

    def __repr__(self) -> str:
        return f"<Connections {self.count}/{self.limits.total}, {self.refused} refused>"

    def open(self, address: str) -> bool:
        """Count one more, unless there are too many."""
        if self.count >= self.limits.total or self._by_address[address] >= self.limits.each_address:
            self.refused += 1
            return False
        self.count += 1
        self._by_address[address] += 1
        return True

    def close(self, address: str) -> None:
        """One that was opened is gone; addresses without any are forgotten."""
        self.count -= 1
        self._by_address[address] -= 1
        if not self._by_address[address]:
            del self._by_address[address]


class Connection(asyncio.Protocol):
    """Stands between the socket and aiohttp's parser, and passes everything on."""

    def __init__(self, connections: Connections, make_parser: Callable[[], asyncio.BaseProtocol]) -> None:
        self._connections = connections
        self._make_parser = make_parser
        self._parser: Any = None  # aiohttp's own protocol; none for a refused connection
        self._transport: asyncio.Transport | None = None
        self._address = ""
        self._timer: asyncio.TimerHandle | None = None
        self._is_in_request = False
        self._is_body_in: Callable[[], bool] = lambda: True  # of the last request, which may be answered before

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # of a stream, so
        """Refuse it, or start the clock for its first head."""
        peer = transport.get_extra_info("peername")
        self._address = str(peer[0]) if isinstance(peer, tuple) else ""
        self._transport = transport
        if not self._connections.open(self._address):
            transport.write(REFUSAL)
            transport.close()
            return
        self._parser = self._make_parser()
        self._parser.connection_made(transport)
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        """Bytes of a head, or of a body."""
        if self._parser is None:
            return
        if self._timer is None and not self._is_in_request and self._is_body_in():
            self._expect_head()
        self._parser.data_received(data)

    def head_is_read(self) -> None:
        """A request begins."""
        self._is_in_request = True
        self._stop_timer()

    def request_is_over(self, is_body_in: Callable[[], bool]) -> None:
        """The next byte begins the next head, after what is still to come of a body that was refused."""
        self._is_in_request, self._is_body_in = False, is_body_in

    def eof_received(self) -> bool | None:
        """The caller will send no more."""
        return self._parser.eof_received() if self._parser else None

    def connection_lost(self, error: Exception | None) -> None:
        """Gone, whoever closed it."""
        self._stop_timer()
        if self._parser is not None:
            self._connections.close(self._address)
            self._parser.connection_lost(error)

    def pause_writing(self) -> None:
        """The caller reads too slowly."""
        if self._parser is not None:
            self._parser.pause_writing()

    def resume_writing(self) -> None:
        """The caller reads again."""
        if self._parser is not None:
            self._parser.resume_writing()

    def _expect_head(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._connections.limits.head_s, self._give_up)

    def _give_up(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
