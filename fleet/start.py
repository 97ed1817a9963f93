"""From the command line to a served service: settings, traces, logs, serve. Router and worker start here, alike."""

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from fleet import log, serve, trace
from fleet.connection import ConnectionLimits
from fleet.serve import Service
from fleet.settings import SettingError, load
from fleet.trace import Tracing

THREADS_END_S = 2.0  # idle ones end at once; what still works after that may work for hours


class ServiceSettings(Protocol):
    """What every service is told."""

    @property
    def host(self) -> str:
        """Address to listen on."""

    @property
    def port(self) -> int:
        """Port to listen on."""

    @property
    def keepalive_s(self) -> float:
        """How long an idle connection stays open."""

    @property
    def log_level(self) -> str:
        """As `fleet.log` has it."""

    @property
    def log_format(self) -> str:
        """As `fleet.log` has it."""

    def check(self) -> None:
        """Raise SettingError for settings that cannot be meant together."""

    @property
    def secrets(self) -> Sequence[str | None]:
        """What no log line may hold."""

    @property
    def connection_limits(self) -> ConnectionLimits:
        """How many connections, and how long a request's head may take."""


Settings = TypeVar("Settings", bound=ServiceSettings)


def start(
    shape: type[Settings],
    argv: Sequence[str] | None,
    build: Callable[[Settings, Tracing | None], Service],
    *,
    name: str,
) -> int:
    """
    Serve what `build` makes of the settings until a signal; returns the exit code.

    `argv` None is this process's own. A setting that is wrong is one sentence on stderr and EXIT_STARTUP.
    """
    try:
        settings = load(shape, os.environ, sys.argv[1:] if argv is None else argv, prog=f"whisper-fleet {name}")
        settings.check()
        tracing = trace.start(f"whisper-fleet-{name}", os.environ)
    except SettingError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return serve.EXIT_STARTUP
    log.set_up(settings.log_level, settings.log_format, secrets=settings.secrets)
    code = serve.run(
        lambda: build(settings, tracing),
        host=settings.host,
        port=settings.port,
        keepalive_s=settings.keepalive_s,
        limits=settings.connection_limits,
    )
    if tracing is not None:
        tracing.close()
    _end_if_held(code)
    return code


def _end_if_held(code: int) -> None:
    """End the process here if a library's thread is in the middle of something: Python would wait for a download."""
    until = time.monotonic() + THREADS_END_S
    others = [one for one in threading.enumerate() if one is not threading.main_thread() and not one.daemon]
    for thread in others:
        thread.join(max(0.0, until - time.monotonic()))
    if any(thread.is_alive() for thread in others):
        logging.shutdown()
        os._exit(code)
