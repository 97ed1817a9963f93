"""
The one function that every door calls: a body in, an answer out, whoever brought it and however it came.

HTTP forms, jobs, batches, WebSockets and Wyoming differ in how they read and answer; what they ask for is served here:
refused early or kept in the spool, read as a form, answered from the cache or dispatched, and noted in ledger, metrics
and access log.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qsl

from fleet.errors import FleetError, Unavailable
from fleet.fields import TranscriptionRequest, parse_request
from router.admission import Ask
from router.allowance import NO_LIMITS, Allowance
from router.audit import Audit
from router.cache.story import Cache, Server
from router.caller import Caller
from router.dispatch import Dispatcher
from router.estimate import Estimator
from router.job import Job, Reply
from router.keys import Keys
from router.ledger import Ledger
from router.metrics import Metrics
from router.offer import Offer
from router.settings import RouterSettings
from router.spool import Spool, SpoolBudget
from router.status import Status
from router.story import Story
from router.upload import Body, Upload, check_head, receive

access = logging.getLogger("router.access")


class Intake:
    """Serves requests; one for the whole router."""

    def __init__(
        self,
        settings: RouterSettings,
        dispatcher: Dispatcher,
        *,
        keys: Keys,
        offer: Offer,
        spool: SpoolBudget,
        ledger: Ledger,
        metrics: Metrics,
        status: Status,
        audit: Audit | None = None,
        cache: Cache | None = None,
    ) -> None:
        self._settings = settings
        self._keys = keys
        self._cache = cache
        self._server: Server = cache or dispatcher
        self._admission = dispatcher.floor.admission
        self._offer = offer
        self._estimator = Estimator()
        self._spool = spool
        self._ledger = ledger
        self._metrics = metrics
        self._status = status
        self._audit = audit

    async def serve(self, caller: Caller, body: Body, reply: Reply) -> None:
        """
        Write the answer into `reply`, or raise the FleetError that is the answer.

        Cancelled when the caller hangs up: whatever the request holds goes with it.
        """
        with self._noted(caller) as story:
            self.check(caller, body)
            with self._allowance(caller).request(time.monotonic()) as story.grant:
                await self._served(caller, body, reply, story)

    def check(self, caller: Caller, body: Body) -> None:
        """Refuse by the head alone whatever can be refused: nobody uploads in vain."""
        check_head(body, body_bytes_max=self._settings.max_upload_bytes)
        if (refused := self._allowance(caller).refusal(time.monotonic())) is not None:
            raise refused
        if self._status.state == "draining" and not caller.is_part:
            raise Unavailable("This router is shutting down.", code="draining", retry_after_s=1)
        if not self._spool.has_room(body.size_bytes):
            raise Unavailable("The spool for uploads is full.", code="storage_unavailable", retry_after_s=5)
        ask = Ask(
            audio_s=self._estimator.audio_s(b"", body.size_bytes),
            arrived_at=caller.arrived_at,
            deadline_at=math.inf,  # a guess from a size alone turns nobody away for good
            client_retries=caller.client_retries,
            tenant=caller.tenant,
        )
        self._admission.check(ask, time.monotonic())

    def _allowance(self, caller: Caller) -> Allowance:
        allowance = self._keys.allowance(caller.tenant)  # also of a guess: its key may have been revoked
        return NO_LIMITS if caller.is_guess else allowance

    async def _served(self, caller: Caller, body: Body, reply: Reply, story: Story) -> None:
        async with Spool(self._spool) as spool:
            limit = self._settings.max_upload_bytes
            is_hashed = self._cache is not None
            upload = await receive(body, spool, body_bytes_max=limit, on_bytes=self._received, is_hashed=is_hashed)
            story.job = job = self._job(caller, body, upload)
            if story.grant is not None:
                story.grant.expect(job.audio_s, time.monotonic())
            await self._server.serve(job, reply)
            if job.decoded_s:
                self._estimator.learn(upload.head, upload.file.size_bytes, job.decoded_s)
            story.answered(reply.status)

    def _job(self, caller: Caller, body: Body, upload: Upload) -> Job:
        wanted = self._read(body, upload)
        return Job(
            path=body.kind.target(body.query),
            content_type=upload.content_type,
            request=wanted,
            model=self._offer.resolve(wanted.model),
            spool=upload.spool,
            digest=upload.digest,
            audio_s=self._estimator.audio_s(upload.head, upload.file.size_bytes, upload.file.content_type),
            request_id=caller.request_id,
            arrived_at=caller.arrived_at,
            deadline_at=caller.deadline_at,
            tenant=caller.tenant,
            client_retries=caller.client_retries,
            span=caller.span,
            is_stored=caller.is_stored,
        )

    def _read(self, body: Body, upload: Upload) -> TranscriptionRequest:
        query = parse_qsl(body.query, keep_blank_values=True) if body.kind.reads_query else []
        fields = body.kind.fields(upload.form.fields, dict(reversed(query)))  # of two alike the first counts
        if body.tier is not None and all(name != "transcription_tier" for name, _ in fields):
            fields.append(("transcription_tier", body.tier))
        return parse_request(
            fields,
            task=body.kind.task,
            is_strict=self._settings.strict_fields,
            accepts_any_language=self._offer.is_scripted,
        )

    @contextmanager
    def _noted(self, caller: Caller) -> Iterator[Story]:
        """Note in ledger, metrics and access log how the request ended, however it ends."""
        story = Story(arrived_at=caller.arrived_at)
        try:
            with self._status.open():
                yield story
        except FleetError as error:
            story.fail(error)
            raise
        except (asyncio.CancelledError, ConnectionError):
            story.hung_up()
            raise
        finally:
            asyncio.get_running_loop().call_soon(self._note, caller, story)  # once the answer is on its way

    def _note(self, caller: Caller, story: Story) -> None:
        now = time.monotonic()
        finished = story.finished(now, tenant=caller.tenant, key_class=self._keys.class_of(caller.tenant))
        if story.grant is not None:
            story.grant.charge(finished.charged_s, now)
        self._ledger.note(finished)
        self._metrics.finished(finished)
        if story.error is not None and finished.attempts == 0:
            self._metrics.rejected(story.error.code, story.error.told_retry_after_s)
        access.info("%s %d", caller.door, finished.status, extra=finished.for_log())
        if self._audit is not None:
            self._audit.note(caller, self._keys.name_of(caller.tenant), finished)

    def _received(self, size_bytes: int) -> None:
        self._ledger.bytes_in += size_bytes
        self._metrics.received(size_bytes)
