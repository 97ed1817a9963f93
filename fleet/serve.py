"""
Run one service: an aiohttp application and the loops that belong to it, in one TaskGroup.

Start and stop read as lists. A first SIGTERM or SIGINT drains, a second stops at once. Exit codes: 0 drained,
1 crashed, 3 could not start (and would not the next time either), 70 lost the model's device.
"""

import asyncio
import contextlib
import errno
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

from aiohttp import web

from fleet.connection import Connection, ConnectionLimits, Connections
from fleet.junk import Junk
from fleet.parser import parser_of
from fleet.settings import SettingError

BACKLOG = 1024  # connections that wait to be accepted: a burst of callers comes in one turn of the loop

EXIT_OK, EXIT_CRASH, EXIT_STARTUP, EXIT_ENGINE = 0, 1, 3, 70

logger = logging.getLogger(__name__)


class StartupError(Exception):
    """The service cannot start, for a reason that a restart will not cure; the message is for the operator."""


class EngineLost(Exception):
    """The model's device cannot be used any more; a new process can."""


class Service(Protocol):
    """What `run` needs of a router or worker."""

    app: web.Application

    def loops(self) -> Sequence[Coroutine[Any, Any, None]]:
        """What runs beside the application until it stops, each for ever."""

    async def drain(self) -> None:
        """Fail readiness, refuse new work, return when what was in flight is done or its time is up."""


def run(
    build: Callable[[], Service],
    *,
    host: str,
    port: int,
    keepalive_s: float,
    limits: ConnectionLimits = ConnectionLimits(),  # noqa: B008  frozen
) -> int:
    """Build the service, serve it until a signal, and return the exit code."""
    code = EXIT_OK
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_serve(build, host=host, port=port, keepalive_s=keepalive_s, limits=limits))
    except* (StartupError, SettingError) as group:  # some settings are only understood by the part that uses them
        for error in group.exceptions:
            print(f"error: {error}", file=sys.stderr)  # noqa: T201  the operator's terminal, also where logs are JSON
        code = EXIT_STARTUP
    except* EngineLost:
        logger.exception("engine lost")
        code = EXIT_ENGINE
    except* Exception:
        logger.exception("crashed")
        code = EXIT_CRASH
    return code


async def _serve(
    build: Callable[[], Service], *, host: str, port: int, keepalive_s: float, limits: ConnectionLimits
) -> None:
    stopping = Signals()
    service = build()
    logging.getLogger("aiohttp.server").addFilter(Junk())
    runner = web.AppRunner(
        service.app,
        handler_cancellation=True,  # a caller who hangs up cancels what it asked for
        auto_decompress=False,  # half a megabyte of gzip can become half a gigabyte
        keepalive_timeout=keepalive_s,
        lingering_time=5,  # what a refused caller still sends is read for so long, so that it sees the refusal
        shutdown_timeout=5,  # by then the drain is over; this is for who ignores it
        access_log=None,
        read_bufsize=1 << 18,  # uploads are read in fewer, larger pieces
    )
    await runner.setup()
    gc.freeze()  # what is loaded stays: to look through it for garbage again holds the loop for 25 ms
    gc.set_threshold(10_000)  # of 700 objects, a request or two, nearly all are in use
    try:
        async with listening(runner, host, port, limits=limits) as bound:
            logger.info("listening on http://%s:%d", f"[{host}]" if ":" in host else host, bound)
            await _until_drained(service, stopping)
    finally:
        await runner.cleanup()


@asynccontextmanager
async def listening(runner: web.AppRunner, host: str, port: int, *, limits: ConnectionLimits) -> AsyncIterator[int]:
    """Accept connections for as long as the block runs, within limits; gives the port. Raises StartupError."""
    if runner.server is None:
        raise RuntimeError("set the runner up first")
    connections, make_parser = Connections(limits), parser_of(runner.server)
    loop = asyncio.get_running_loop()
    try:
        server = await loop.create_server(lambda: Connection(connections, make_parser), host, port, backlog=BACKLOG)
    except OSError as error:
        raise cannot_listen(host, port, error) from error
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()


def cannot_listen(host: str, port: int, error: OSError) -> StartupError:
    """Why not, and which settings say where."""
    if error.errno == errno.EADDRINUSE:
        return StartupError(f"{host}:{port} is taken: end what listens there, or choose another PORT.")
    # a name that is none has numbers of its own, and their words with it
    reason = error.strerror if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)
    return StartupError(f"cannot listen on {host}:{port}: {reason} (PORT, HOST)")


async def _until_drained(service: Service, stopping: "Signals") -> None:
    async with asyncio.TaskGroup() as group:
        loops = [group.create_task(loop) for loop in service.loops()]
        await stopping.first.wait()
        await first_of(service.drain(), stopping.second.wait())
        for loop in loops:
            loop.cancel()


async def first_of(work: Coroutine[Any, Any, Any], stop: Coroutine[Any, Any, Any]) -> None:
    """Return when either is done; the other is cancelled."""
    async with asyncio.TaskGroup() as group:
        tasks = {group.create_task(work), group.create_task(stop)}
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()


class Signals:
    """SIGTERM and SIGINT as two events: the first, and the one after it."""

    def __init__(self) -> None:
        self.first, self.second = asyncio.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            with contextlib.suppress(NotImplementedError):
                loop.add_signal_handler(number, self._on_signal)

    def _on_signal(self) -> None:
        (self.second if self.first.is_set() else self.first).set()


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415  not there on Windows
    except ImportError:
        return None
    return uvloop.new_event_loop
