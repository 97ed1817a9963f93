"""
Real Locust against stand-ins that answer only what OpenAI answers: one stalls, one sheds, one mishears one clip, one
falls silent for good.

All runs go on at once, for each mostly waits.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from loadtest import clips
from loadtest.measure import Figures, all_figures
from loadtest.outcome import Record
from loadtest.run import run
from loadtest.target import Target

Answer = Callable[[bytes], Awaitable[web.Response]]

SHORTS = clips.load(clips.SAMPLES, medium_s=10, long_s=10, seed=1)[clips.SHORT]
MISHEARD = SHORTS[0]
STALL_S, STALL_AFTER_S = 2.0, 6.5  # from the first request: within the open phase, which has 5..10
BASE = ("--scenario", "soak", "--step-s", "2", "--soak-s", "5", "--clients", "2", "--mix", "short")


class Stalls:
    """Answers in 10 ms, except that it stands still once, for two seconds unless told otherwise."""

    def __init__(self, stall_s: float = STALL_S) -> None:
        self._first_at: float | None = None
        self._stall_s = stall_s

    async def __call__(self, body: bytes) -> web.Response:
        now = time.monotonic()
        self._first_at = self._first_at or now
        stall_at = self._first_at + STALL_AFTER_S
        left_s = stall_at + self._stall_s - now if now >= stall_at else 0.0
        await asyncio.sleep(max(0.01, left_s))
        return web.json_response({"text": "hello"})


class Sheds:
    """Answers ten calls a second, refuses the rest at once."""

    def __init__(self) -> None:
        self._tokens, self._at = 1.0, time.monotonic()

    async def __call__(self, body: bytes) -> web.Response:
        now = time.monotonic()
        self._tokens, self._at = min(2.0, self._tokens + 10 * (now - self._at)), now
        if self._tokens < 1:
            error = {"message": "busy", "type": "server_error", "param": None, "code": "overloaded"}
            return web.json_response({"error": error}, status=503, headers={"Retry-After": "1"})
        self._tokens -= 1
        return web.json_response({"text": "hello"})


async def mishears_one(body: bytes) -> web.Response:
    """Knows every clip's words, and gets one clip wrong."""
    clip = next(clip for clip in SHORTS if clip.wav in body)
    return web.json_response({"text": "nine nine nine" if clip is MISHEARD else clip.text.title() + "."})


@asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[str]:
    async def transcriptions(request: web.Request) -> web.Response:
        return await answer(await request.read())

    app = web.Application(client_max_size=1 << 28)
    app.router.add_post("/v1/audio/transcriptions", transcriptions)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def record_of(answer: Answer, *options: str) -> Record:
    async with serving(answer) as url:
        return (await run(Target(url=url), [*BASE, *options], dict(os.environ))).record


@pytest.fixture(scope="module")
def records() -> dict[str, Record]:
    async def all_of_them() -> list[Record]:
        return await asyncio.gather(
            record_of(Stalls(), "--capacity", "20", "--texts", "off"),
            record_of(Sheds(), "--capacity", "100", "--texts", "off"),
            record_of(mishears_one, "--capacity", "20", "--texts", "known"),
            record_of(Stalls(600), "--capacity", "20", "--drain-s", "1", "--texts", "off"),
        )

    return dict(zip(("stalls", "sheds", "mishears", "silent"), asyncio.run(all_of_them()), strict=True))


def phase(record: Record, name: str) -> Figures:
    return next(each for each in all_figures(record) if each.phase == name and each.kind == "all")


def test_a_stall_of_two_seconds_is_in_the_open_loops_p99(records: dict[str, Record]) -> None:
    """
    Calls went on being due while the server stood still, and count from then: P99 is nearly the whole stall.
    """
    found = phase(records["stalls"], "soak")

    assert found.latency_s.p50 is not None and found.latency_s.p50 < 0.5
    assert found.latency_s.p99 is not None and 1.6 < found.latency_s.p99 < 4
    assert found.error_share == 0


def test_the_open_loop_kept_to_its_plan_through_the_stall(records: dict[str, Record]) -> None:
    """
    No half second of the stall is without calls: the answers that did not come held nothing up.
    """
    record = records["stalls"]
    span = next(span for span in record.phases if span.phase == "soak")
    sent = [call.sent_s for call in record.outcomes if call.phase == span.phase]
    lag = phase(record, "soak").generator_lag_s.p95

    gaps = [later - earlier for earlier, later in zip(sorted(sent), sorted(sent)[1:], strict=False)]
    assert max(gaps) < 1.0
    assert lag is not None and lag < 0.3


def test_goodput_of_a_server_that_sheds_stands_apart(records: dict[str, Record]) -> None:
    """
    Sixty calls/s at a server that takes ten: goodput is ten, most is shed, nothing is an error.
    """
    found = phase(records["sheds"], "soak")

    assert 40 < found.offered_per_s < 80
    assert 5 < found.goodput_per_s < 16
    assert found.shed_share > 0.6
    assert (found.error_share, set(found.whys)) == (0, {"503 overloaded"})


def test_a_plain_openai_shaped_endpoint_is_enough(records: dict[str, Record]) -> None:
    """
    No header of the fleet's own is needed: latencies, rates and words are there, the queue's wait is left out.
    """
    found = phase(records["mishears"], "soak")

    assert found.goodput_per_s > 0
    assert found.queue_s.n == 0
    assert found.workers == {}


def test_only_the_clip_that_was_misheard_counts_as_wrong(records: dict[str, Record]) -> None:
    """
    Right words in other spelling are right, however fast the wrong ones come.
    """
    wrong = {call.clip for call in records["mishears"].outcomes if call.heard}

    assert wrong == {MISHEARD.name}


def test_calls_that_were_never_answered_are_errors(records: dict[str, Record]) -> None:
    """
    They are not left out for having no latency.
    """
    found = phase(records["silent"], "soak")

    assert found.error_share > 0.2
    assert set(found.whys) == {"unanswered"}
    assert found.calls == sum(call.phase == "soak" for call in records["silent"].outcomes)
