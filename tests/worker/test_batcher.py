"""Windows of several requests in shared calls: fair, in order, cancellable."""

import asyncio
import threading
import weakref
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest

from fleet.errors import FleetError, Unavailable
from fleet.wire import Segment
from worker.batcher import Batcher
from worker.card import ModelCard
from worker.job import Job
from worker.window import (
    DecodeOptions,
    EngineBroken,
    EngineFacts,
    EngineFull,
    Piece,
    Region,
    Samples,
    VadOptions,
    Window,
    WindowResult,
)

VAD = VadOptions(threshold=0.5, min_speech_ms=0, max_speech_s=30, min_silence_ms=0, speech_pad_ms=0)
OPTIONS = DecodeOptions(language="en", vad=VAD)


def windows(count: int, start: int = 0) -> list[Window]:
    return [Window(at, at + 1, (Region(at, at + 1, at, at + 1),)) for at in range(start, start + count)]


def samples(name: int) -> Samples:
    return np.full(1, name, np.float32)


class RecordingEngine:
    """Answers each window with its start; notes every call as [(clip, window start)]; waits for `go` each time."""

    device = "cpu"
    facts = EngineFacts(
        model="m",
        device="cpu",
        compute_type="",
        languages=("en", "de"),
        can_translate=False,
        is_scripted=True,
        card=ModelCard(),
    )

    def __init__(self) -> None:
        self.calls: list[list[tuple[int, int]]] = []
        self.go = threading.Semaphore(1_000)
        self.rest: dict[int, int] = {}  # window start -> where the model stops early
        self.fails: Exception | None = None

    def load(self) -> None: ...

    def plan(self, samples: Samples, options: DecodeOptions, is_cancelled: Callable[[], bool]) -> list[Window]:
        return []

    def key(self, piece: Piece) -> Hashable:
        return piece.options.beam_size

    def run(self, pieces: Sequence[Piece], is_cancelled: Callable[[], bool]) -> list[WindowResult]:
        self.go.acquire()
        if self.fails is not None:
            raise self.fails
        self.calls.append([(int(piece.samples[0]), piece.window.start) for piece in pieces])
        return [self._result(piece) for piece in pieces]

    def sequential(self, samples: Samples, options: DecodeOptions) -> Iterator[WindowResult]:
        for window in windows(3):
            self.calls.append([(int(samples[0]), window.start)])
            yield self._result(Piece(samples, window, options))

    def _result(self, piece: Piece) -> WindowResult:
        at = piece.window.start
        segment = Segment(id=0, start=at, end=at + 1, text=f" {at}")
        return WindowResult(segments=(segment,), language="de", resume_at=self.rest.pop(at, None))


@pytest.fixture
def engine() -> RecordingEngine:
    return RecordingEngine()


def make(engine: RecordingEngine, windows_per_call: int = 4, on_broken: Callable[..., None] = print) -> Batcher:
    return Batcher(engine, windows_per_call=windows_per_call, on_broken=on_broken)


async def texts(job: Job) -> list[str]:
    return [segment.text.strip() async for result in job.results() for segment in result.segments]


async def test_two_requests_share_calls_turn_by_turn(engine: RecordingEngine):
    """Each call has windows of both; neither waits for the whole of the other."""
    batcher = make(engine, windows_per_call=2)
    with batcher.run(samples(1), windows(3), OPTIONS) as one, batcher.run(samples(2), windows(3), OPTIONS) as two:
        batcher.start()
        async with asyncio.TaskGroup() as group:
            answers = [group.create_task(texts(job)) for job in (one, two)]
    batcher.stop()
    assert [answer.result() for answer in answers] == [["0", "1", "2"]] * 2
    assert [sorted(call) for call in engine.calls] == [[(1, at), (2, at)] for at in range(3)]


async def test_a_call_alone_is_filled_with_windows_of_the_same_request(engine: RecordingEngine):
    """One caller has the whole batch to itself."""
    batcher = make(engine)
    with batcher.run(samples(1), windows(6), OPTIONS) as job:
        batcher.start()
        assert await texts(job) == [str(at) for at in range(6)]
    batcher.stop()
    assert [len(call) for call in engine.calls] == [4, 2]


async def test_only_equal_keys_share_a_call(engine: RecordingEngine):
    """A beam of another size goes alone."""
    batcher, other = make(engine), replace(OPTIONS, beam_size=1)
    with batcher.run(samples(1), windows(1), OPTIONS) as one, batcher.run(samples(2), windows(1), other) as two:
        batcher.start()
        assert (await texts(one), await texts(two)) == (["0"], ["0"])
    batcher.stop()
    assert [len(call) for call in engine.calls] == [1, 1]


async def test_the_language_is_heard_before_windows_share_a_call(engine: RecordingEngine):
    """A request that names no language gets it from its first window, which therefore goes ahead of its others."""
    batcher = make(engine)
    with batcher.run(samples(1), windows(3), replace(OPTIONS, language=None)) as job:
        batcher.start()
        await texts(job)
        assert job.options.language == "de"
    batcher.stop()
    assert [len(call) for call in engine.calls] == [1, 2]


