"""What every store of jobs promises, held against SQLite and against a real Postgres."""

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from fleet.errors import BadRequest, NotFound, RateLimited, Unavailable
from router.deferred.capacity import Amount, Capacity
from router.deferred.database import PART_BYTES, Database, Transaction, storage_failed
from router.deferred.postgres import PostgresDatabase
from router.deferred.record import JobError, JobState, NewJob, Result, Tally
from router.deferred.sqlite import SqliteDatabase
from router.deferred.store import JobStore
from router.deferred.verdict import Later
from tests.contracts.postgres import postgres

TIMES = {"lease_s": 30.0, "ttl_s": 3600.0}
JOB = NewJob(tenant="t1", fields=(("language", "en"), ("prompt", "ünd \x00")), content_type="audio/wav", audio_bytes=5)
ANSWER = Result("text/plain", b"seven \xff\x00")
TABLES = "fleet_jobs", "fleet_job_results", "fleet_job_audio"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "sqlite":
        made: Database = SqliteDatabase(tmp_path / "jobs.sqlite")
    else:
        made = PostgresDatabase(request.getfixturevalue("server"))
        with made.transaction() as run:
            for table in TABLES:
                run.change(f"DELETE FROM {table}")  # noqa: S608
    yield made
    made.close()


@pytest.fixture
def store(database: Database) -> JobStore:
    return JobStore(database, Capacity(Amount(1000, 10**9)), **TIMES)


def add(store: JobStore, audio: bytes = b"RIFFx", **changes: object) -> str:
    return store.add(replace(JOB, **{"audio_bytes": len(audio)} | changes), [audio]).id


def state(store: JobStore, job_id: str) -> JobState:
    return store.get("t1", job_id)[0].state


def end_leases(database: Database) -> None:
    """As when their time is over."""
    with database.transaction() as run:
        run.change("UPDATE fleet_jobs SET due_at = 0")


