"""The threads that listen."""

import asyncio
import subprocess
import sys
import threading

import pytest

from fleet.errors import NotFound
from router.realtime import ears
from router.realtime.config import Encoding
from router.realtime.ears import Ears
from router.realtime.track import RATE, WIDTH
from tests.router.scripted import until


async def test_what_is_heard_is_complete():
    """A second of silence at 8 kHz, in pieces: a second at 16 kHz, and a low probability for each 32 ms of it."""
    pool = Ears()
    ear = await pool.open(Encoding.PCMU)
    parts = [await ear.hear(b"\xff" * 1000) for _ in range(8)] + [await ear.finish()]
    pool.close()
    assert sum(len(pcm) for pcm, _ in parts) == RATE * WIDTH
    heard = [probability for _, found in parts for probability in found]
    assert len(heard) == RATE // 512
    assert max(heard) < 0.3


async def test_the_event_loop_turns_meanwhile():
    """Work is done in another thread; whoever calls waits for it."""
    pool, started, release = Ears(), threading.Event(), threading.Event()

    def work() -> str:
        started.set()
        release.wait(20)
        return threading.current_thread().name

    async def let_go() -> None:
        await until(started.is_set)
        release.set()

    name, _ = await asyncio.gather(pool.run(work), let_go())
    pool.close()
    assert name.startswith("ears")


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch):
    """With the extra that brings it."""
    Ears().check()
    monkeypatch.setattr(ears, "NEEDED", ("no_such_module",))
    with pytest.raises(NotFound, match=r"no_such_module.*whisper-fleet\[realtime\]"):
        Ears().check()


def test_a_router_without_the_extra_starts():
    """None of what the extra brings is loaded before somebody listens."""
    code = "import sys; sys.modules.update(dict.fromkeys(['numpy', 'soxr', 'onnxruntime'])); import router.app"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
