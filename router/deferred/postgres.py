"""
Jobs in Postgres, for several routers that share the work.

The audio stands in the database too, in rows of a megabyte, and not in a shared folder: routers then share one thing,
not two that can disagree; a backup is whole; and acknowledging waits for one kind of durability that Postgres gives
and network file systems do not always. The price is that audio passes through the write-ahead log. It is bounded by
JOBS_MAX_MB and let go as soon as a job ends.

Leases are counted on the database's clock, the one clock that all routers share.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from fleet.errors import Unavailable
from fleet.serve import StartupError
from router.deferred.database import PART_BYTES, storage_failed
from router.deferred.schema import SCHEMA, VERSION

if TYPE_CHECKING:
    import psycopg

AUDIO_SCHEMA = """
CREATE TABLE IF NOT EXISTS fleet_job_audio (
    id TEXT NOT NULL,
    number INTEGER NOT NULL,
    body BYTEA NOT NULL,
    kept_at DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (id, number)
);
ALTER TABLE fleet_job_audio ALTER COLUMN body SET STORAGE EXTERNAL;
"""
SCHEMA_LOCK = 0x776669  # any number, the same in all routers: one of them makes the tables
CONNECTION: dict[str, Any] = {"connect_timeout": 5, "tcp_user_timeout": 20_000, "application_name": "whisper-fleet"}
SESSION = "SET synchronous_commit TO on; SET statement_timeout TO '30s'; SET lock_timeout TO '10s'"

logger = logging.getLogger(__name__)


class PostgresDatabase:
    """A connection for each thread, made when it is needed and made anew when it broke."""

    threads = 4
    skip_locked = " FOR UPDATE OF j SKIP LOCKED"

    def __init__(self, url: str) -> None:
        """Connects to nothing yet; raises StartupError when psycopg is missing."""
        try:
            import psycopg  # noqa: PLC0415  only who shares jobs needs it
        except ImportError as error:
            raise StartupError("JOBS=postgresql:// needs psycopg: pip install 'whisper-fleet[postgres]'") from error
        self._psycopg = psycopg
        self._url = url
        self._own = threading.local()
        self._all: list[psycopg.Connection] = []
        self._making = threading.Lock()
        self._has_tables = False
        self.shelf = TableShelf(self)

    @contextmanager
    def transaction(self) -> Iterator[_Transaction]:
        """One transaction on this thread's connection."""
        try:
            connection = self._connection()
            with connection.transaction():
                yield _Transaction(connection)
        except self._psycopg.Error as error:
            logger.warning("the store of jobs failed", extra={"error": type(error).__name__})
            raise storage_failed() from error

    def close(self) -> None:
        """Close every thread's connection."""
        for connection in self._all:
            connection.close()

    def _connection(self) -> psycopg.Connection:
        connection: psycopg.Connection | None = getattr(self._own, "connection", None)
        if connection is None or connection.closed:
            with self._making:
                self._all = [each for each in self._all if not each.closed]
                connection = self._psycopg.connect(self._url, autocommit=True, prepare_threshold=None, **CONNECTION)
                self._all.append(connection)
                connection.execute(SESSION)
                self._make_tables(connection)
            self._own.connection = connection
        return connection

    def _make_tables(self, connection: psycopg.Connection) -> None:
        if self._has_tables:
            return
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", [SCHEMA_LOCK])
            connection.execute((SCHEMA + AUDIO_SCHEMA).encode())
            found = connection.execute("SELECT version FROM fleet_jobs_schema").fetchall()
        if found != [(VERSION,)]:
            logger.error("the tables of jobs were made by another version", extra={"found": found})
            raise storage_failed()
        self._has_tables = True


class _Transaction:
    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection
        found = connection.execute("SELECT extract(epoch FROM clock_timestamp())::float8").fetchone()
        self.now_s: float = found[0] if found else 0.0
        self.wall_s = self.now_s

    def rows(self, statement: str, **values: Any) -> list[tuple[Any, ...]]:
        return self._connection.execute(_translated(statement), values).fetchall()

    def change(self, statement: str, **values: Any) -> int:
        return self._connection.execute(_translated(statement), values).rowcount


class TableShelf:
    """Audio in rows of PART_BYTES."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    def put(self, job_id: str, pieces: Iterable[bytes]) -> None:
        """All parts, or none."""
        with self._database.transaction() as run:
            for number, body in enumerate(parts(pieces)):
                run.change(
                    "INSERT INTO fleet_job_audio (id, number, body, kept_at) VALUES (:id, :number, :body, :at)",
                    id=job_id,
                    number=number,
                    body=body,
                    at=run.wall_s,
                )

    def part(self, job_id: str, number: int) -> bytes:
        """One row."""
        with self._database.transaction() as run:
            found = run.rows(
                "SELECT body FROM fleet_job_audio WHERE id = :id AND number = :number", id=job_id, number=number
            )
        return bytes(found[0][0]) if found else b""

    def delete(self, job_id: str) -> None:
        """All rows; if the database fails right now, the keeper does it later."""
        try:
            with self._database.transaction() as run:
                run.change("DELETE FROM fleet_job_audio WHERE id = :id", id=job_id)
        except Unavailable:
            logger.warning("audio of a job is left for the keeper")

    def ids(self, *, older_than_s: float) -> Iterator[str]:
        """By when they were written."""
        with self._database.transaction() as run:
            found = run.rows(
                "SELECT id FROM fleet_job_audio WHERE number = 0 AND kept_at <= :before LIMIT 1000",
                before=run.wall_s - older_than_s,
            )
        for (job_id,) in found:
            yield job_id


def parts(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in parts of PART_BYTES, the last one shorter."""
    kept = bytearray()
    for piece in pieces:
        kept += piece
        while len(kept) >= PART_BYTES:
            yield bytes(kept[:PART_BYTES])
            del kept[:PART_BYTES]
    if kept:
        yield bytes(kept)


@lru_cache(maxsize=64)
def _translated(statement: str) -> bytes:
    """`:name` as psycopg wants it."""
    return re.sub(r":([a-z_]+)", r"%(\1)s", statement).encode()
