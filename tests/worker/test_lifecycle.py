"""loading -> warming -> ready -> draining; broken ends the process."""

import asyncio

import pytest

from fleet.serve import EngineLost, StartupError
from fleet.wire import WorkerState
from worker.batcher import Batcher
from worker.fake import ScriptedEngine
from worker.lifecycle import Lifecycle
from worker.window import EngineBroken


class BadEngine(ScriptedEngine):
    """Cannot load."""

    def load(self) -> None:
        raise StartupError("no such model")


async def test_states_come_in_order_and_a_lost_device_ends_the_process():
    """Ready only after warming; EngineLost is what `serve` turns into exit code 70."""
    states: list[WorkerState] = []
    life = Lifecycle(on_change=states.append)
    engine = ScriptedEngine("fake:0", 0)
    batcher = Batcher(engine, windows_per_call=1)
    ready = asyncio.Event()
    with pytest.raises(ExceptionGroup) as ended:
        async with asyncio.TaskGroup() as group:
            group.create_task(life.run(engine, batcher, lambda facts: ready.set()))
            await ready.wait()
            life.on_broken(EngineBroken("CUDA error"))
    batcher.stop()
    assert ended.group_contains(EngineLost)
    assert states == [WorkerState.WARMING, WorkerState.READY, WorkerState.BROKEN]


async def test_a_model_that_does_not_load_is_a_startup_error():
    """Told apart from a crash, because a restart will not cure it."""
    engine = BadEngine("fake:0", 0)
    with pytest.raises(StartupError):
        await Lifecycle().run(engine, Batcher(engine, windows_per_call=1), lambda facts: None)


def test_nothing_comes_back_from_draining():
    """A model that is loaded while the worker drains does not make it ready."""
    life = Lifecycle()
    life.move(WorkerState.DRAINING)
    life.move(WorkerState.READY)
    assert life.state is WorkerState.DRAINING
    refusal = life.refusal()
    assert refusal is not None
    assert refusal.code == "draining"


@pytest.mark.parametrize(
    ("state", "code"),
    [(WorkerState.LOADING, "no_worker"), (WorkerState.WARMING, "no_worker"), (WorkerState.BROKEN, "draining")],
)
def test_refusals_say_why_and_when_to_come_back(state: WorkerState, code: str):
    """Every one is a 503 with Retry-After."""
    life = Lifecycle()
    life.move(state)
    refusal = life.refusal()
    assert refusal is not None
    assert refusal.code == code
    assert "Retry-After" in refusal.headers()