def test_a_job_comes_back_as_it_went_in(store: JobStore):
    """Fields of any text, audio of any bytes."""
    audio = bytes(range(256)) * (PART_BYTES // 256) + b"the second part"
    job_id = store.add(replace(JOB, audio_bytes=len(audio)), [audio[:70_000], audio[70_000:]]).id
    record, place = store.get("t1", job_id)
    assert (record.fields, record.state, record.audio_bytes, place) == (JOB.fields, JobState.QUEUED, len(audio), 1)
    assert [store.audio(job_id, number) for number in range(3)] == [audio[:PART_BYTES], b"the second part", b""]


def test_from_claim_to_result(store: JobStore):
    """One claim at a time; progress on the way; the answer byte for byte, and the audio gone."""
    job_id = add(store)
    claimed = store.claim(at_most=9)
    assert (claimed.id, claimed.state, claimed.attempts) == (job_id, JobState.RUNNING, 1)
    assert store.claim(at_most=9) is None
    assert store.renew(job_id, claimed.token, 0.5)
    assert store.get("t1", job_id)[0].progress == 0.5
    assert store.result("t1", job_id)[1] is None
    assert store.finish(job_id, claimed.token, ANSWER)
    record, result = store.result("t1", job_id)
    assert (record.state, record.progress, result) == (JobState.SUCCEEDED, 1.0, ANSWER)
    assert store.audio(job_id, 0) == b""


def test_a_failure_keeps_its_error(store: JobStore):
    """Status and envelope."""
    job_id = add(store)
    error = JobError(400, {"message": "m", "type": "t", "param": None, "code": "audio_corrupt"})
    assert store.finish(job_id, store.claim(at_most=1).token, error)
    record = store.get("t1", job_id)[0]
    assert (record.state, record.error, record.progress) == (JobState.FAILED, error, 0.0)


def test_other_tenants_see_nothing(store: JobStore):
    """Neither read, nor list, nor cancel."""
    job_id = add(store)
    for question in (store.get, store.result, store.cancel):
        with pytest.raises(NotFound):
            question("t2", job_id)
    assert store.list("t2", limit=10) == []
    assert state(store, job_id) is JobState.QUEUED


def test_who_lost_the_lease_writes_nothing(store: JobStore, database: Database):
    """Neither progress, nor a result, nor a postponement; the successor's result stands."""
    job_id = add(store)
    first = store.claim(at_most=9)
    end_leases(database)
    second = store.claim(at_most=9)
    assert (second.id, second.attempts) == (job_id, 2)
    assert second.token > first.token
    assert not store.renew(job_id, first.token, 0.9)
    assert not store.finish(job_id, first.token, Result("text/plain", b"late"))
    assert not store.postpone(first, Later(0, 3, is_keys=True))
    assert store.finish(job_id, second.token, ANSWER)
    assert not store.finish(job_id, first.token, Result("text/plain", b"later still"))
    assert store.result("t1", job_id)[1] == ANSWER


def test_a_renewed_lease_holds(store: JobStore, database: Database):
    """Renewing in time keeps others away."""
    add(store)
    claimed = store.claim(at_most=9)
    end_leases(database)
    assert store.renew(claimed.id, claimed.token, 0.1)
    assert store.claim(at_most=9) is None


def test_cancel_at_each_stage(store: JobStore):
    """Queued and running end as cancelled and stay so; what is over is deleted."""
    queued = add(store)
    assert store.cancel("t1", queued).state is JobState.CANCELLED
    assert store.claim(at_most=9) is None
    running = add(store)
    claimed = store.claim(at_most=9)
    assert store.cancel("t1", running).state is JobState.CANCELLED
    assert not store.renew(running, claimed.token, 0.5)
    assert not store.finish(running, claimed.token, ANSWER)
    assert state(store, running) is JobState.CANCELLED
    done = add(store)
    store.finish(done, store.claim(at_most=9).token, ANSWER)
    for over in (queued, running, done):
        assert store.cancel("t1", over) is None
        with pytest.raises(NotFound):
            store.get("t1", over)


def test_a_postponed_job_waits(store: JobStore, database: Database):
    """Not claimed before its time, and then with its strikes."""
    job_id = add(store)
    assert store.postpone(store.claim(at_most=9), Later(3600, 2))
    assert state(store, job_id) is JobState.QUEUED
    assert store.claim(at_most=9) is None
    end_leases(database)
    assert store.claim(at_most=9).strikes == 2


def test_what_holds_a_key_back_holds_all_its_jobs(store: JobStore, database: Database):
    """Those that wait; not what runs, and not another key's."""
    _, waiting, running = add(store), add(store), add(store)
    first, second, third = (store.claim(at_most=9) for _ in range(3))
    assert store.postpone(second, Later(0, 0))
    assert store.postpone(first, Later(3600, 0, is_keys=True))
    other = add(store, tenant="t2")
    assert store.claim(at_most=9).id == other
    assert store.claim(at_most=9) is None
    assert [state(store, job_id) for job_id in (waiting, running)] == [JobState.QUEUED, JobState.RUNNING]
    assert store.renew(running, third.token, 0.5)
    end_leases(database)
    assert store.claim(at_most=9) is not None


def test_at_most_so_many_run(store: JobStore):
    """However many ask; those whose lease is over do not count."""
    for _ in range(3):
        add(store)
    assert store.claim(at_most=2) and store.claim(at_most=2)
    assert store.claim(at_most=2) is None


def test_keys_take_turns(store: JobStore):
    """Who has many jobs does not keep waiting who has one; within a key the oldest goes first."""
    many = [add(store, tenant="t1") for _ in range(4)]
    few = [add(store, tenant="t2") for _ in range(2)]
    assert [store.get("t1", job_id)[1] for job_id in many] == [2, 4, 5, 6]
    assert [store.get("t2", job_id)[1] for job_id in few] == [2, 4]
    order = [store.claim(at_most=9).id for _ in range(6)]
    assert order == [many[0], few[0], many[1], few[1], *many[2:]]


def test_an_idempotency_key_means_one_job(store: JobStore):
    """The same request again is the same job; another request is refused; another tenant's key is another key."""
    keyed = {"idempotency_key": "k", "fingerprint": "f"}
    job_id = add(store, **keyed)
    assert add(store, **keyed) == job_id
    with pytest.raises(BadRequest):
        add(store, idempotency_key="k", fingerprint="g")
    assert add(store, tenant="t2", **keyed) != job_id
    assert len(store.list("t1", limit=10)) == 1


def test_an_idempotency_key_from_many_at_once(store: JobStore):
    """One job, whoever was first, and one audio."""
    with ThreadPoolExecutor(8) as threads:
        ids = list(threads.map(lambda _: add(store, idempotency_key="k", fingerprint="f"), range(16)))
    assert len(set(ids)) == 1
    assert store.audio(ids[0], 0) == b"RIFFx"


def test_each_job_is_claimed_once(store: JobStore):
    """Eight threads, forty jobs, no two claims of one."""
    jobs = {add(store) for _ in range(40)}
    claimed: list[str] = []
    lock = threading.Lock()

    def claim(_: int) -> None:
        while record := store.claim(at_most=1000):
            with lock:
                claimed.append(record.id)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(claim, range(8)))
    while record := store.claim(at_most=1000):  # a row that another transaction held is passed over, not waited for
        claimed.append(record.id)
    assert Counter(claimed) == Counter(jobs)


def test_the_store_is_bounded(database: Database):
    """In number and in bytes; a deleted job makes room."""
    store = JobStore(database, Capacity(Amount(2, 100)), **TIMES)
    add(store, b"x" * 60)
    with pytest.raises(Unavailable, match="full") as refusal:
        add(store, b"x" * 60)
    assert refusal.value.code == "storage_unavailable"
    second = add(store, b"x")
    with pytest.raises(Unavailable, match="full"):
        add(store, b"x")
    store.cancel("t1", second)
    store.cancel("t1", second)
    add(store, b"x")


