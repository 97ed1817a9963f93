"""
One simulated worker process: slots, a short queue of its own, a cost for each clip, and everything that can go wrong.

It stands for a whole worker behind a socket. What the router would see on the wire it returns or raises: an `Answer`,
a refused or broken connection, or silence.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from random import Random

from fleet.cost import Cost
from fleet.wire import LoadReport, WorkerState

COST = Cost(0.03, 0.02)  # one clip on one slot: 30 ms and a fiftieth of its length
FAST_S = 0.005  # an answer that costs no work


class Refused(ConnectionError):
    """Nobody listens."""


class Unreachable(ConnectionError):
    """Connecting failed for another reason than refusal."""


class Reset(ConnectionError):
    """The connection broke before an answer."""


class Clip(Enum):
    """What a clip does to a worker."""

    GOOD = auto()
    BAD = auto()  # answered with 400 at once
    POISON = auto()  # ends the process


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: status and the load report that every answer carries."""

    status: int
    report: LoadReport
    audio_s: float = 0.0


@dataclass(slots=True, eq=False)
class Visit:
    """One request inside."""

    router: str
    work_s: float
    turn: asyncio.Future[None]


@dataclass(slots=True, eq=False, kw_only=True)
class Machine:
    """A worker. Change the fields while it runs; `crash` and `start` are its life."""

    url: str
    rng: Random
    slots: int = 1
    queue_limit: int = 0  # routers use none of it, except when two of them race for one slot
    cost: Cost = COST
    slowness: float = 1.0  # 2 is half speed
    is_hung: bool = False  # takes connections, answers nothing
    is_deaf: bool = False  # probes go unanswered, requests do not
    answers_500: bool = False
    answers_busy: bool = False
    unreachable_share: float = 0.0  # of connections
    is_draining: bool = False
    boots: int = 0  # processes so far; the name of each
    is_up: bool = False
    arrivals: int = 0  # requests that got a connection
    refusals: int = 0  # answered busy
    deaths: int = 0
    busy_s: float = 0.0  # slot-seconds used
    most_running: int = 0
    served: list[float] = field(default_factory=list)  # audio seconds of each good answer
    _running: set[Visit] = field(default_factory=set)
    _waiting: list[Visit] = field(default_factory=list)
    _open: set[asyncio.Timeout] = field(default_factory=set)  # connections, to be cut by a crash

    def start(self) -> None:
        """A new process, ready."""
        self.boots += 1
        self.is_up, self.is_hung, self.is_draining = True, False, False

    def crash(self) -> None:
        """SIGKILL: every connection breaks, and new ones are refused until `start`."""
        self.deaths += self.is_up
        self.is_up = False
        for connection in self._open:
            connection.reschedule(asyncio.get_running_loop().time())

    @property
    def is_idle(self) -> bool:
        """Whether nobody is inside."""
        return not self._running and not self._waiting

    def report(self, router: str) -> LoadReport:
        """As the worker's own report: full costs of all inside, and the asking router's share."""
        inside = (*self._running, *self._waiting)
        mine = [visit.work_s for visit in inside if visit.router == router]
        return LoadReport(
            worker_id=self.url,
            boot=f"{self.url}#{self.boots}",
            state=WorkerState.DRAINING if self.is_draining else WorkerState.READY,
            model="model",
            slots=self.slots,
            in_flight=len(self._running),
            queue_depth=len(self._waiting),
            queue_limit=self.queue_limit,
            work_s=sum(visit.work_s for visit in inside),
            mine_s=sum(mine),
            mine=len(mine),
            device="cuda",
        )

    async def load(self, router: str) -> LoadReport:
        """`GET /load`."""
        if not self.is_up:
            raise Refused
        if self.is_hung or self.is_deaf:
            raise TimeoutError
        return self.report(router)

    async def transcribe(self, router: str, clip: Clip, audio_s: float, on_start: Callable[[], None]) -> Answer:
        """`POST /v1/audio/transcriptions`; calls `on_start` when its slot begins to work."""
        if not self.is_up:
            raise Refused
        if self.unreachable_share and self.rng.random() < self.unreachable_share:
            raise Unreachable
        self.arrivals += 1
        try:
            async with asyncio.timeout(None) as connection:
                self._open.add(connection)
                try:
                    return await self._answer(router, clip, audio_s, on_start)
                finally:
                    self._open.discard(connection)
        except TimeoutError:
            raise Reset from None

    async def _answer(self, router: str, clip: Clip, audio_s: float, on_start: Callable[[], None]) -> Answer:
        if self.is_hung:
            await asyncio.get_running_loop().create_future()
        if self.answers_500 or self.answers_busy:
            await asyncio.sleep(FAST_S)
            return Answer(500 if self.answers_500 else 503, self.report(router))
        if self.is_draining or (len(self._running) >= self.slots and len(self._waiting) >= self.queue_limit):
            self.refusals += 1
            return Answer(503, self.report(router))
        if clip is Clip.BAD:
            return Answer(400, self.report(router))
        with self._inside(router, self.cost.seconds(audio_s) * self.slowness) as visit:
            await visit.turn
            on_start()
            await self._compute(visit, clip)
        self.served.append(audio_s)
        return Answer(200, self.report(router), audio_s)

    async def _compute(self, visit: Visit, clip: Clip) -> None:
        now = asyncio.get_running_loop().time
        began = now()
        try:
            await asyncio.sleep(visit.work_s)
        finally:
            self.busy_s += now() - began
        if clip is Clip.POISON:
            self.crash()
            raise Reset

    @contextmanager
    def _inside(self, router: str, work_s: float) -> Iterator[Visit]:
        visit = Visit(router, work_s, asyncio.get_running_loop().create_future())
        self._waiting.append(visit)
        self._let_in()
        try:
            yield visit
        finally:
            self._running.discard(visit)
            with suppress(ValueError):
                self._waiting.remove(visit)
            self._let_in()

    def _let_in(self) -> None:
        while self._waiting and len(self._running) < self.slots:
            visit = self._waiting.pop(0)
            self._running.add(visit)
            visit.turn.set_result(None)
        self.most_running = max(self.most_running, len(self._running))
