"""What is SQLite's own; the rest is in tests/contracts/test_job_store.py."""

import os
import sqlite3
import stat
from contextlib import closing

import pytest

from fleet.errors import Unavailable
from fleet.serve import StartupError
from router.deferred.capacity import Amount, Capacity
from router.deferred.record import JobState, NewJob
from router.deferred.sqlite import SqliteDatabase
from router.deferred.store import JobStore

JOB = NewJob(tenant="t", fields=(), content_type="audio/wav", audio_bytes=4)


def opened(folder):
    """A store in the folder."""
    return JobStore(SqliteDatabase(folder / "jobs.sqlite"), Capacity(Amount(100, 10**6)), lease_s=3600, ttl_s=3600)


def test_what_ran_when_the_router_died_is_queued_again(tmp_path):
    """At once, though its lease is far from over; its first runner can write nothing any more."""
    store = opened(tmp_path)
    job_id = store.add(JOB, [b"RIFF"]).id
    first = store.claim(at_most=1)
    store.close()
    store = opened(tmp_path)
    assert store.get("t", job_id)[0].state is JobState.QUEUED
    assert not store.renew(job_id, first.token, 0.5)
    assert store.claim(at_most=1).token > first.token
    store.close()


def test_two_routers_cannot_have_it(tmp_path):
    """The second is told what to do; the lock goes with the first."""
    store = opened(tmp_path)
    with pytest.raises(StartupError, match="another router"):
        opened(tmp_path)
    store.close()
    opened(tmp_path).close()


def test_a_damaged_file_is_refused_and_kept(tmp_path):
    """Never made anew in silence."""
    opened(tmp_path).close()
    path = tmp_path / "jobs.sqlite"
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(StartupError, match="no usable store"):
        opened(tmp_path)
    assert path.read_bytes().startswith(b"not a database")


def test_another_versions_file_is_refused(tmp_path):
    """Whichever is newer."""
    opened(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "jobs.sqlite", isolation_level=None)) as connection:
        connection.execute("UPDATE fleet_jobs_schema SET version = 99")
    with pytest.raises(StartupError, match="another version"):
        opened(tmp_path)


def test_nobody_else_may_read_it(tmp_path):
    """Neither transcripts nor audio."""
    opened(tmp_path / "new").close()
    for name in ("", "jobs.sqlite", "jobs.sqlite.audio"):
        assert stat.S_IMODE((tmp_path / "new" / name).stat().st_mode) & 0o077 == 0


def test_it_is_durable_before_it_is_acknowledged(tmp_path, monkeypatch):
    """Audio and its folder are flushed, and then the row, by a journal that waits for the disk."""
    store = opened(tmp_path)
    flushed = []
    monkeypatch.setattr(os, "fsync", lambda handle: flushed.append(os.fstat(handle).st_mode))
    store.add(JOB, [b"RIFF"])
    assert [stat.S_ISREG(flushed[0]), stat.S_ISDIR(flushed[1])] == [True, True]
    with store._database.transaction() as run:
        assert run.rows("PRAGMA synchronous") == [(2,)]
        assert run.rows("PRAGMA journal_mode") == [("wal",)]
    store.close()


def test_a_disk_that_fills_up_in_the_database(tmp_path):
    """Is 503; what was there stays, and the audio of the refused job is gone."""
    store = opened(tmp_path)
    kept = store.add(JOB, [b"RIFF"]).id
    with store._database.transaction() as run:
        pages = run.rows("PRAGMA page_count")[0][0]
    store._database._connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(Unavailable):
        for _ in range(100):
            store.add(JOB, [b"RIFF"])
    names = {record.id for record in store.list("t", limit=1000)}
    assert kept in names
    assert {path.name for path in (tmp_path / "jobs.sqlite.audio").iterdir()} == names
    store.close()


def test_a_folder_that_fails_is_no_reason_to_end(tmp_path):
    """Somebody removed it, a disk gave up: new jobs are refused, and the router has other work."""
    store = opened(tmp_path)
    job_id = store.add(JOB, [b"RIFF"]).id
    folder = tmp_path / "jobs.sqlite.audio"
    (folder / job_id).unlink()
    folder.rmdir()
    for ask in (store.expire, lambda: store.add(JOB, [b"RIFF"])):
        with pytest.raises(Unavailable):
            ask()
    assert store.audio(job_id, 0) == b""
    assert store.cancel("t", job_id).state is JobState.CANCELLED

    folder.write_text("no folder")
    for ask in (lambda: store.audio(job_id, 0), lambda: store.add(JOB, [b"RIFF"])):
        with pytest.raises(Unavailable):
            ask()
    assert store.cancel("t", job_id) is None
    store.close()