async def test_what_the_model_leaves_of_a_window_comes_before_the_windows_after_it(engine: RecordingEngine):
    """A window that is taken up again keeps its place in the text, however calls are filled."""
    batcher = make(engine)
    whole = [Window(0, 10, (Region(0, 10, 0, 10),)), *windows(2, start=20)]
    engine.rest = {0: 5, 5: 8}
    with batcher.run(samples(1), whole, OPTIONS) as job:
        batcher.start()
        assert await texts(job) == ["0", "5", "8", "20", "21"]
    batcher.stop()


async def test_a_cancelled_request_costs_at_most_the_running_call(engine: RecordingEngine):
    """Leaving the block drops the windows that are not under way."""
    batcher = make(engine, windows_per_call=1)
    engine.go = threading.Semaphore(0)
    with batcher.run(samples(1), windows(50), OPTIONS):
        batcher.start()
    with batcher.run(samples(2), windows(1), OPTIONS) as job:
        engine.go.release(1_000)
        assert await texts(job) == ["0"]
    batcher.stop()
    assert sum(clip == 1 for call in engine.calls for clip, _ in call) <= 1


async def test_no_windows_is_an_end(engine: RecordingEngine):
    """A clip without windows ends at once, without a call."""
    batcher = make(engine)
    with batcher.run(samples(1), [], OPTIONS) as job:
        batcher.start()
        assert await texts(job) == []
    batcher.stop()
    assert engine.calls == []


async def test_sequential_decodes_take_turns_with_the_others(engine: RecordingEngine):
    """A request that needs one window after the other does not hold the engine between two of them."""
    batcher = make(engine, windows_per_call=1)
    in_order = replace(OPTIONS, vad=None)
    with batcher.run(samples(1), [], in_order) as one, batcher.run(samples(2), windows(3), OPTIONS) as two:
        batcher.start()
        async with asyncio.TaskGroup() as group:
            answers = [group.create_task(texts(job)) for job in (one, two)]
    batcher.stop()
    assert [answer.result() for answer in answers] == [["0", "1", "2"]] * 2
    assert [clip for call in engine.calls for clip, _ in call] == [1, 2, 1, 2, 1, 2]


async def test_a_failed_call_is_everybodys_error_and_nobodys_secret(engine: RecordingEngine):
    """Who was aboard gets our error, not the engine's words; the thread lives on."""
    batcher = make(engine)
    engine.fails = RuntimeError("0xdeadbeef in /secret/path")
    with batcher.run(samples(1), windows(1), OPTIONS) as job:
        batcher.start()
        with pytest.raises(FleetError) as failed:
            await texts(job)
    assert "secret" not in str(failed.value)
    engine.fails = None
    with batcher.run(samples(1), windows(1), OPTIONS) as job:
        assert await texts(job) == ["0"]
    batcher.stop()


async def test_a_request_that_the_engine_cannot_place_fails_alone(engine: RecordingEngine, monkeypatch):
    """What may share a call is asked for each window: where that fails, the others and the thread live on."""
    place = engine.key

    def key(piece: Piece) -> Hashable:
        if piece.options.prompt == "odd":
            raise TypeError
        return place(piece)

    def run(pieces: Sequence[Piece], is_cancelled: Callable[[], bool]) -> list[WindowResult]:
        assert all(key(piece) for piece in pieces)
        return [engine._result(piece) for piece in pieces]

    monkeypatch.setattr(engine, "key", key)
    monkeypatch.setattr(engine, "run", run)
    batcher, odd = make(engine), replace(OPTIONS, prompt="odd")
    with batcher.run(samples(1), windows(3), OPTIONS) as one, batcher.run(samples(2), windows(3), odd) as two:
        batcher.start()
        assert await texts(one) == ["0", "1", "2"]
        with pytest.raises(FleetError):
            await texts(two)
    with batcher.run(samples(3), windows(1), OPTIONS) as job:
        assert await texts(job) == ["0"]
    batcher.stop()


async def test_a_request_that_breaks_its_call_breaks_nobody_elses(engine: RecordingEngine, monkeypatch):
    """What failed together is tried alone: the one that is at fault gets the error, the others their text."""
    answer = engine.run

    def run(pieces: Sequence[Piece], is_cancelled: Callable[[], bool]) -> list[WindowResult]:
        if any(piece.options.prompt == "odd" for piece in pieces):
            raise RuntimeError("alignment failed")
        return answer(pieces, is_cancelled)

    monkeypatch.setattr(engine, "run", run)
    batcher, odd = make(engine), replace(OPTIONS, prompt="odd")
    with (
        batcher.run(samples(1), windows(3), OPTIONS) as one,
        batcher.run(samples(2), windows(3), odd) as two,
        batcher.run(samples(3), windows(2), OPTIONS) as three,
    ):
        batcher.start()
        assert (await texts(one), await texts(three)) == (["0", "1", "2"], ["0", "1"])
        with pytest.raises(FleetError):
            await texts(two)
    batcher.stop()
    assert all(clip != 2 for call in engine.calls for clip, _ in call)
    assert max(len(call) for call in engine.calls) > 1  # whoever has shown to be well shares again


