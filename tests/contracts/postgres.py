"""A Postgres of the tests' own: on 127.0.0.1, as a user that is not root, in a folder that goes with it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.integration.processes import free_port
from tests.programs import missing

NOBODY = 65534  # Postgres refuses to run as root
START_WITHIN_S = 60
MISSING = missing("PostgreSQL", "postgresql")


def program(name: str) -> str | None:
    """Where Debian puts it, which is not on the path."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)
    return str(found[0]) if found else shutil.which(name)


@contextmanager
def postgres() -> Iterator[str]:
    """The URL of a server that is up; skips the test where there is none."""
    initdb, server = program("initdb"), program("postgres")
    if initdb is None or server is None or (os.getuid() == 0 and shutil.which("setpriv") is None):
        pytest.skip(MISSING)
    as_user = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"] if os.getuid() == 0 else []
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    if as_user:
        os.chown(folder, NOBODY, NOBODY)
    port = free_port()
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder}
    made = [
        *as_user,
        initdb,
        "-D",
        str(folder / "data"),
        "-U",
        "fleet",
        "-A",
        "trust",
        "-N",
        "-E",
        "UTF8",
        "--locale=C",
    ]
    subprocess.run(made, check=True, **quiet)
    options = ["-D", str(folder / "data"), "-h", "127.0.0.1", "-p", str(port), "-k", str(folder)]
    process = subprocess.Popen([*as_user, server, *options], **quiet)
    url = f"postgresql://fleet@127.0.0.1:{port}/postgres"
    try:
        _wait(url)
        yield url
    finally:
        process.send_signal(signal.SIGINT)  # at once, whoever is connected
        process.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


def _wait(url: str) -> None:
    deadline = time.monotonic() + START_WITHIN_S
    while True:
        try:
            psycopg.connect(url, connect_timeout=2).close()
        except psycopg.OperationalError:
            assert time.monotonic() < deadline, "Postgres did not start"
            time.sleep(0.05)
        else:
            return
