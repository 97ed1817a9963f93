"""/v1/jobs: what callers see of their jobs. A job belongs to the key that it came with; to others there is no such."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import Iterator

from aiohttp import web

from fleet.errors import BadRequest, NotFound, Unavailable
from fleet.fields import LISTS, SCALARS, parse_request
from fleet.forms import FormKind, openai_fields
from fleet.web import add, json_answer
from router.deferred.book import Book
from router.deferred.callback import Allowed
from router.deferred.clip import pieces
from router.deferred.record import NewJob
from router.deferred.runner import Runner
from router.deferred.store import JobStore
from router.expect import expecting
from router.keys import TENANT, Keys
from router.offer import Offer
from router.settings import RouterSettings
from router.spool import Spool, SpoolBudget
from router.status import Status
from router.upload import Body, Upload, body_of, check_head, receive

JOBS = FormKind("/v1/jobs", ("file",), openai_fields)
ID = re.compile(r"[0-9a-f]{32}")
IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}")
FIELD = re.compile(r"([a-z_]+)(\[[a-z_]*\])?")
CONTENT_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+", re.ASCII)
OWN_FIELDS = frozenset(["stream", "progress", "callback_url"])  # a job's own, or of no meaning to one
NUMBER = re.compile(r"[0-9]{1,3}")
LIST_MAX = 100


class Desk:
    """Handlers, and what they need."""

    def __init__(
        self,
        settings: RouterSettings,
        book: Book | None,
        runner: Runner | None,
        *,
        allowed: Allowed,
        keys: Keys,
        offer: Offer,
        spool: SpoolBudget,
        status: Status,
    ) -> None:
        """Without a book every answer is that there are no jobs here."""
        self._settings = settings
        self._book_or_none = book
        self._runner = runner
        self._allowed = allowed
        self._keys = keys
        self._offer = offer
        self._spool = spool
        self._status = status
        threads = book.store.threads if book is not None else 1
        self._storing = asyncio.Semaphore(max(1, threads - 1))  # a large upload takes seconds: leases need a thread too

    def add_routes(self, routes: web.UrlDispatcher) -> None:
        """Register everything."""
        add(routes, "POST", "/v1/jobs", self.submit, expect=expecting(self._check_head))
        add(routes, "GET", "/v1/jobs", self.list)
        add(routes, "GET", "/v1/jobs/{id}", self.get)
        add(routes, "DELETE", "/v1/jobs/{id}", self.cancel)
        add(routes, "GET", "/v1/jobs/{id}/result", self.result)

    async def submit(self, request: web.Request) -> web.Response:
        """POST /v1/jobs: 202 once the job is durable, and the same job for the same Idempotency-Key."""
        body = self._check(request)
        with self._status.open():
            async with Spool(self._spool) as spool:
                upload = await receive(
                    body, spool, body_bytes_max=self._settings.max_upload_bytes, on_bytes=lambda _: None
                )
                new = await self._read(request, upload)
                async with self._storing:
                    record = await self._book.ask(JobStore.add, new, pieces(upload))
        if self._runner is not None:
            self._runner.wake()
        return json_answer({"id": record.id, "status": record.state.value}, status=202)

    async def get(self, request: web.Request) -> web.Response:
        """GET /v1/jobs/{id}."""
        record, position = await self._book.ask(JobStore.get, request[TENANT], _id(request))
        return json_answer(record.to_json(ttl_s=self._settings.job_ttl_s, position=position))

    async def list(self, request: web.Request) -> web.Response:
        """GET /v1/jobs?limit=&after=: the key's own, newest first. `position` is in the single job's answer only."""
        limit = request.query.get("limit", "20")
        if not NUMBER.fullmatch(limit) or not 1 <= int(limit) <= LIST_MAX:
            raise BadRequest(f"'limit' must be a number from 1 to {LIST_MAX}.", param="limit")
        after = request.query.get("after")
        if after is not None and not ID.fullmatch(after):
            raise BadRequest("'after' must be the id of a job.", param="after")
        found = await self._book.ask(JobStore.list, request[TENANT], limit=int(limit) + 1, after=after)
        shown = [record.to_json(ttl_s=self._settings.job_ttl_s) for record in found[: int(limit)]]
        return json_answer({"object": "list", "data": shown, "has_more": len(found) > int(limit)})

    async def cancel(self, request: web.Request) -> web.Response:
        """DELETE /v1/jobs/{id}: cancels what is not over, deletes what is."""
        job_id = _id(request)
        record = await self._book.ask(JobStore.cancel, request[TENANT], job_id)
        if record is None:
            return json_answer({"id": job_id, "object": "transcription.job", "deleted": True})
        if self._runner is not None:
            self._runner.stop(job_id)
        return json_answer(record.to_json(ttl_s=self._settings.job_ttl_s))

    async def result(self, request: web.Request) -> web.Response:
        """GET /v1/jobs/{id}/result: the answer in the format asked for, or the error that a live request would get."""
        record, result = await self._book.ask(JobStore.result, request[TENANT], _id(request))
        if record.error is not None:
            return json_answer({"error": record.error.envelope}, status=record.error.status)
        if result is None:
            wait_s = None if record.state.is_final else 1
            raise NotFound(f"This job is {record.state} and has no result.", retry_after_s=wait_s)
        headers = {"Content-Type": result.content_type, "Cache-Control": "no-store"}
        return web.Response(body=result.body, headers=headers)

    # inside

    @property
    def _book(self) -> Book:
        if self._book_or_none is not None:
            return self._book_or_none
        if self._settings.jobs == "off":
            raise NotFound("Jobs are switched off here (JOBS).")
        raise Unavailable("Jobs cannot be stored here (JOBS).", code="storage_unavailable", retry_after_s=60)

    def _check_head(self, request: web.Request) -> None:
        self._keys.require(request)
        self._check(request)

    def _check(self, request: web.Request) -> Body:
        """Refuse by the head alone what can be; a busy fleet is no reason to."""
        _ = self._book
        body = body_of(request, JOBS, within_s=self._settings.body_timeout_s)
        check_head(body, body_bytes_max=self._settings.max_upload_bytes)
        if self._status.state == "draining":
            raise Unavailable("This router is shutting down.", code="draining", retry_after_s=1)
        if not self._spool.has_room(body.size_bytes):
            raise Unavailable("The spool for uploads is full.", code="storage_unavailable", retry_after_s=5)
        return body

    async def _read(self, request: web.Request, upload: Upload) -> NewJob:
        """What is wanted, with wrong fields refused as a live request's are."""
        given = dict(reversed(upload.form.fields))
        wanted = parse_request(
            [(name, value) for name, value in upload.form.fields if name not in OWN_FIELDS],
            is_strict=self._settings.strict_fields,
            accepts_any_language=self._offer.is_scripted,
        )
        if self._offer.models():  # while no worker is there nobody knows; the run will tell
            self._offer.resolve(wanted.model)
        callback_url = self._allowed.check(given["callback_url"]) if given.get("callback_url") else None
        fields = tuple(_kept(upload.form.fields))
        key = request.headers.get("Idempotency-Key")
        if key is not None and not IDEMPOTENCY_KEY.fullmatch(key):
            raise BadRequest("Idempotency-Key must be 1 to 255 printable characters.", param="Idempotency-Key")
        print_of = json.dumps([fields, callback_url, await upload.digest() if key else None])
        label = upload.file.content_type or ""
        return NewJob(
            tenant=request[TENANT],
            fields=fields,
            content_type=label if CONTENT_TYPE.fullmatch(label) else "application/octet-stream",
            audio_bytes=upload.file.size_bytes,
            callback_url=callback_url,
            idempotency_key=key,
            fingerprint=hashlib.blake2b(print_of.encode(), digest_size=16).hexdigest(),
        )


def _kept(fields: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Fields that mean something; the form of a run is written anew, so their names must be our own."""
    for name, value in fields:
        known = FIELD.fullmatch(name)
        if known and known[1] in SCALARS | LISTS and known[1] not in OWN_FIELDS:
            yield name, "deferred" if name == "transcription_tier" else value


def _id(request: web.Request) -> str:
    job_id = request.match_info["id"]
    if not ID.fullmatch(job_id):
        raise NotFound("There is no such job.")
    return job_id
