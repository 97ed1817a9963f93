"""One caller's request as the router carries it: what was asked, the body, the deadline, and where the answer goes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from fleet import wire
from fleet.fields import TranscriptionRequest
from fleet.stages import SERVER_TIMING, Stages
from fleet.trace import Span, Untraced
from router.admission import Ask
from router.retry import History
from router.spool import Spool


class CallerGone(ConnectionResetError):
    """The caller hung up while it was being answered: nobody's failure, and nothing to try again."""


class Reply(Protocol):
    """The caller's end, into which the answer is written (router.reply); every write may raise CallerGone."""

    @property
    def has_content(self) -> bool:
        """Whether the caller has seen part of an answer; comments that keep the line open do not count."""

    @property
    def status(self) -> int:
        """The HTTP status of what was sent or begun."""

    async def send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        """A whole answer."""

    async def start(self, status: int, headers: dict[str, str]) -> None:
        """The head of an answer whose body follows in pieces."""

    async def write(self, chunk: bytes) -> None:
        """A piece of the body."""

    async def keep_alive(self) -> None:
        """Something that means nothing yet, for who waits for a stream."""


@dataclass(slots=True, kw_only=True)
class Job:
    """Everything that dispatch and attempts need to know. Times are seconds on time.monotonic."""

    path: str  # on the worker
    content_type: str
    request: TranscriptionRequest
    model: str | None  # None is whatever a worker has
    spool: Spool
    digest: Callable[[], Awaitable[str]]  # of the file's bytes; costs a pass over the body
    audio_s: float  # estimated
    request_id: str
    arrived_at: float
    deadline_at: float
    tenant: str = ""
    client_retries: int = 0
    span: Span = field(default_factory=Untraced)
    trace_headers: dict[str, str] = field(default_factory=dict)  # of the attempt that runs
    is_stored: bool = False  # by router.deferred: it comes back by itself, and not at once
    history: History = field(default_factory=History)
    tried: set[str] = field(default_factory=set)
    queued_s: float = 0.0  # waited for slots so far
    decoded_s: float = 0.0  # seconds of audio that the worker found
    worker: str | None = None  # who has it, or had it last
    cache: str = "miss"  # or hit: answered without a worker
    stages: Stages = field(default_factory=Stages)  # where the worker's time went, once it has said so

    @property
    def ask(self) -> Ask:
        """What admission needs to know of it."""
        return Ask(
            audio_s=self.audio_s,
            arrived_at=self.arrived_at,
            deadline_at=self.deadline_at,
            client_retries=self.client_retries,
            tenant=self.tenant,
            model=self.model,
        )

    def stages_at(self, now: float) -> Stages:
        """Where its time went: the worker's stages, the wait on both sides, and all of it so far."""
        told = self.stages
        return Stages(
            queue_s=self.queued_s + told.queue_s,
            decode_s=told.decode_s,
            encode_s=told.encode_s,
            generate_s=told.generate_s,
            engine_s=told.engine_s,
            total_s=now - self.arrived_at,
        )

    def stamps(self, now: float) -> dict[str, str]:
        """The headers of the answer that say how it went."""
        stages = self.stages_at(now)
        return {
            wire.ATTEMPTS: str(self.history.attempts),
            wire.QUEUE_MS: str(round(stages.queue_s * 1000)),
            wire.CACHE: self.cache,
            SERVER_TIMING: stages.to_header(),
        }
