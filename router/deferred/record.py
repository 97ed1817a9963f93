"""What is known of a job, and what its caller sees of that (core: no clock, no I/O)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class JobState(StrEnum):
    """The states that a caller sees; the last three are final."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether nothing follows but the deletion."""
        return self not in (JobState.QUEUED, JobState.RUNNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """A job as it was asked for. `fingerprint` tells two requests with one idempotency key apart."""

    tenant: str
    fields: tuple[tuple[str, str], ...]
    content_type: str
    audio_bytes: int
    callback_url: str | None = None
    idempotency_key: str | None = None
    fingerprint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A job as the store has it. Times are seconds since the epoch."""

    id: str
    tenant: str
    state: JobState
    fields: tuple[tuple[str, str], ...]
    content_type: str
    audio_bytes: int
    fingerprint: str
    created_at: float
    started_at: float | None
    finished_at: float | None
    progress: float
    attempts: int
    strikes: int  # runs that ended badly with nothing but the audio to blame
    token: int  # of the latest claim
    error: JobError | None
    callback_url: str | None

    def to_json(self, *, ttl_s: float, position: int | None = None) -> dict[str, Any]:
        """What `GET /v1/jobs/{id}` shows."""
        return {
            "id": self.id,
            "object": "transcription.job",
            "status": self.state.value,
            "progress": round(self.progress, 3),
            "position": position,
            "attempts": self.attempts,
            "created_at": round(self.created_at),
            "started_at": _whole(self.started_at),
            "finished_at": _whole(self.finished_at),
            "expires_at": _whole(self.finished_at + ttl_s) if self.finished_at is not None else None,
            "callback_url": self.callback_url,
            "error": self.error.envelope if self.error is not None else None,
        }


@dataclass(frozen=True, slots=True)
class JobError:
    """Why a job failed: what a live request would have been answered. `envelope` is what stands under `error`."""

    status: int
    envelope: dict[str, str | None]


@dataclass(frozen=True, slots=True)
class Result:
    """The answer, in the format that was asked for."""

    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What is in the store, all keys together."""

    by_state: dict[JobState, int] = field(default_factory=lambda: dict.fromkeys(JobState, 0))
    oldest_s: float = 0.0  # how long the oldest queued job has waited
    kept_bytes: int = 0

    def to_json(self) -> dict[str, Any]:
        """What /lb-status shows."""
        states = {state.value: count for state, count in self.by_state.items()}
        return {**states, "oldest_s": round(self.oldest_s, 1), "kept_bytes": self.kept_bytes}


def position(own_ahead: int, others: Iterable[int]) -> int:
    """
    A queued job's place, 1 is next: `own_ahead` jobs of its key before it, and `others` queued by each other key.

    Keys take turns, so of each other key at most as many go first as of the job's own, and one.
    """
    return own_ahead + sum(min(count, own_ahead + 1) for count in others) + 1


def _whole(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds)
