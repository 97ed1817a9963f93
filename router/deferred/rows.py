"""A job's row: found, read as a Record, ended, deleted, inside a transaction of the store's."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

from fleet.errors import NotFound
from router.deferred.database import Transaction
from router.deferred.record import JobError, JobState, Record, position

COLUMNS = ", ".join(field.name for field in fields(Record))


def one(run: Transaction, job_id: str) -> Record | None:
    """The job, whoever it belongs to."""
    found = run.rows(f"SELECT {COLUMNS} FROM fleet_jobs WHERE id = :id", id=job_id)
    return record_of(found[0]) if found else None


def own(run: Transaction, tenant: str, job_id: str) -> Record:
    """The tenant's job; raises NotFound, for another tenant's too."""
    record = one(run, job_id)
    if record is None or record.tenant != tenant:
        raise NotFound("There is no such job.")
    return record


def position_of(run: Transaction, record: Record) -> int:
    """A queued job's place; 1 is next."""
    ahead = run.rows(
        "SELECT count(*) FROM fleet_jobs WHERE state = 'queued' AND tenant = :tenant"
        " AND (created_at < :at OR (created_at = :at AND id < :id))",
        tenant=record.tenant,
        at=record.created_at,
        id=record.id,
    )
    others = run.rows(
        "SELECT count(*) FROM fleet_jobs WHERE state = 'queued' AND tenant <> :tenant GROUP BY tenant",
        tenant=record.tenant,
    )
    return position(ahead[0][0], (count for (count,) in others))


def end(run: Transaction, job_id: str, state: JobState, *, error: str | None = None, kept_bytes: int = 0) -> None:
    """The job is over; who wanted to be told of it is told from now on."""
    run.change(
        "UPDATE fleet_jobs SET state = :state, finished_at = :wall, error = :error, kept_bytes = :kept,"
        " progress = CASE WHEN :state = 'succeeded' THEN 1 ELSE progress END,"
        " callback_due = CASE WHEN callback_url IS NULL THEN NULL ELSE :now END WHERE id = :id",
        id=job_id,
        state=state.value,
        wall=run.wall_s,
        now=run.now_s,
        error=error,
        kept=kept_bytes,
    )


def delete(run: Transaction, job_id: str) -> None:
    """The job and its result; not its audio."""
    run.change("DELETE FROM fleet_job_results WHERE id = :id", id=job_id)
    run.change("DELETE FROM fleet_jobs WHERE id = :id", id=job_id)


def record_of(row: tuple[Any, ...]) -> Record:
    """From COLUMNS."""
    values = dict(zip((field.name for field in fields(Record)), row, strict=True))
    values["state"] = JobState(values["state"])
    values["fields"] = tuple((name, value) for name, value in json.loads(values["fields"]))
    if values["error"] is not None:
        status, envelope = json.loads(values["error"])
        values["error"] = JobError(status, envelope)
    return Record(**values)
