"""
Several clips in one request: each goes through the intake as a request of its own, all are answered together.

The body is read once, each clip into a spool of its own. They wait there until their turn comes, so that one batch
never has more in the router's queue than the fleet can begin, and leave it for the intake's spool without ever being
in memory twice.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

from aiohttp import web

from fleet.errors import BadRequest, FleetError
from fleet.form import FilePart, FormReader
from fleet.forms import TRANSCRIPTIONS, Fields
from fleet.render import JSON_TYPE
from fleet.web import ExpectHandler, add
from router.caller import Caller, caller_of
from router.door import KeptReply, form_of
from router.intake import Intake
from router.keys import Keys
from router.pool import Pool
from router.settings import RouterSettings
from router.spool import Spool, SpoolBudget
from router.status import Status
from router.upload import Body, body_of

PATH = "/v1/audio/transcriptions_batch"
AHEAD = 2  # clips of one batch on their way for each slot of the fleet: one runs, and the next is there when it ends

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Clip:
    """One file part and its bytes."""

    part: FilePart
    spool: Spool

    async def chunks(self) -> AsyncIterator[bytes]:
        """The bytes, once: who reads them to their end has them, and they are let go here."""
        async for chunk in self.spool.chunks():
            yield chunk
        self.spool.close()


class Batch:
    """The route, and what it needs."""

    def __init__(
        self, settings: RouterSettings, intake: Intake, *, keys: Keys, pool: Pool, spool: SpoolBudget, status: Status
    ) -> None:
        self._settings = settings
        self._intake = intake
        self._keys = keys
        self._pool = pool
        self._spool = spool
        self._status = status

    def add_routes(self, routes: web.UrlDispatcher, expect: ExpectHandler) -> None:
        """Register it."""
        add(routes, "POST", PATH, self.transcribe, expect=expect)

    async def transcribe(self, request: web.Request) -> web.Response:
        """POST /v1/audio/transcriptions_batch: 200 once the form is read; each clip's fate stands in `results`."""
        caller = caller_of(request, now=time.monotonic(), default_deadline_s=self._settings.default_deadline_s)
        body = body_of(request, TRANSCRIPTIONS, within_s=self._settings.body_timeout_s)
        self._intake.check(caller, body)
        with self._status.open():
            async with AsyncExitStack() as spools:
                fields, clips = await self._receive(body, spools)
                results = await self._serve_all(caller, body.tier, fields, clips)
        return web.Response(body=b'{"results":[' + b",".join(results) + b"]}", headers={"Content-Type": JSON_TYPE})

    async def _receive(self, body: Body, spools: AsyncExitStack) -> tuple[Fields, list[Clip]]:
        """Read the whole form; raises FleetError where one clip's form would."""
        clips: list[Clip] = []
        pieces: list[tuple[Spool, bytes]] = []

        def on_file(chunk: bytes) -> None:
            pieces.append((spool_of_last(), chunk))

        def spool_of_last() -> Spool:
            while len(clips) < len(reader.form.files):
                clips.append(Clip(reader.form.files[len(clips)], Spool(self._spool)))
                spools.push_async_exit(clips[-1].spool)
            return clips[-1].spool

        reader = FormReader(
            body.content_type,
            on_file=on_file,
            body_bytes_max=self._settings.max_upload_bytes,
            files_max=self._settings.max_batch_files,
        )
        async for chunk in body.chunks:
            reader.feed(chunk)
            for spool, piece in pieces:
                await spool.write(piece)
            pieces.clear()
        form = reader.finish()
        if not form.files:
            raise BadRequest("Send each clip as a part named 'file'.", code="missing_file", param="file")
        spool_of_last()
        for clip in clips:
            await clip.spool.seal()
        return [(name, value) for name, value in form.fields if name != "stream"], clips

    async def _serve_all(self, caller: Caller, tier: str | None, fields: Fields, clips: list[Clip]) -> list[bytes]:
        """Every clip's answer or error, in order. Cancelled as one, when the caller hangs up."""
        turns = asyncio.Semaphore(self._at_once(caller))
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._serve(_part_of(caller, number), _form_of(fields, clip, tier), turns))
                for number, clip in enumerate(clips, start=1)
            ]
        return [task.result() for task in tasks]

    async def _serve(self, caller: Caller, body: Body, turns: asyncio.Semaphore) -> bytes:
        reply = KeptReply()
        async with turns:
            try:
                await self._intake.serve(caller, body, reply)
            except FleetError as error:
                return json.dumps(error.to_json()).encode()
            except Exception:  # one clip's accident is not the others'
                logger.exception("unexpected error")
                return json.dumps(FleetError().to_json()).encode()
        is_json = reply.headers.get("Content-Type", "").startswith("application/json")
        return reply.body if is_json else json.dumps(reply.body.decode()).encode()

    def _at_once(self, caller: Caller) -> int:
        """How many clips may be on their way: what the fleet can begin, and what the caller's key allows."""
        fits = AHEAD * max(1, self._pool.slots(time.monotonic()))
        allowed = self._keys.allowance(caller.tenant).concurrency
        return fits if allowed is None else min(fits, allowed)


def _part_of(caller: Caller, number: int) -> Caller:
    return replace(caller, request_id=f"{caller.request_id}-{number}", is_part=True)


def _form_of(fields: Fields, clip: Clip, tier: str | None) -> Body:
    return replace(form_of(fields, clip.chunks(), clip_bytes=clip.part.size_bytes), tier=tier)
