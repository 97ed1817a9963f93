"""Restart, back-off and stop, with real processes that stand in for services."""

import asyncio
import errno
import os
import signal
from contextlib import asynccontextmanager

import aiohttp
import pytest

from fleet.supervise import Happening, Keeper, ServiceFailed, ended, pause_s


class Record:
    """A listener that remembers."""

    def __init__(self):
        self.events, self.lines = [], []

    def on_line(self, name, line):
        self.lines.append(line)

    def happenings(self, happening):
        return [event for event in self.events if event.happening is happening]

    @property
    def pids(self):
        return [int(line.split()[1]) for line in self.lines if line.startswith("serving")]


@asynccontextmanager
async def kept(spec):
    """A running keeper and its record; stopped at the end."""
    record = Record()
    async with aiohttp.ClientSession() as http, asyncio.TaskGroup() as group:
        keeper = Keeper(spec, http=http, on_event=record.events.append, on_line=record.on_line)
        group.create_task(keeper.run())
        yield keeper, record
        await keeper.stop()


def test_pause_doubles_up_to_half_a_minute():
    """0.5 s after the first ending, doubling, never over 30 s."""
    assert [pause_s(failures) for failures in range(1, 9)] == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert pause_s(10_000) == 30


async def test_killed_service_comes_back(serving, unused_tcp_port, eventually):
    """After kill -9 a new process becomes ready on the same port."""
    async with kept(serving(unused_tcp_port)) as (keeper, record):
        await keeper.ready.wait()
        keeper.fleet_is_ready()

        os.kill(record.pids[0], signal.SIGKILL)

        await eventually(lambda: len(record.happenings(Happening.READY)) == 2, what="a second start")
        ended = record.happenings(Happening.ENDED)[0]
        assert (ended.code, ended.pause_s) == (128 + 9, 0.5)
        assert record.happenings(Happening.READY)[1].starts == 2
        assert "2 starts" in repr(keeper)


async def test_stop_drains(serving, unused_tcp_port, is_alive):
    """A stopped service was asked to finish, is gone afterwards, and is not started again."""
    async with kept(serving(unused_tcp_port)) as (keeper, record):
        await keeper.ready.wait()
        await keeper.stop()

    assert record.lines[-1] == "draining"
    assert not is_alive(record.pids[0])
    assert not record.happenings(Happening.ENDED)


async def test_stop_before_ready(standin):
    """A service that never becomes ready can still be stopped."""
    async with kept(standin("import time; print('up', flush=True); time.sleep(600)")) as (keeper, _):
        await keeper.stop()
        assert not keeper.ready.is_set()


async def test_stop_during_the_pause(standin, eventually):
    """Stopping does not wait for the back-off to pass."""
    async with kept(standin("pass")) as (keeper, record):
        keeper.fleet_is_ready()
        await eventually(lambda: len(record.events) >= 3, what="a pause of two seconds")
        async with asyncio.timeout(1.5):
            await keeper.stop()


async def test_a_process_that_cannot_be_made_is_tried_again(serving, unused_tcp_port, eventually, monkeypatch):
    """The system may be out of memory or of processes for a moment: no reason to end the whole fleet."""
    real, refused = asyncio.create_subprocess_exec, []

    async def scarce(*command, **options):
        if len(refused) < 2:
            refused.append(command)
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        return await real(*command, **options)

    monkeypatch.setattr(asyncio, "create_subprocess_exec", scarce)
    async with kept(serving(unused_tcp_port)) as (keeper, record):
        await eventually(keeper.ready.is_set, what="a third start")
    assert record.lines[0] == "error: cannot be started: Resource temporarily unavailable"
    assert [event.code for event in record.happenings(Happening.ENDED)] == [1, 1]


async def test_startup_error_ends_everything(standin):
    """Exit code 3 before the fleet was ready is final, with the service's own sentence."""
    code = "import sys; print('log line'); print('error: there is no model named nonsense'); sys.exit(3)"

    with pytest.raises(ExceptionGroup) as caught:
        async with kept(standin(code)) as (keeper, record):
            await keeper.ready.wait()

    failure = caught.value.exceptions[0]
    assert isinstance(failure, ServiceFailed)
    assert (str(failure), failure.code) == ("worker-1: there is no model named nonsense", 3)
    assert record.lines.count("log line") == 1


async def test_third_crash_before_ready_is_the_last(standin):
    """A service that only crashes is not tried for ever, and its last line is told."""
    with pytest.raises(ExceptionGroup) as caught:
        async with kept(standin("print('boom', flush=True); 1 / 0")) as (keeper, record):
            await keeper.ready.wait()

    failure = caught.value.exceptions[0]
    assert failure.code == 1
    assert "ZeroDivisionError" in str(failure)
    assert record.lines.count("boom") == 3


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (137, "was killed by SIGKILL"),
        (139, "was killed by SIGSEGV"),
        (1, "ended with exit code 1"),
        (255, "ended with exit code 255"),
    ],
)
def test_an_ending_in_words(code, said):
    """A signal by its name; a number that is no signal's stays a number."""
    assert ended(code) == said


async def test_startup_error_later_is_tried_again(standin, eventually):
    """Once the fleet was ready, exit code 3 is an accident like any other."""
    async with kept(standin("raise SystemExit(3)")) as (keeper, record):
        keeper.fleet_is_ready()
        await eventually(lambda: len(record.events) >= 2, what="a second ending")
        assert [event.pause_s for event in record.events[:2]] == [0.5, 1]
