"""
loading -> warming -> ready -> draining -> stopped; or broken, which ends the process.

The socket listens before the model is there, so that liveness can be told from readiness, and a worker is ready only
after a warm-up clip: the first call of a model costs several times the second.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace

import numpy as np

from fleet.errors import BadRequest, Unavailable
from fleet.serve import EngineLost, StartupError
from fleet.wire import WorkerState
from worker.batcher import Batcher
from worker.window import RATE, DecodeOptions, Engine, EngineBroken, EngineFacts, Piece, Region, Window

WARM_UP_S = 1.0  # seconds of noise
NOT_READY_RETRY_S = 2.0  # a model from a local disk is there within seconds
DRAINING_RETRY_S = 5.0  # by then the router knows, or another worker answers

logger = logging.getLogger(__name__)


class Lifecycle:
    """The state of this process; every change goes through here and is logged."""

    def __init__(self) -> None:
        self.state = WorkerState.LOADING
        self.why: str | None = None
        self._broken: asyncio.Future[EngineBroken] | None = None

    def __repr__(self) -> str:
        return f"<Lifecycle {self.state}>"

    def refusal(self) -> Unavailable | None:
        """Why a request cannot be taken now, if it cannot."""
        if self.state is WorkerState.READY:
            return None
        if self.state in (WorkerState.LOADING, WorkerState.WARMING):
            message = "The model is being loaded. Please retry later."
            return Unavailable(message, code="no_worker", retry_after_s=NOT_READY_RETRY_S)
        message = "This worker is shutting down. Please retry."
        return Unavailable(message, code="draining", retry_after_s=DRAINING_RETRY_S)

    def move(self, state: WorkerState, why: str | None = None) -> None:
        """Enter a state. Nothing comes back from draining."""
        if self.state in (WorkerState.DRAINING, WorkerState.STOPPED) and state is WorkerState.READY:
            return
        self.state, self.why = state, why
        logger.info("worker %s", state, extra={"why": why} if why else {})

    async def run(
        self,
        engine: Engine,
        batcher: Batcher,
        options: Callable[[EngineFacts], DecodeOptions],
        on_loaded: Callable[[EngineFacts], None],
    ) -> None:
        """
        Load, warm up, be ready, and end the process if the engine breaks; raises StartupError, EngineLost.

        `options` are those of a request that names none.
        """
        self._broken = asyncio.get_running_loop().create_future()
        began = time.monotonic()
        await _aside(engine.load)
        self.move(WorkerState.WARMING)
        await _aside(lambda: warm_up(engine, options))
        batcher.start()
        on_loaded(engine.facts)
        self.move(WorkerState.READY)
        logger.info("model ready", extra={"model": engine.facts.model, "seconds": round(time.monotonic() - began, 2)})
        error = await self._broken
        self.move(WorkerState.BROKEN, why="the model's device is lost")
        raise EngineLost(str(error))

    def on_broken(self, error: EngineBroken) -> None:
        """From an engine thread: end the process, on the loop's next turn."""
        broken = self._broken
        if broken is not None:
            broken.get_loop().call_soon_threadsafe(_settle, broken, error)


async def _aside(work: Callable[[], None]) -> None:
    """Do it in a thread that nobody waits for: whoever stops a worker does not wait until its model is here."""
    done: Future[None] = Future()
    done.set_running_or_notify_cancel()  # it can be left, and not cancelled

    def run() -> None:
        try:
            work()
        except BaseException as error:  # the edge of the thread
            done.set_exception(error)
        else:
            done.set_result(None)

    threading.Thread(target=run, name="load").start()  # fleet.start ends a process that it would hold
    await asyncio.wrap_future(done)


def _settle(broken: asyncio.Future[EngineBroken], error: EngineBroken) -> None:
    if not broken.done():
        broken.set_result(error)


def warm_up(engine: Engine, options: Callable[[EngineFacts], DecodeOptions]) -> None:
    """
    One noisy window through the whole path, voice activity included, as a request that names nothing goes.

    Raises StartupError for settings, a card or files with which no request would ever pass.
    """
    if engine.facts.is_scripted:
        return
    noise = np.random.default_rng(0).normal(0, 0.05, int(WARM_UP_S * RATE)).astype(np.float32)
    whole = Window(0, len(noise), (Region(0, len(noise), 0, len(noise)),), is_first=True)
    try:
        wanted = options(engine.facts)
        engine.plan(noise, wanted, lambda: False)
        engine.run([Piece(noise, whole, replace(wanted, temperatures=wanted.temperatures[:1]))], lambda: False)
    except BadRequest as error:
        raise StartupError(f"the settings ask for what the model cannot do: {error.message}") from error
    except (RuntimeError, ValueError, TypeError) as error:  # of the model's library; a device that is lost is another
        raise StartupError(f"the model fails on its first clip: {str(error).splitlines()[0][:200]}") from error
