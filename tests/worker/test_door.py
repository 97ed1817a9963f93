"""One request through the door, with a scripted engine behind it."""

import asyncio
import io
import time

import pytest

from fleet.errors import DeadlineExceeded
from fleet.fields import parse_request
from fleet.wire import Tier
from worker import fake
from worker.batcher import Batcher
from worker.clip import AudioLimits
from worker.decoding import decode_options
from worker.door import Door, Visit
from worker.gate import Admission, Gate
from worker.lifecycle import Lifecycle
from worker.metrics import WorkerMetrics
from worker.report import Reporter
from worker.settings import WorkerSettings
from worker.transcribe import Transcriber

CLIP = bytes(64_000)  # two seconds for the scripted engine


@pytest.fixture
def make():
    """Doors before engines that take so many seconds."""
    stopped = []

    def build(seconds: float) -> tuple[Door, Gate, Reporter]:
        engine = fake.ScriptedEngine("fake", seconds)
        batcher = Batcher(engine, windows_per_call=1)
        batcher.start()
        transcriber = Transcriber(engine, batcher, fake.decode, limits=AudioLimits(), threads=1)
        gate = Gate(slots=1, queue_limit=2)
        reporter = Reporter(WorkerSettings(), gate, Lifecycle())
        stopped.extend([transcriber.close, batcher.stop])
        return Door(gate, transcriber, reporter, WorkerMetrics()), gate, reporter

    yield build
    for stop in stopped:
        stop()


def options():
    facts = fake.ScriptedEngine("fake", 0.0).facts
    return decode_options(parse_request([]), WorkerSettings(), facts)


def visit_of(patience_s: float = 30.0) -> Visit:
    return Visit(admission=Admission(Tier.REALTIME, 1.0), deadline=time.monotonic() + patience_s)


async def test_segments_come_in_order_and_everything_is_accounted_for(make):
    """Wait, duration, work: known at the end; nobody left inside."""
    door, gate, _ = make(0.0)
    visit = visit_of()
    with door.enter(visit):
        segments = [segment async for segment in door.segments(io.BytesIO(CLIP), options(), visit)]

    assert [segment.id for segment in segments] == [0, 1, 2]
    assert visit.progress.duration_s == 2.0
    assert (gate.in_flight, gate.queue_depth) == (0, 0)


async def test_a_deadline_ends_the_work_and_frees_the_slot(make):
    """Nobody waits any more: the engine is not kept busy for it."""
    door, gate, _ = make(30.0)
    visit = visit_of(patience_s=0.2)
    started = time.monotonic()
    with pytest.raises(DeadlineExceeded), door.enter(visit):
        async for _ in door.segments(io.BytesIO(CLIP), options(), visit):
            pass

    assert time.monotonic() - started < 10
    assert gate.in_flight == 0


async def test_a_caller_who_leaves_frees_the_slot_for_the_next(make):
    """Cancelled in the middle of the clip."""
    door, gate, _ = make(0.6)

    async def transcribe() -> int:
        visit = visit_of()
        with door.enter(visit):
            return len([one async for one in door.segments(io.BytesIO(CLIP), options(), visit)])

    async with asyncio.TaskGroup() as group:
        leaving = group.create_task(transcribe())
        while not gate.in_flight:  # noqa: ASYNC110  the gate has no such event
            await asyncio.sleep(0.01)
        staying = group.create_task(transcribe())
        leaving.cancel()
    assert staying.result() == 3
