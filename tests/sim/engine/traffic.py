"""Callers: which clips they bring, when, and how OpenAI's client tries again."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random

from fleet.errors import FleetError
from router.upstream import Lease
from tests.sim.engine.house import Desk, House, Order
from tests.sim.engine.machine import COST

MIX = ((0.70, 2, 15), (0.25, 30, 300), (0.05, 600, 3600))  # share, seconds of audio from and to
SHORT_S, LONG_S = 15, 600  # at most, at least
RETRIED = frozenset({408, 409, 429, 500, 502, 503, 504})
HONOURED_S = 120  # the client follows a Retry-After up to this


@dataclass(slots=True, kw_only=True)
class Story:
    """What one caller lived through."""

    order: Order
    arrived_at: float
    started_at: float | None = None  # when a worker's slot began to work on it, for the last time
    ended_at: float | None = None
    status: int = 0
    code: str = ""
    uploads: int = 0
    attempts: int = 0
    worker: str = ""
    told_s: float | None = None  # the first Retry-After

    @property
    def wait_s(self) -> float:
        """From arrival until work on it began."""
        assert self.started_at is not None
        return self.started_at - self.arrived_at

    @property
    def is_served(self) -> bool:
        """Whether the caller got a transcript."""
        return self.status == 200


def audio_s(rng: Random) -> float:
    """Seconds of one clip of the mix."""
    _, low, high = rng.choices(MIX, [share for share, _, _ in MIX])[0]
    return rng.uniform(low, high)


MEAN_WORK_S = sum(share * COST.seconds((low + high) / 2) for share, low, high in MIX)


def mixed(rng: Random, *, load: float, slots: int, count: int, sigma: float = 0.5) -> list[tuple[float, Order]]:
    """`count` clips of the mix, Poisson arrivals at `load` of what the slots can do; sizes guessed wrong by `sigma`."""
    rate = load * slots / MEAN_WORK_S
    at, arrivals = 0.0, []
    for _ in range(count):
        at += rng.expovariate(rate)
        length = audio_s(rng)
        arrivals.append((at, Order(audio_s=length, guess_s=length * rng.lognormvariate(0, sigma))))
    return arrivals


def poisson(rng: Random, rate: float | Callable[[float], float], until_s: float) -> Iterator[float]:
    """Arrival times; `rate` in requests per second, or a function of time that stays below its value at its peak."""
    peak = rate if isinstance(rate, float | int) else max(rate(t) for t in range(int(until_s) + 1))
    at = 0.0
    while (at := at + rng.expovariate(peak)) < until_s:
        if isinstance(rate, float | int) or rng.random() < rate(at) / peak:
            yield at


class Callers:
    """OpenAI's Python client, many of them: after a refusal as told by Retry-After, else 0.5 s doubling to 8 s."""

    def __init__(self, house: House, *, retries: int = 0, seed: int = 1) -> None:
        self._house = house
        self._retries = retries
        self._rng = Random(seed)
        self._turns: Iterator[Desk] = itertools.cycle(house.desks)
        self.stories: list[Story] = []

    async def play(self, arrivals: Iterable[tuple[float, Order]]) -> list[Story]:
        """Every order at its time (seconds from now); returns when the last has its answer."""
        began = self._house.clock.now
        async with asyncio.TaskGroup() as group:
            for at, order in arrivals:
                await asyncio.sleep(began + at - self._house.clock.now)
                group.create_task(self.call(order))
        return self.stories

    async def call(self, order: Order) -> Story:
        """One caller until it has its answer or gives up."""
        story = Story(order=order, arrived_at=self._house.clock.now)
        self.stories.append(story)
        for tries in range(self._retries + 1):
            error = await self._try(story, order, tries)
            if error is None or tries == self._retries:
                break
            if error.should_retry is False or error.status not in RETRIED:
                break
            await asyncio.sleep(self._pause_s(error, tries))
        story.ended_at = self._house.clock.now
        return story

    async def _try(self, story: Story, order: Order, tries: int) -> FleetError | None:
        def on_start(lease: Lease) -> None:
            story.started_at, story.worker = self._house.clock.now, lease.worker.url

        story.uploads += 1
        desk = next(self._turns)
        try:
            job = await desk.post(order, client_retries=tries, on_start=on_start)
        except FleetError as error:
            story.status, story.code = int(error.status), error.code
            if story.told_s is None and error.retry_after_s is not None:
                story.told_s = error.retry_after_s
            return error
        story.status, story.code = (200, "ok") if job.decoded_s >= 0 else (400, "bad")
        story.attempts = job.history.attempts
        return None

    def _pause_s(self, error: FleetError, tries: int) -> float:
        told = error.headers().get("Retry-After")
        if told is not None and 0 < float(told) <= HONOURED_S:
            return float(told)
        return float(min(8.0, 0.5 * 2**tries) * (1 - 0.25 * self._rng.random()))


def exactly(order: Order, count: int, **changes: object) -> Sequence[Order]:
    """The same order several times."""
    return [replace(order, **changes) for _ in range(count)]  # type: ignore[arg-type]
