"""
What a failed attempt means for its request (core: no clock, no I/O).

A transcription can be run twice without harm, so what was lost on one worker is tried on another, as long as the caller
has seen no byte of an answer. Retries have a budget, or they become the load. A body under which two processes died is
not given a third.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum, auto

QUARANTINE_S = 600
QUARANTINE_KEPT = 1000
DEATHS_MAX = 2


class Failure(Enum):
    """How an attempt can fail; what each means is decided in `next_step`."""

    BUSY = auto()  # the worker had no slot after all, or drains: nobody's fault
    CONNECT = auto()  # nothing was sent
    LOST = auto()  # connection gone, or the worker taken to be dead, before an answer
    GARBAGE = auto()  # an answer that no worker of ours gives, or one without end
    GATEWAY = auto()  # 502 or 504
    ERROR = auto()  # 500
    CUT = auto()  # gone after the caller saw part of the answer


class Step(Enum):
    """What to do next."""

    REQUEUE = auto()  # wait again at the old place, at no cost
    RETRY = auto()  # the same, from the budget, on another worker
    REJECT = auto()  # the body kills workers
    FAIL = auto()


@dataclass(slots=True)
class History:
    """What happened to one request so far."""

    attempts: int = 0
    retries: int = 0
    errors: int = 0  # answers with 500
    deaths: int = 0  # processes that vanished while they had it


def next_step(failure: Failure, history: History, *, has_budget: Callable[[], bool], retry_limit: int) -> Step:
    """Decide after a failed attempt, and write it into the history; the budget is asked only if it decides."""
    if failure is Failure.BUSY:
        return Step.REQUEUE
    if failure is Failure.CUT:
        return Step.FAIL
    history.deaths += failure is Failure.LOST
    history.errors += failure is Failure.ERROR
    if history.deaths >= DEATHS_MAX:
        return Step.REJECT
    if history.retries >= retry_limit or history.errors > 1 or not has_budget():
        return Step.FAIL
    history.retries += 1
    return Step.RETRY


class RetryBudget:
    """How many requests may be on a retry at once: a share of those in flight, but never fewer than a few."""

    def __init__(self, share: float, least: int) -> None:
        self._share = share
        self._least = least
        self.retrying = 0
        self.denied = 0

    def has_room(self, in_flight: int, at_once: int = 0) -> bool:
        """Whether one more may retry now, where `at_once` may fail by one accident; counts the refusals."""
        is_free = self.retrying < max(self._least, self._share * in_flight, at_once)
        self.denied += not is_free
        return is_free

    @contextmanager
    def retry(self) -> Iterator[None]:
        """Count one retrying request for as long as the block runs."""
        self.retrying += 1
        try:
            yield
        finally:
            self.retrying -= 1


class Quarantine:
    """Hashes of bodies under which workers died, each for ten minutes."""

    def __init__(self) -> None:
        self._until: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._until)

    def add(self, digest: str, now: float) -> None:
        """Refuse this body from now on."""
        self._until[digest] = now + QUARANTINE_S
        while len(self._until) > QUARANTINE_KEPT:
            self._until.popitem(last=False)

    def holds(self, digest: str, now: float) -> bool:
        """Whether the body is to be refused."""
        return self._until.get(digest, 0.0) > now

    def is_empty(self, now: float) -> bool:
        """Whether nothing is refused, so that no body need be hashed; forgets what has served its time."""
        while self._until and next(iter(self._until.values())) <= now:
            self._until.popitem(last=False)
        return not self._until
