"""
Run one service: an aiohttp application and the loops that belong to it, in one TaskGroup.

Start and stop read as lists. A first SIGTERM or SIGINT drains, a second stops at once. Exit codes: 0 drained,
1 crashed, 3 could not start (and would not the next time either), 70 lost the model's device.
"""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol

from aiohttp import web

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
    backlog: int = 1024,
) -> int:
    """Build the service, serve it until a signal, and return the exit code."""
    code = EXIT_OK
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_serve(build, host, port, keepalive_s, backlog))
    except* StartupError as group:
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


async def _serve(build: Callable[[], Service], host: str, port: int, keepalive_s: float, backlog: int) -> None:
    stopping = Signals()
    service = build()
    runner = web.AppRunner(
        service.app,
        handler_cancellation=True,  # a caller who hangs up cancels what it asked for
        auto_decompress=False,  # half a megabyte of gzip can become half a gigabyte
        keepalive_timeout=keepalive_s,
        shutdown_timeout=5,  # by then the drain is over; this is for who ignores it
        access_log=None,
    )
    await runner.setup()
    try:
        await _listen(runner, host, port, backlog)
        await _until_drained(service, stopping)
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, host: str, port: int, backlog: int) -> None:
    try:
        await web.TCPSite(runner, host, port, backlog=backlog).start()
    except OSError as error:
        raise StartupError(f"cannot listen on {host}:{port}: {os.strerror(error.errno or 0)} (PORT, HOST)") from error


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