async def test_an_idle_batcher_holds_nobodys_clip(engine: RecordingEngine):
    """Four hours of audio are a gigabyte; the next request may be hours off."""

    class Clip(np.ndarray):
        """Can be referred to weakly."""

    batcher = make(engine)
    batcher.start()
    for options in (OPTIONS, replace(OPTIONS, vad=None)):
        clip = samples(1).view(Clip)
        held = weakref.ref(clip)
        with batcher.run(clip, windows(2), options) as job:
            await texts(job)
        del clip, job
        async with asyncio.timeout(10):
            while held() is not None:  # noqa: ASYNC110  the engine's thread lets go of it
                await asyncio.sleep(0.01)
    batcher.stop()


async def test_a_lost_device_is_reported(engine: RecordingEngine):
    """The process must end: whoever watches is told."""
    lost: list[EngineBroken] = []
    batcher = make(engine, on_broken=lost.append)
    engine.fails = EngineBroken("CUDA failed with error unspecified launch failure")
    with batcher.run(samples(1), windows(1), OPTIONS) as job:
        batcher.start()
        with pytest.raises(FleetError):
            await texts(job)
    batcher.stop()
    assert len(lost) == 1


async def test_stopping_gives_every_job_an_answer(engine: RecordingEngine):
    """Nobody is left waiting for a thread that has ended."""
    batcher = make(engine)
    with batcher.run(samples(1), windows(1), OPTIONS) as job:
        batcher.stop()
        with pytest.raises(FleetError) as stopped:
            await texts(job)
    assert stopped.value.code == "draining"


class SmallEngine(RecordingEngine):
    """A device with room for so many windows a call."""

    room = 1

    def run(self, pieces: Sequence[Piece], is_cancelled: Callable[[], bool]) -> list[WindowResult]:
        if len(pieces) > self.room:
            raise EngineFull("CUDA failed with error out of memory")
        return super().run(pieces, is_cancelled)


async def test_a_full_device_gets_half_as_many_windows_and_nobody_an_error():
    """Whoever was aboard is tried again in smaller calls, in the order in which they came."""
    engine = SmallEngine()
    batcher = make(engine, windows_per_call=4)
    with batcher.run(samples(1), windows(3), OPTIONS) as one, batcher.run(samples(2), windows(2), OPTIONS) as two:
        batcher.start()
        assert (await texts(one), await texts(two)) == (["0", "1", "2"], ["0", "1"])
    batcher.stop()
    assert [len(call) for call in engine.calls] == [1] * 5
    assert [call[0] for call in engine.calls[:2]] == [(1, 0), (2, 0)]


async def test_a_device_that_has_room_again_gets_large_calls_again(monkeypatch: pytest.MonkeyPatch):
    """Somebody else's memory may be free by now; a worker that stays at half for ever is half as fast for ever."""
    monkeypatch.setattr("worker.batcher.FINE_CALLS", 3)
    engine = SmallEngine()
    batcher = make(engine, windows_per_call=4)
    with batcher.run(samples(1), windows(2), OPTIONS) as job:
        batcher.start()
        await texts(job)
    engine.room = 4
    with batcher.run(samples(1), windows(30), OPTIONS) as job:
        assert await texts(job) == [str(at) for at in range(30)]
    batcher.stop()
    assert [len(call) for call in engine.calls[-4:-1]] == [4, 4, 4]
    assert [len(call) for call in engine.calls[:8]] == [1, 1, 1, 2, 2, 2, 4, 4]


async def test_a_full_device_that_has_no_room_for_one_window_is_busy(engine: RecordingEngine):
    """503, so that a router takes the request elsewhere; the worker goes on with fewer windows a call."""
    batcher = make(engine, windows_per_call=4)
    engine.fails = EngineFull("CUDA failed with error out of memory")
    with batcher.run(samples(1), windows(4), OPTIONS) as job:
        batcher.start()
        with pytest.raises(Unavailable) as full:
            await texts(job)
    assert (full.value.status, full.value.code) == (503, "overloaded")
    engine.fails = None
    with batcher.run(samples(1), windows(4), OPTIONS) as job:
        assert await texts(job) == ["0", "1", "2", "3"]
    batcher.stop()
    assert [len(call) for call in engine.calls] == [1] * 4


async def test_a_device_that_is_always_full_is_asked_for_one_window_at_last(engine: RecordingEngine):
    """Halving ends at one, never at none."""
    batcher = make(engine, windows_per_call=4)
    batcher.start()
    engine.fails = EngineFull("out of memory")
    for _ in range(5):
        with batcher.run(samples(1), windows(2), OPTIONS) as job, pytest.raises(Unavailable):
            await texts(job)
    engine.fails = None
    with batcher.run(samples(1), windows(2), OPTIONS) as job:
        assert await texts(job) == ["0", "1"]
    batcher.stop()
    assert [len(call) for call in engine.calls] == [1, 1]
