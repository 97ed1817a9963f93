"""Real fleets: `whisper-fleet up` as a user starts it, real processes, real sockets."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.integration.processes import free_port

START_WITHIN_S = 90  # two models on a busy two-core machine; alone it takes two seconds
STOP_WITHIN_S = 30


class Fleet:
    """A fleet in the foreground of a process of its own. State: what it printed so far."""

    def __init__(self, *options: str, **environ: str) -> None:
        if "--wyoming" not in options:
            options = (*options, "--wyoming", "0")  # its port is not for tests that run beside others to take
        self.wyoming_port = int(options[options.index("--wyoming") + 1])
        command = [sys.executable, "-m", "fleet.cli", "up", "--port", "0", *options]
        inherited = {
            name: value for name, value in os.environ.items() if name not in ("WORKERS", "MODEL", "PORT", "HOST")
        }
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=inherited | environ,
            start_new_session=True,  # the tests' own Ctrl-C is not the fleet's
        )
        self.out: list[str] = []
        self.err: list[str] = []
        self._readers = [
            threading.Thread(target=into.extend, args=(stream,), daemon=True)
            for stream, into in ((self.process.stdout, self.out), (self.process.stderr, self.err))
        ]
        for reader in self._readers:
            reader.start()

    def wait_ready(self) -> None:
        """Until the banner says so."""
        self.wait_for(lambda: any(line.startswith("Ready in") for line in self.out), START_WITHIN_S, "a ready fleet")

    def wait_for(self, holds: Callable[[], object], within_s: float, what: str) -> None:
        """Poll; fail with everything that was printed."""
        deadline = time.monotonic() + within_s
        while not holds():
            said = "".join([*self.out, *self.err[-20:]])
            assert self.process.poll() is None, f"the fleet ended with {self.process.returncode} before {what}:\n{said}"
            assert time.monotonic() < deadline, f"no {what} within {within_s} s:\n{said}"
            time.sleep(0.02)

    @property
    def url(self) -> str:
        """The router's address, as the banner gave it."""
        return re.search(r"status +(http://\S+)/lb-status", "".join(self.out)).group(1)

    def get(self, path: str) -> Any:
        """JSON from the router."""
        request = urllib.request.Request(f"{self.url}{path}", headers={"Accept": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.load(response)

    def services(self, module: str) -> list[psutil.Process]:
        """The running processes of `router` or `worker`, not their minders."""
        found = []
        for process in psutil.Process(self.process.pid).children(recursive=True):
            try:
                words = process.cmdline()
            except psutil.NoSuchProcess:
                continue
            if words[1:4] == ["-P", "-m", module]:
                found.append(process)
        return found

    def family(self) -> list[psutil.Process]:
        """Every process below `up`."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def interrupt(self) -> None:
        """Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    def wait(self) -> int:
        """The exit code; everything that was printed has been read by then."""
        code = self.process.wait(STOP_WITHIN_S)
        for reader in self._readers:
            reader.join(STOP_WITHIN_S)
        return code

    def stop(self) -> None:
        """End it, whatever state it is in."""
        if self.process.poll() is None:
            self.interrupt()
            try:
                self.process.wait(STOP_WITHIN_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.wait()
        self.process.stdout.close()
        self.process.stderr.close()


@contextmanager
def running(*options: str, **environ: str) -> Iterator[Fleet]:
    """A fleet that is ready, gone afterwards."""
    fleet = Fleet(*options, **environ)
    try:
        fleet.wait_ready()
        yield fleet
    finally:
        fleet.stop()


@pytest.fixture(scope="session")
def fleet() -> Iterator[Fleet]:
    """A router and two workers with the embedded model, shared by tests that leave it as they found it."""
    with running("--workers", "2", "--model", "spoken-digits", "--wyoming", str(free_port())) as ready:
        yield ready


@pytest.fixture(scope="session")
def scripted_fleet() -> Iterator[Fleet]:
    """A router and two workers with the scripted engine, which takes any bytes for audio."""
    with running("--workers", "2", "--model", "fake:0.01") as ready:
        yield ready


@pytest.fixture
def start_fleet() -> Iterator[Callable[..., Fleet]]:
    """Start a fleet of the test's own; not waited for, ended at the end."""
    started: list[Fleet] = []

    def start(*options: str, **environ: str) -> Fleet:
        started.append(Fleet(*options, **environ))
        return started[-1]

    yield start
    for one in started:
        one.stop()


@pytest.fixture(scope="session")
def clips() -> dict[str, dict[str, Any]]:
    """The recorded clips: path, words, duration and times of each, by file name."""
    folder = Path(__file__).parents[2] / "samples"
    entries = json.loads((folder / "texts.json").read_text())
    return {
        entry["file"]: entry | {"path": folder / entry["file"]}
        for entry in entries
        if (folder / entry["file"]).exists()
    }
