"""How one request went, written down as it goes, and read once at its end."""

from __future__ import annotations

from dataclasses import dataclass

from fleet.errors import FleetError
from fleet.stages import Stages
from router.allowance import Grant
from router.job import Job
from router.ledger import Finished

CLIENT_CLOSED = 499  # nobody receives it; it is what logs and metrics show for who hung up


@dataclass(slots=True, kw_only=True)
class Story:
    """Until something better is known, a request ended by a fault of ours."""

    arrived_at: float
    job: Job | None = None
    status: int = 500
    code: str = "internal_error"
    error: FleetError | None = None
    grant: Grant | None = None  # of its key's allowance, once it has one

    def answered(self, status: int) -> None:
        """A worker's answer was passed on; a status of its own fault can only have come as an event of a stream."""
        self.status = status
        self.code = "ok" if status < 400 else "caller_error" if status < 500 else "internal_error"

    def fail(self, error: FleetError) -> None:
        """The answer was an error of the router's."""
        self.status, self.code, self.error = error.status, error.code, error

    def hung_up(self) -> None:
        """The caller left before the answer."""
        self.status, self.code = CLIENT_CLOSED, "client_closed"

    def finished(self, now: float, *, tenant: str, key_class: str = "none") -> Finished:
        """The record for ledger, metrics and log."""
        job = self.job
        return Finished(
            at=now,
            status=self.status,
            code=self.code,
            wait_s=job.queued_s if job else 0.0,
            took_s=now - self.arrived_at,
            audio_s=(job.decoded_s or job.audio_s) if job else 0.0,
            attempts=job.history.attempts if job else 0,
            worker=job.worker if job else None,
            tenant=tenant,
            cache=job.cache if job else "miss",
            key_class=key_class,
            stages=job.stages_at(now) if job else Stages(total_s=now - self.arrived_at),
        )
