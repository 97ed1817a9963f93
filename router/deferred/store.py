"""
Every job and every change of one, each a transaction; the same statements on SQLite and on Postgres.

The calls block: the event loop goes through `book`. What a runner writes names the token of its claim and is refused
once somebody else has claimed the job, or the caller has cancelled it.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable

from fleet.errors import BadRequest, NotFound, Unavailable
from router.deferred import rows
from router.deferred.capacity import Amount, Capacity
from router.deferred.database import Database, storage_failed
from router.deferred.record import JobError, JobState, NewJob, Record, Result, Tally
from router.deferred.verdict import Later

UNNAMED_AUDIO_S = 3600  # audio without a job is left from an upload that was cut off: no upload takes as long
EXPIRE_AT_ONCE = 500  # rows a transaction
HELD = "id = :id AND token = :token AND state = 'running'"


class JobStore:
    """What is stored, within limits of number and bytes, all together and for each key."""

    def __init__(self, database: Database, capacity: Capacity, *, lease_s: float, ttl_s: float) -> None:
        self._database = database
        self._capacity = capacity
        self.lease_s = lease_s
        self.ttl_s = ttl_s
        self.threads = database.threads

    def close(self) -> None:
        """Give the database back."""
        self._database.close()

    # for callers

    def add(self, new: NewJob, pieces: Iterable[bytes]) -> Record:
        """
        Keep a job and its audio; returns once both are durable, or the job that came with this idempotency key before.

        Raises BadRequest when that one was another request, and what Capacity.check raises when there is no room.
        """
        before = self._before(new)
        if before is not None:
            return before
        self._check_room(new)
        job_id = secrets.token_hex(16)
        self._database.shelf.put(job_id, pieces)
        record = self._inserted(job_id, new)
        if record is None:  # another request with the same key was quicker
            self._database.shelf.delete(job_id)
            record = self._before(new)
        if record is None:  # and is deleted again
            raise storage_failed()
        return record

    def get(self, tenant: str, job_id: str) -> tuple[Record, int | None]:
        """The job and, while it is queued, its position; raises NotFound, for another tenant's too."""
        with self._database.transaction() as run:
            record = rows.own(run, tenant, job_id)
            return record, rows.position_of(run, record) if record.state is JobState.QUEUED else None

    def list(self, tenant: str, *, limit: int, after: str | None = None) -> list[Record]:
        """The tenant's jobs, newest first, after the one named; raises NotFound if that one is gone."""
        with self._database.transaction() as run:
            last = rows.own(run, tenant, after) if after is not None else None
            found = run.rows(
                f"SELECT {rows.COLUMNS} FROM fleet_jobs WHERE tenant = :tenant"
                + (" AND (created_at < :at OR (created_at = :at AND id < :id))" if last else "")
                + " ORDER BY created_at DESC, id DESC LIMIT :limit",
                tenant=tenant,
                limit=limit,
                **({"at": last.created_at, "id": last.id} if last else {}),
            )
        return [rows.record_of(row) for row in found]

    def result(self, tenant: str, job_id: str) -> tuple[Record, Result | None]:
        """The job and, if it succeeded, its answer; raises NotFound."""
        with self._database.transaction() as run:
            record = rows.own(run, tenant, job_id)
            found = run.rows("SELECT content_type, body FROM fleet_job_results WHERE id = :id", id=job_id)
        return record, Result(found[0][0], bytes(found[0][1])) if found else None

    def cancel(self, tenant: str, job_id: str) -> Record | None:
        """Cancel a job that is not over; delete one that is, and return None. Raises NotFound."""
        with self._database.transaction() as run:
            run.rows(f"SELECT 1 FROM fleet_jobs WHERE id = :id{self._for_update}", id=job_id)
            record = rows.own(run, tenant, job_id)
            if record.state.is_final:
                rows.delete(run, job_id)
            else:
                rows.end(run, job_id, JobState.CANCELLED)
        self._database.shelf.delete(job_id)
        return None if record.state.is_final else self._known(job_id)

    # for runners

    def claim(self, *, at_most: int) -> Record | None:
        """
        The next job, for the length of a lease; None if none is due, or `at_most` run already.

        Next is the oldest job of the key that has waited longest for a turn. A job whose lease has ended is due again.
        """
        with self._database.transaction() as run:
            running = run.rows(
                "SELECT count(*) FROM fleet_jobs WHERE state = 'running' AND due_at > :now", now=run.now_s
            )
            if running[0][0] >= at_most:
                return None
            found = run.rows(
                "SELECT j.id FROM fleet_jobs j"
                " JOIN (SELECT tenant, max(started_at) AS served FROM fleet_jobs GROUP BY tenant) t"
                " ON t.tenant = j.tenant"
                " WHERE j.state IN ('queued', 'running') AND j.due_at <= :now"
                " ORDER BY coalesce(t.served, 0), j.created_at, j.id LIMIT 1" + self._database.skip_locked,
                now=run.now_s,
            )
            if not found:
                return None
            run.change(
                "UPDATE fleet_jobs SET state = 'running', token = token + 1, attempts = attempts + 1, progress = 0,"
                " started_at = :wall, due_at = :until WHERE id = :id",
                id=found[0][0],
                wall=run.wall_s,
                until=run.now_s + self.lease_s,
            )
            return rows.one(run, found[0][0])

    def renew(self, job_id: str, token: int, progress: float) -> bool:
        """Another lease, and how far the job is; false if the claim is lost."""
        with self._database.transaction() as run:
            held = run.change(
                f"UPDATE fleet_jobs SET due_at = :until, progress = :progress WHERE {HELD}",
                id=job_id,
                token=token,
                until=run.now_s + self.lease_s,
                progress=progress,
            )
        return held == 1

    def audio(self, job_id: str, number: int) -> bytes:
        """One part of the job's audio; empty after the last."""
        return self._database.shelf.part(job_id, number)

    def finish(self, job_id: str, token: int, outcome: Result | JobError) -> bool:
        """Keep how the job ended and let its audio go; false, and nothing is written, if the claim is lost."""
        with self._database.transaction() as run:
            if not run.rows(f"SELECT 1 FROM fleet_jobs WHERE {HELD}{self._for_update}", id=job_id, token=token):
                return False
            if isinstance(outcome, JobError):
                error = json.dumps([outcome.status, outcome.envelope])
                rows.end(run, job_id, JobState.FAILED, error=error)
            else:
                rows.end(run, job_id, JobState.SUCCEEDED, kept_bytes=len(outcome.body))
                run.change(
                    "INSERT INTO fleet_job_results (id, content_type, body) VALUES (:id, :content_type, :body)",
                    id=job_id,
                    content_type=outcome.content_type,
                    body=outcome.body,
                )
        self._database.shelf.delete(job_id)
        return True

    def postpone(self, record: Record, later: Later) -> bool:
        """Back into the queue, not to be claimed before its time; false if the claim is lost."""
        with self._database.transaction() as run:
            held = run.change(
                f"UPDATE fleet_jobs SET state = 'queued', due_at = :due, strikes = :strikes, progress = 0 WHERE {HELD}",
                id=record.id,
                token=record.token,
                due=run.now_s + later.after_s,
                strikes=later.strikes,
            )
            if held and later.is_keys:
                run.change(
                    "UPDATE fleet_jobs SET due_at = :due WHERE id IN (SELECT j.id FROM fleet_jobs j WHERE"
                    f" j.tenant = :tenant AND j.state = 'queued' AND j.due_at < :due{self._database.skip_locked})",
                    tenant=record.tenant,
                    due=run.now_s + later.after_s,
                )
        return held == 1

    # for the keeper

    def expire(self) -> int:
        """Delete what ended longer ago than it is kept, and audio that belongs to no unfinished job; how many jobs."""
        with self._database.transaction() as run:
            gone = run.rows(
                "SELECT id FROM fleet_jobs WHERE finished_at <= :before LIMIT :limit",
                before=run.wall_s - self.ttl_s,
                limit=EXPIRE_AT_ONCE,
            )
            for (job_id,) in gone:
                rows.delete(run, job_id)
        old = list(self._database.shelf.ids(older_than_s=UNNAMED_AUDIO_S))
        with self._database.transaction() as run:
            unfinished = set(run.rows("SELECT id FROM fleet_jobs WHERE state IN ('queued', 'running')") if old else ())
        for job_id in old:
            if (job_id,) not in unfinished:
                self._database.shelf.delete(job_id)
        return len(gone)

    def tally(self) -> Tally:
        """How many jobs are in each state, how long they wait, and how much is kept of them."""
        with self._database.transaction() as run:
            found = run.rows("SELECT state, count(*), min(created_at), sum(kept_bytes) FROM fleet_jobs GROUP BY state")
            now_s = run.wall_s
        waits_s = [now_s - oldest for state, _, oldest, _ in found if state == JobState.QUEUED]
        return Tally(
            by_state=dict.fromkeys(JobState, 0) | {JobState(state): count for state, count, _, _ in found},
            oldest_s=max([0.0, *waits_s]),
            kept_bytes=sum(int(size_bytes) for *_, size_bytes in found),
        )

    def next_callback(self, *, retry_s: float) -> tuple[Record, int] | None:
        """A job whose caller is to be told now, and the how-manieth try it is; due again after `retry_s`."""
        with self._database.transaction() as run:
            found = run.rows(
                "SELECT j.id, j.callback_tries FROM fleet_jobs j WHERE j.callback_due <= :now"
                " ORDER BY j.callback_due LIMIT 1" + self._database.skip_locked,
                now=run.now_s,
            )
            if not found:
                return None
            job_id, tries = found[0]
            run.change(
                "UPDATE fleet_jobs SET callback_due = :due, callback_tries = :tries WHERE id = :id",
                id=job_id,
                due=run.now_s + retry_s,
                tries=tries + 1,
            )
            record = rows.one(run, job_id)
        return None if record is None else (record, tries + 1)

    def plan_callback(self, job_id: str, *, after_s: float | None) -> None:
        """Tell again after so long, or never (None)."""
        with self._database.transaction() as run:
            run.change(
                "UPDATE fleet_jobs SET callback_due = :due WHERE id = :id",
                id=job_id,
                due=None if after_s is None else run.now_s + after_s,
            )

    # inside

    @property
    def _for_update(self) -> str:
        return " FOR UPDATE" if self._database.skip_locked else ""

    def _before(self, new: NewJob) -> Record | None:
        if new.idempotency_key is None:
            return None
        with self._database.transaction() as run:
            found = run.rows(
                f"SELECT {rows.COLUMNS} FROM fleet_jobs WHERE tenant = :tenant AND idempotency_key = :key",
                tenant=new.tenant,
                key=new.idempotency_key,
            )
        if not found:
            return None
        record = rows.record_of(found[0])
        if record.fingerprint != new.fingerprint:
            message = "This Idempotency-Key came with another request before."
            raise BadRequest(message, param="Idempotency-Key", should_retry=False)
        return record

    def _check_room(self, new: NewJob) -> None:
        """Uploads that end in the same moment may go past the limits together; there are few of them."""
        with self._database.transaction() as run:
            kept = run.rows("SELECT tenant, count(*), sum(kept_bytes) FROM fleet_jobs GROUP BY tenant")
        amounts = {tenant: Amount(jobs, int(size_bytes)) for tenant, jobs, size_bytes in kept}
        self._capacity.check(amounts, new.tenant, Amount(1, new.audio_bytes))

    def _inserted(self, job_id: str, new: NewJob) -> Record | None:
        """As _insert; where that fails, the audio goes only if the job is not there: a commit may go unheard."""
        try:
            return self._insert(job_id, new)
        except Unavailable:
            with self._database.transaction() as run:
                is_there = rows.one(run, job_id) is not None
            if not is_there:
                self._database.shelf.delete(job_id)
            raise

    def _insert(self, job_id: str, new: NewJob) -> Record | None:
        """The job as nobody has claimed it yet; None if its idempotency key is taken."""
        with self._database.transaction() as run:
            run.change(
                "INSERT INTO fleet_jobs (id, tenant, state, fields, content_type, audio_bytes, kept_bytes, fingerprint,"
                " created_at, callback_url, idempotency_key) VALUES (:id, :tenant, 'queued', :fields, :content_type,"
                " :audio_bytes, :audio_bytes, :fingerprint, :wall, :callback_url, :key) ON CONFLICT DO NOTHING",
                id=job_id,
                tenant=new.tenant,
                fields=json.dumps(new.fields),
                content_type=new.content_type,
                audio_bytes=new.audio_bytes,
                fingerprint=new.fingerprint,
                wall=run.wall_s,
                callback_url=new.callback_url,
                key=new.idempotency_key,
            )
            return rows.one(run, job_id)

    def _known(self, job_id: str) -> Record:
        with self._database.transaction() as run:
            record = rows.one(run, job_id)
        if record is None:  # cancelled and deleted in this very moment
            raise NotFound
        return record
