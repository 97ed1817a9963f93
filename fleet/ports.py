"""
Ports that stay ours from before a service starts until after it was restarted.

Each is bound by a socket that never listens. A service may still bind and listen there (both sides set SO_REUSEADDR),
but no outgoing connection is given the number while the service is away, and a port that somebody else listens on is
found out before anything starts.
"""

import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from fleet.serve import StartupError, cannot_listen


@dataclass(frozen=True, slots=True)
class Ports:
    """The router's port, and one on loopback for each worker."""

    router: int
    workers: tuple[int, ...]


@contextmanager
def held_ports(host: str, port: int, workers: int) -> Iterator[Ports]:
    """Hold the router's port (0: any free one) and so many free ones; raises StartupError."""
    with ExitStack() as sockets:
        held = [_bind(host, port), *(_bind("127.0.0.1", 0) for _ in range(workers))]
        for one in held:
            sockets.enter_context(one)
        numbers = [one.getsockname()[1] for one in held]
        if sys.platform != "linux":  # there a bound port cannot be bound again
            sockets.close()
        yield Ports(numbers[0], tuple(numbers[1:]))


def _bind(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        one = socket.socket(family, kind, protocol)
    except OSError as error:
        raise StartupError(f"cannot listen on {host}:{port}: {error.strerror} (HOST)") from error
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind(address)
    except OSError as error:
        one.close()
        raise cannot_listen(host, port, error) from error
    return one
