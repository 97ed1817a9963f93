"""Starting and stopping one service, as a process: exit codes and the order of the drain."""

import asyncio
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest
from aiohttp import web

from fleet import serve
from fleet.connection import ConnectionLimits
from fleet.settings import SettingError

SERVICE = """
import asyncio, sys, time
from aiohttp import web
from fleet import serve

class Demo:
    def __init__(self):
        self.app = web.Application()
        self.app.router.add_get("/slow", self.slow)
        self.in_flight, self.done = 0, asyncio.Event()
    def loops(self):
        return [self.tick()]
    async def tick(self):
        {tick}
    async def slow(self, request):
        self.in_flight += 1
        print("in", flush=True)
        await asyncio.sleep(1)
        self.in_flight -= 1
        self.done.set()
        return web.Response(text="done")
    async def drain(self):
        print("draining", flush=True)
        {drain}

sys.exit(serve.run(Demo, host="127.0.0.1", port=int(sys.argv[1]), keepalive_s=5))
"""
FOR_EVER = "print('up', flush=True); await asyncio.sleep(600)"
UNTIL_DONE = "await self.done.wait() if self.in_flight else None"


@pytest.fixture
def start(unused_tcp_port):
    """Start the service with this loop and this drain."""
    started = []

    def service(tick=FOR_EVER, drain=UNTIL_DONE):
        code = SERVICE.format(tick=tick, drain=drain)
        command = [sys.executable, "-c", code, str(unused_tcp_port)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        process.url = f"http://127.0.0.1:{unused_tcp_port}"
        started.append(process)
        return process

    yield service
    for process in started:
        with process:
            process.kill()


def test_drain_answers_what_is_in_flight(start):
    """A request that was running when SIGTERM came gets its answer, and the exit code is 0."""
    service = start()
    assert service.stdout.readline() == "up\n"
    with subprocess.Popen(
        [sys.executable, "-c", f"import urllib.request as u; print(u.urlopen('{service.url}/slow').read())"],
        stdout=subprocess.PIPE,
        text=True,
    ) as caller:
        assert service.stdout.readline() == "in\n"
        service.send_signal(signal.SIGTERM)
        assert caller.stdout.read() == "b'done'\n"

    assert service.wait(20) == 0
    assert service.stdout.read() == "draining\n"


def test_second_signal_stops_at_once(start):
    """A drain that takes for ever can be cut short."""
    service = start(drain="await asyncio.sleep(600)")
    assert service.stdout.readline() == "up\n"
    service.send_signal(signal.SIGINT)
    assert service.stdout.readline() == "draining\n"

    began = time.monotonic()
    service.send_signal(signal.SIGINT)

    assert service.wait(20) == 0
    assert time.monotonic() - began < 10


def test_port_in_use(start, unused_tcp_port):
    """Exit code 3 and one sentence with the names of the settings."""
    with socket.create_server(("127.0.0.1", unused_tcp_port)):
        service = start()
        assert service.wait(20) == 3
    said = service.stderr.read()
    assert said == f"error: 127.0.0.1:{unused_tcp_port} is taken: end what listens there, or choose another PORT.\n"


def test_a_setting_that_only_its_part_understands(capsys):
    """One sentence and exit code 3 there too: with a traceback and 1, it would be tried again for ever."""

    def build():
        raise SettingError("JOBS must be something else.")

    assert serve.run(build, host="127.0.0.1", port=0, keepalive_s=5) == serve.EXIT_STARTUP
    assert capsys.readouterr().err == "error: JOBS must be something else.\n"


async def test_a_host_that_is_none_is_named_in_words(monkeypatch):
    """A resolver's errors have numbers of their own, which the system calls unknown."""

    async def unknown(*given, **more):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "create_server", unknown, raising=False)
    runner = web.AppRunner(web.Application())
    await runner.setup()
    with pytest.raises(serve.StartupError, match="Name or service not known"):
        async with serve.listening(runner, "nowhere.invalid", 1, limits=ConnectionLimits()):
            pass
    await runner.cleanup()


def test_crash(start):
    """A loop that fails ends the process with 1 and its traceback."""
    service = start(tick="1 / 0")
    assert service.wait(20) == 1
    assert "ZeroDivisionError" in service.stderr.read()


def test_startup_error_in_a_loop(start):
    """What cannot be cured by a restart is exit code 3, wherever it is found out."""
    service = start(tick="raise serve.StartupError('there is no such model (MODEL)')")
    assert service.wait(20) == 3
    assert service.stderr.read() == "error: there is no such model (MODEL)\n"


def test_lost_engine_has_its_own_code(start):
    """So that a supervisor can tell a lost device from a crash."""
    assert start(tick="raise serve.EngineLost").wait(20) == 70


def test_serves_until_told(start):
    """The port answers while the loops run."""
    service = start()
    assert service.stdout.readline() == "up\n"
    with urllib.request.urlopen(f"{service.url}/slow", timeout=20) as response:
        assert response.read() == b"done"
