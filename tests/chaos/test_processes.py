"""Faults that need a real process: its end, its descriptors, its log, its restart. Rows of docs/catalogue.md."""

import asyncio
import os
import resource
import signal
import subprocess
import sys

import aiohttp
import psutil
import pytest

from tests.chaos import rolling
from tests.integration.processes import ask, busy_slots, free_port, router, shows, up, worker

pytestmark = pytest.mark.real


async def test_s07_a_router_killed_in_the_middle_is_back_and_nothing_hangs():
    """kill -9 with requests in flight: their callers see the line cut; the next router serves, and slots are free."""
    held = worker("fake:2")  # none ends in the moment before the kill
    first = router([held])

    async def is_cut(client):
        with pytest.raises(aiohttp.ClientError):
            await ask(client, first.url)

    async with up(held, first) as client:
        async with asyncio.TaskGroup() as group:
            for _ in range(4):
                group.create_task(is_cut(client))
            await busy_slots(client, first.url, 1)
            first.send(signal.SIGKILL)
        again = router([held], port=first.port)
        try:
            await again.wait_ready(client)
            results = await asyncio.gather(*(ask(client, again.url) for _ in range(2)))
            assert {status for status, _ in results} == {200}
        finally:
            again.stop()


async def test_s08_sigterm_at_each_stage_answers_what_is_there_and_refuses_the_rest():
    """One that runs and one that waits are answered; one that comes then is refused, or finds nobody; exit code 0."""
    held = worker("fake:2")
    balancer = router([held])
    async with up(held, balancer) as client, asyncio.TaskGroup() as group:
        running = group.create_task(ask(client, balancer.url))
        await busy_slots(client, balancer.url, 1)
        waiting = group.create_task(ask(client, balancer.url))
        await shows(client, balancer.url, lambda status: status["queue"]["len"] == 1)
        balancer.send(signal.SIGTERM)
        await shows(client, balancer.url, lambda status: status["router"]["state"] == "draining")
        late, _ = await ask(client, balancer.url)
        assert late == 503
        assert ((await running)[0], (await waiting)[0]) == (200, 200)
        assert await balancer.exit_code() == 0


async def test_s14_a_router_that_slept_goes_on_where_it_was():
    """Frozen for longer than probes may take, with requests that run and wait: when it is back, all are answered."""
    held = [worker("fake:2"), worker("fake:2")]  # none may end in the moment before the sleep
    balancer = router(held, "--probe-interval-s", "0.2", "--probe-timeout-s", "0.5")
    async with up(*held, balancer) as client, asyncio.TaskGroup() as group:
        asked = [group.create_task(ask(client, balancer.url)) for _ in range(4)]
        await busy_slots(client, balancer.url, 2)
        balancer.send(signal.SIGSTOP)
        try:
            await asyncio.sleep(3)
            assert not any(task.done() for task in asked)
        finally:
            balancer.send(signal.SIGCONT)
        assert {(await task)[0] for task in asked} == {200}
        assert (await ask(client, balancer.url))[0] == 200


async def test_s05_no_descriptor_is_left_and_then_there_is():
    """More connections than descriptors: no crash, no spinning; when they are gone it serves as before."""
    held = worker("fake:0.01")
    balancer = router([held])
    async with up(held, balancer) as client:
        process = psutil.Process(balancer.process.pid)
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (process.num_fds() + 20, process.num_fds() + 20))
        lines = []
        for _ in range(60):
            try:
                async with asyncio.timeout(2):
                    lines.append(await asyncio.open_connection("127.0.0.1", balancer.port))
            except (OSError, TimeoutError):
                break
        before = sum(process.cpu_times()[:2])
        await asyncio.sleep(2)
        assert sum(process.cpu_times()[:2]) - before < 1.5
        for _, writer in lines:
            writer.close()
        async with asyncio.timeout(30):
            while True:
                try:
                    status, _ = await ask(client, balancer.url)
                    break
                except aiohttp.ClientError:
                    await asyncio.sleep(0.1)
        assert status == 200


@pytest.mark.parametrize("module", ["router", "worker"])
async def test_s15_a_log_that_nobody_reads_stops_nobody(module: str):
    """Its pipe is full long before the last of 600 requests; all are answered, and SIGTERM still drains."""
    held, port = worker("fake:0"), free_port()
    options = ["--workers", held.url] if module == "router" else ["--model", "fake:0"]
    read, write = os.pipe()
    command = [sys.executable, "-m", module, "--port", str(port), "--log-format", "json", "--log-level", "debug"]
    process = subprocess.Popen(  # noqa: ASYNC220  it returns at once
        [*command, *options], stderr=write, stdout=write, start_new_session=True
    )
    os.close(write)
    try:
        async with up(held) as client:
            url = f"http://127.0.0.1:{port}"
            async with asyncio.timeout(60):
                while not await rolling.is_ready(client, url):  # noqa: ASYNC110  no event across processes
                    await asyncio.sleep(0.05)
            name = "x" * 120  # on every line
            for _ in range(60):
                asked = (ask(client, url, **{"X-Request-Id": name}) for _ in range(10))
                assert {status for status, _ in await asyncio.gather(*asked)} == {200}
            process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(process.wait, 30) == 0
        os.set_blocking(read, False)
        # of 64 KiB in pages: what does not fit into the rest of one begins the next, so two pages hold over 4 KiB
        assert len(os.read(read, 1 << 20)) > 30_000, "the pipe was not full: nothing was tried"
    finally:
        os.close(read)
        if process.poll() is None:
            process.kill()
            process.wait()


async def test_s09_one_round_of_rolling_restarts():
    """The small form of `python -m tests.chaos.rolling`: two workers and two routers replaced, nobody notices."""
    tally, replaced = await rolling.roll(requests=100, rounds=1, workers=2, callers=2)
    assert replaced >= 4
    assert not tally.besides("right"), tally.outcomes
