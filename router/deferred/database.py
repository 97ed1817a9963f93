"""What the store needs of a database, and of a place for audio; each is there twice, for SQLite and for Postgres."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any, Protocol

from fleet.errors import Unavailable

PART_BYTES = 1 << 20  # audio is written and read in parts of this size


class Transaction(Protocol):
    """One transaction; values are named `:name` in the statement."""

    now_s: float  # for leases and waits: a clock that all who share the store read alike, and that nobody sets
    wall_s: float  # seconds since the epoch

    def rows(self, statement: str, **values: Any) -> list[tuple[Any, ...]]:
        """What the statement returns."""

    def change(self, statement: str, **values: Any) -> int:
        """How many rows the statement changed."""


class Shelf(Protocol):
    """Keeps audio by its job's id."""

    def put(self, job_id: str, pieces: Iterable[bytes]) -> None:
        """Keep the audio; returns when it would survive a power cut. Raises Unavailable, and keeps nothing then."""

    def part(self, job_id: str, number: int) -> bytes:
        """One part of PART_BYTES; empty after the last."""

    def delete(self, job_id: str) -> None:
        """Forget the audio, if it is there."""

    def ids(self, *, older_than_s: float) -> Iterator[str]:
        """Whose audio has been here for so long."""


class Database(Protocol):
    """A database that keeps what it acknowledged. Every call may block; any thread may call."""

    threads: int  # how many callers at once it can use
    skip_locked: str  # what ends a SELECT of `j` so that two who ask at once get two rows

    @property
    def shelf(self) -> Shelf:
        """Where the audio is."""

    def transaction(self) -> AbstractContextManager[Transaction]:
        """Commit at the end of the block, roll back when it raises; raises Unavailable when the database fails."""

    def close(self) -> None:
        """Give everything back."""


def storage_failed() -> Unavailable:
    """The one answer for whatever is wrong with the store: callers can do nothing but come back."""
    return Unavailable("Jobs cannot be stored at the moment.", code="storage_unavailable", retry_after_s=5)
