"""The process that forks decode children."""

import os
from pathlib import Path

import psutil
import pytest

from worker import forkserver
from worker.forkserver import ForkServer, environment


def test_the_environment_has_no_secrets(monkeypatch: pytest.MonkeyPatch):
    """It is a list of what is kept, not of what is left out."""
    monkeypatch.setenv("ADMIN_KEY", "canary")
    monkeypatch.setenv("HF_TOKEN", "canary")
    assert "canary" not in str(environment())


def test_children_come_and_go():
    """A killed child is gone and no zombie; a process id that is not a child's is left alone."""
    server = ForkServer()
    line, pid = server.fork()
    try:
        with line:
            assert psutil.pid_exists(pid)
            server.kill(pid)
            assert not psutil.pid_exists(pid)
            server.kill(os.getpid())
    finally:
        server.close()


def test_no_child_outlives_it():
    """Not even one that is busy with a file and would burn a core for minutes until it looks up."""
    server = ForkServer()
    line, pid = server.fork()
    child = psutil.Process(pid)
    child.suspend()
    with line:
        server.close()
    assert not psutil.wait_procs([child], 10)[1]


def test_none_is_started_to_end_a_child():
    """A decode that breaks off as the worker stops would leave a server behind."""
    server = ForkServer()
    server.kill(os.getpid())
    assert server._process is None


@pytest.mark.parametrize("is_to_fork", [True, False])
def test_one_that_hangs_is_replaced(monkeypatch: pytest.MonkeyPatch, is_to_fork: bool):
    """Without a limit every file after it would wait for ever, and those that are told to give up as well."""
    server = ForkServer()
    server.fork()[0].close()
    hung = server._process
    assert hung is not None and server._control is not None
    server._control.settimeout(0.2)
    monkeypatch.setattr(forkserver, "STOP_S", 0.2)
    psutil.Process(hung.pid).suspend()
    try:
        if not is_to_fork:
            server.kill(os.getpid())
        line, pid = server.fork()
        with line:
            assert psutil.Process(pid).ppid() != hung.pid
        assert hung.poll() is not None
    finally:
        server.close()


def test_it_ends_when_the_worker_is_gone():
    """Also when the worker was killed: its end of the line closes."""
    server = ForkServer()
    line, pid = server.fork()
    process = server._process
    assert process is not None and server._control is not None
    server._control.close()
    assert process.wait(10) == 0
    line.close()
    assert not Path(f"/proc/{pid}").exists()