def test_a_key_fills_no_more_than_its_share(database: Database):
    """In number and in bytes; another key finds room; what one deletes is room for itself."""
    store = JobStore(database, Capacity(Amount(4, 200), key_share=0.5), **TIMES)
    first = add(store, b"x" * 60)
    with pytest.raises(RateLimited, match="2 jobs") as refusal:
        add(store, b"x" * 41)
    assert refusal.value.code == "quota_exceeded"
    add(store)
    with pytest.raises(RateLimited):
        add(store)
    add(store, b"x" * 90, tenant="t2")
    store.cancel("t1", first)
    store.cancel("t1", first)
    add(store)


def test_expired_jobs_go_with_all_they_had(store: JobStore, database: Database):
    """Those that ended, after their time; never one that did not end."""
    old, young, waiting = add(store), add(store), add(store)
    for _ in range(2):
        claimed = store.claim(at_most=9)
        store.finish(claimed.id, claimed.token, ANSWER)
    with database.transaction() as run:
        run.change("UPDATE fleet_jobs SET finished_at = finished_at - 3601 WHERE id = :id", id=old)
        run.change("UPDATE fleet_jobs SET created_at = 0 WHERE id = :id", id=waiting)
    assert store.expire() == 1
    with pytest.raises(NotFound):
        store.result("t1", old)
    assert store.result("t1", young)[1] == ANSWER
    assert state(store, waiting) is JobState.QUEUED
    with database.transaction() as run:
        assert run.rows("SELECT id FROM fleet_job_results") == [(young,)]


def test_audio_without_a_job_goes_too(store: JobStore, database: Database, monkeypatch: pytest.MonkeyPatch):
    """What an upload left that was cut off; the audio of a job that waits stays, however old."""
    monkeypatch.setattr("router.deferred.store.UNNAMED_AUDIO_S", -1)
    job_id = add(store)
    database.shelf.put("0" * 32, [b"left"])
    store.expire()
    assert store.audio("0" * 32, 0) == b""
    assert store.audio(job_id, 0) == b"RIFFx"


def test_lists_go_on_where_they_ended(store: JobStore):
    """Newest first, no job twice, none left out."""
    made = [add(store) for _ in range(7)]
    pages, after = [], None
    while page := store.list("t1", limit=3, after=after):
        pages.append([record.id for record in page])
        after = page[-1].id
    assert [len(page) for page in pages] == [3, 3, 1]
    assert sorted(job_id for page in pages for job_id in page) == sorted(made)


def test_callers_are_told_when_jobs_end(store: JobStore, database: Database):
    """Once they ended and not before; by one sender at a time; again if told so; not for ever."""
    job_id = add(store, callback_url="https://hooks.example/x")
    add(store)
    assert store.next_callback(retry_s=60) is None
    claimed = store.claim(at_most=9)
    store.finish(claimed.id, claimed.token, ANSWER)
    record, tries = store.next_callback(retry_s=60)
    assert (record.id, record.state, tries) == (job_id, JobState.SUCCEEDED, 1)
    assert store.next_callback(retry_s=60) is None
    store.plan_callback(job_id, after_s=0)
    assert store.next_callback(retry_s=60)[1] == 2
    store.plan_callback(job_id, after_s=None)
    assert store.next_callback(retry_s=60) is None


def test_tally(store: JobStore, database: Database):
    """By state, zeros included; the wait of the oldest that is queued; what is kept of all."""
    assert store.tally() == Tally()
    first, _ = add(store, b"12"), add(store, b"345")
    with database.transaction() as run:
        run.change("UPDATE fleet_jobs SET created_at = created_at - 100 WHERE id = :id", id=first)
    assert 100 <= store.tally().oldest_s < 130
    store.claim(at_most=1)
    tally = store.tally()
    assert tally.by_state == dict.fromkeys(JobState, 0) | {JobState.QUEUED: 1, JobState.RUNNING: 1}
    assert (tally.oldest_s < 30, tally.kept_bytes) == (True, 5)


def test_a_commit_that_is_not_heard_of_loses_nothing(store: JobStore, database: Database, monkeypatch):
    """The line breaks after the database has kept the job: the caller's next try finds it, and its audio is there."""
    real = type(database).transaction

    @contextmanager
    def unheard(self: Database) -> Iterator[Transaction]:
        with real(self) as run:
            yield run
            is_insert = bool(run.rows("SELECT id FROM fleet_jobs"))
        if is_insert:
            raise storage_failed()

    with monkeypatch.context() as patch:
        patch.setattr(type(database), "transaction", unheard)
        with pytest.raises(Unavailable):
            add(store, b"RIFFx", idempotency_key="k", fingerprint="f")
    job_id = add(store, b"RIFFx", idempotency_key="k", fingerprint="f")
    assert store.audio(job_id, 0) == b"RIFFx"
    assert store.claim(at_most=9).id == job_id


def test_an_upload_that_breaks_leaves_nothing(store: JobStore):
    """The reader fails in the middle of the audio."""

    def pieces() -> Iterator[bytes]:
        yield b"half"
        raise OSError("gone")

    with pytest.raises((Unavailable, OSError)):
        store.add(JOB, pieces())
    assert store.list("t1", limit=1) == []
    assert store.claim(at_most=9) is None
