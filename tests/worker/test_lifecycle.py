"""loading -> warming -> ready -> draining; broken ends the process."""

import asyncio
import logging
import threading
from dataclasses import replace
from typing import Any

import pytest

from fleet.fields import TranscriptionRequest
from fleet.serve import EngineLost, StartupError
from fleet.wire import WorkerState
from worker.batcher import Batcher
from worker.decoding import decode_options
from worker.fake import ScriptedEngine
from worker.lifecycle import Lifecycle, warm_up
from worker.settings import WorkerSettings
from worker.window import DecodeOptions, EngineBroken, EngineFacts, Window, WindowResult


class BadEngine(ScriptedEngine):
    """Cannot load."""

    def load(self) -> None:
        raise StartupError("no such model")


def plain(facts: EngineFacts) -> DecodeOptions:
    return decode_options(TranscriptionRequest(), WorkerSettings(), facts)


class Unscripted(ScriptedEngine):
    """Passes for a real model, and notes what it was asked for."""

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__("fake:0", 0)
        self.facts = replace(self.facts, is_scripted=False, languages=("en", "de"), can_translate=False)
        self.error = error
        self.asked: list[str] = []

    def plan(self, *given: Any) -> list[Window]:
        self.asked.append("plan")
        return super().plan(*given)

    def run(self, *given: Any) -> list[WindowResult]:
        self.asked.append("run")
        if self.error is not None:
            raise self.error
        return super().run(*given)


def test_warming_up_goes_the_whole_way_of_a_request():
    """With voice activity, as the settings and the card say."""
    engine = Unscripted()
    warm_up(engine, plain)
    assert engine.asked == ["plan", "run"]


@pytest.mark.parametrize(
    ("engine", "settings"),
    [
        (Unscripted(RuntimeError("the model's configuration is null\nand more")), WorkerSettings()),
        (Unscripted(), WorkerSettings(language="french")),
    ],
)
def test_what_would_fail_for_every_request_fails_at_the_start(engine: Unscripted, settings: WorkerSettings):
    """One sentence; a restart would not cure it."""
    with pytest.raises(StartupError) as failed:
        warm_up(engine, lambda facts: decode_options(TranscriptionRequest(), settings, facts))
    assert "\n" not in str(failed.value)


def test_a_device_that_is_lost_while_warming_up_is_no_startup_error():
    """A new process may have it back."""
    with pytest.raises(EngineBroken):
        warm_up(Unscripted(EngineBroken("CUDA error")), plain)


async def test_states_come_in_order_and_a_lost_device_ends_the_process(caplog: pytest.LogCaptureFixture):
    """Ready only after warming; EngineLost is what `serve` turns into exit code 70."""
    caplog.set_level(logging.INFO)
    life = Lifecycle()
    engine = ScriptedEngine("fake:0", 0)
    batcher = Batcher(engine, windows_per_call=1)
    ready = asyncio.Event()
    with pytest.raises(ExceptionGroup) as ended:
        async with asyncio.TaskGroup() as group:
            group.create_task(life.run(engine, batcher, plain, lambda facts: ready.set()))
            await ready.wait()
            life.on_broken(EngineBroken("CUDA error"))
    batcher.stop()
    assert ended.group_contains(EngineLost)
    said = [message for message in caplog.messages if message.startswith("worker ")]
    assert said == ["worker warming", "worker ready", "worker broken"]


async def test_a_model_that_does_not_load_is_a_startup_error():
    """Told apart from a crash, because a restart will not cure it."""
    engine = BadEngine("fake:0", 0)
    with pytest.raises(StartupError):
        await Lifecycle().run(engine, Batcher(engine, windows_per_call=1), plain, lambda facts: None)


async def test_a_worker_that_is_stopped_does_not_wait_for_its_model():
    """It may take an hour to come; the loop must stay free for a second signal as well."""
    begun, let_go = threading.Event(), threading.Event()

    class Slow(ScriptedEngine):
        def load(self) -> None:
            begun.set()
            let_go.wait(20)

    engine = Slow("fake:0", 0)
    lifecycle = Lifecycle()
    running = asyncio.create_task(  # noqa: TID251  cancelled below, as a signal does
        lifecycle.run(engine, Batcher(engine, windows_per_call=1), plain, lambda _: None)
    )
    try:
        await asyncio.to_thread(begun.wait, 20)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert not let_go.is_set()
        assert lifecycle.state is WorkerState.LOADING
    finally:
        let_go.set()


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
