"""
Jobs in one SQLite file, their audio in a folder beside it: for one router.

WAL with synchronous=FULL: a commit is on the disk before anybody hears of it. Audio stands outside because a large one
would be written twice, hold the file's only write lock for seconds, and leave the file large for ever.

One process has the store at a time, which a locked file makes sure of; so whatever was running when it is opened has
lost its router and is queued again at once, without waiting for leases to end. Leases are counted on the monotonic
clock, which nobody can set.
"""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from fleet.errors import Unavailable
from fleet.serve import StartupError
from router.deferred.database import PART_BYTES, storage_failed
from router.deferred.schema import SCHEMA, VERSION

logger = logging.getLogger(__name__)


class SqliteDatabase:
    """The file, its lock, and one connection that threads take in turn."""

    threads = 4  # they take turns here; the folder needs none
    skip_locked = ""

    def __init__(self, path: Path) -> None:
        """Open or make it; raises StartupError when it cannot be used."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock_file = _locked(path.with_name(f"{path.name}.lock"))
            self.shelf = FolderShelf(path.with_name(f"{path.name}.audio"))
        except OSError as error:
            raise StartupError(f"cannot keep jobs in {path.parent}: {error.strerror} (JOBS)") from error
        self._turn = threading.Lock()
        try:
            self._connection = _connected(path)
        except sqlite3.Error as error:
            self._lock_file.close()
            raise StartupError(f"{path} is no usable store of jobs: {error} (JOBS)") from error

    @contextmanager
    def transaction(self) -> Iterator[_Transaction]:
        """Read and write, alone."""
        with self._turn:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                yield _Transaction(self._connection)
                self._connection.execute("COMMIT")
            except BaseException as error:
                if self._connection.in_transaction:
                    with suppress(sqlite3.Error):
                        self._connection.execute("ROLLBACK")
                if isinstance(error, sqlite3.Error):
                    logger.exception("the store of jobs failed")
                    raise storage_failed() from error
                raise

    def close(self) -> None:
        """Close the file and let others have it."""
        with self._turn:
            self._connection.close()
        self._lock_file.close()


class _Transaction:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.now_s = time.monotonic()
        self.wall_s = time.time()

    def rows(self, statement: str, **values: Any) -> list[tuple[Any, ...]]:
        return self._connection.execute(statement, values).fetchall()

    def change(self, statement: str, **values: Any) -> int:
        return self._connection.execute(statement, values).rowcount


class FolderShelf:
    """One file for each job's audio, in a folder that nobody else can read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(exist_ok=True, mode=0o700)

    def put(self, job_id: str, pieces: Iterable[bytes]) -> None:
        """Write, then flush the file and the folder that names it."""
        try:
            with _watched():
                with (self._folder / job_id).open("xb") as file:
                    for piece in pieces:
                        file.write(piece)
                    file.flush()
                    os.fsync(file.fileno())
                _flush_folder(self._folder)
        except BaseException:
            self.delete(job_id)
            raise

    def part(self, job_id: str, number: int) -> bytes:
        """Read where it begins."""
        with _watched(), suppress(FileNotFoundError), (self._folder / job_id).open("rb") as file:
            return os.pread(file.fileno(), PART_BYTES, number * PART_BYTES)
        return b""

    def delete(self, job_id: str) -> None:
        """Unlink; what a power cut brings back, or the folder does not let go, `ids` finds."""
        with suppress(Unavailable), _watched():
            (self._folder / job_id).unlink(missing_ok=True)

    def ids(self, *, older_than_s: float) -> Iterator[str]:
        """By the files' times."""
        before = time.time() - older_than_s
        with _watched():
            entries = list(os.scandir(self._folder))
        for entry in entries:
            with suppress(FileNotFoundError):
                if entry.stat().st_mtime <= before:
                    yield entry.name


@contextmanager
def _watched() -> Iterator[None]:
    """What goes wrong with the folder is told as what goes wrong with the file: the router lives on without jobs."""
    try:
        yield
    except OSError as error:
        logger.warning("the folder of jobs' audio failed", extra={"reason": error.strerror})
        raise storage_failed() from error


def _connected(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
    try:
        path.chmod(0o600)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA secure_delete=ON")  # a deleted transcript is overwritten
        connection.executescript(f"BEGIN IMMEDIATE; {SCHEMA} COMMIT;")
        found = connection.execute("SELECT version FROM fleet_jobs_schema").fetchall()
        if found != [(VERSION,)]:
            raise sqlite3.DatabaseError("it was made by another version")
        _begin_anew(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _begin_anew(connection: sqlite3.Connection) -> None:
    """Nothing runs, and the lease clock began anew."""
    connection.execute("UPDATE fleet_jobs SET state = 'queued' WHERE state = 'running'")
    connection.execute("UPDATE fleet_jobs SET due_at = 0 WHERE state = 'queued'")
    connection.execute("UPDATE fleet_jobs SET callback_due = 0 WHERE callback_due IS NOT NULL")


def _locked(path: Path) -> IO[bytes]:
    file = path.open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise StartupError(
            f"another router has the store of jobs {path.with_suffix('')}: give each its own (JOBS), or share Postgres"
        ) from error
    return file


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
