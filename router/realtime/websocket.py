"""GET /v1/realtime: the handshake, then frames to a session and its events back, until either side has had enough."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from aiohttp import WSCloseCode, WSMessage, WSMsgType, web
from prometheus_client.registry import CollectorRegistry

from fleet.errors import BadRequest, FleetError, Forbidden, NotFound, Unavailable
from fleet.fields import parse_request
from fleet.web import add
from router.caller import Caller, caller_of
from router.dispatch import Floor
from router.door import KeptReply, form_of
from router.intake import Intake
from router.job import CallerGone
from router.keys import TENANT, Keys, offered_protocols
from router.offer import Offer
from router.realtime.config import Config
from router.realtime.ears import Ears
from router.realtime.seats import Seat, Seats
from router.realtime.session import Fleet, Session, Transcribe
from router.settings import RouterSettings
from router.status import Status

PROTOCOL = "realtime"
FRAME_BYTES_MAX = 2 << 20  # half a minute of PCM in base64; a longer frame closes the connection with 1009
HEARTBEAT_S = 30  # pings: a peer that is gone is noticed, and proxies keep the line open
STALL_S = 3  # without audio in the middle of a turn: taken for silence, since a muted microphone sends nothing
CLOSE_S = 2  # for the other side's goodbye
GUESS_DEADLINE_S = 10  # a guess that comes later is of no use
FINISH_S = 10  # at shutdown, for the text of what was said so far

logger = logging.getLogger("router.realtime")


class Realtime:
    """The door. State: the seats, and the sessions' waits for their next frame, by which they are told to leave."""

    def __init__(self, settings: RouterSettings, intake: Intake, *, keys: Keys, floor: Floor, offer: Offer) -> None:
        self._settings = settings
        self._intake = intake
        self._keys = keys
        self._floor = floor
        self._offer = offer
        self._ears = Ears()
        self._is_leaving = False
        self._patience: set[asyncio.Timeout] = set()
        self.seats = Seats(settings.realtime_sessions)

    def __repr__(self) -> str:
        return f"<Realtime {self.seats}>"

    def add_routes(self, routes: web.UrlDispatcher) -> None:
        """Register it."""
        add(routes, "GET", "/v1/realtime", self.connect)

    def show(self, status: Status, registry: CollectorRegistry) -> None:
        """Tell of the sessions on /lb-status and /metrics."""
        status.doors["realtime"] = self.seats.to_json
        registry.register(self.seats)

    async def drain(self) -> None:
        """Take no more audio, give each session the text of what it has, and say goodbye; 10 s at most."""
        self._is_leaving = True
        for patience in self._patience:
            if not patience.expired():  # in this very moment; it cannot be changed then, and need not be
                patience.reschedule(0)
        deadline = time.monotonic() + FINISH_S
        while len(self.seats) and time.monotonic() < deadline:  # noqa: ASYNC110  a drain is rare
            await asyncio.sleep(0.02)

    async def close(self, _: web.Application) -> None:
        """End the threads."""
        self._ears.close()

    async def connect(self, request: web.Request) -> web.StreamResponse:
        """GET /v1/realtime."""
        self._check(request)
        offered = offered_protocols(request)
        socket = web.WebSocketResponse(
            protocols=(PROTOCOL,) if PROTOCOL in offered else offered,  # a browser insists on one of its own
            heartbeat=HEARTBEAT_S,
            max_msg_size=FRAME_BYTES_MAX,
            compress=False,
            timeout=CLOSE_S,
        )
        if not socket.can_prepare(request):
            raise BadRequest("This address speaks WebSocket.")
        with self._seat(request) as seat:
            await socket.prepare(request)
            try:
                async with asyncio.TaskGroup() as group:
                    session = self._session(request, socket, group)
                    await session.open()
                    goodbye = await self._converse(socket, session, seat)
                    await session.finish()
                await session.refuse(goodbye)
                code = WSCloseCode.GOING_AWAY if self._is_leaving else WSCloseCode.OK
                await socket.close(code=code, message=goodbye.code.encode())
            except* ConnectionResetError:
                logger.debug("the caller hung up")
            except* Exception:  # the edge: an HTTP error would be no frame
                logger.exception("unexpected error")
                await socket.close(code=WSCloseCode.INTERNAL_ERROR)
        return socket

    async def _converse(self, socket: web.WebSocketResponse, session: Session, seat: Seat) -> FleetError:
        """Hand frames to the session until it should end; gives the reason, or raises CallerGone."""
        idle_s = self._settings.realtime_idle_s
        while True:
            frame = await self._next(socket, STALL_S if session.is_in_turn else idle_s)
            if frame is None and self._is_leaving:
                return Unavailable("This router is shutting down.", code="draining")
            if frame is None and not session.is_in_turn:
                return BadRequest(f"No message came for {idle_s:g} s.", code="session_expired")
            if frame is None:
                await session.finish()
            elif frame.type is WSMsgType.TEXT:
                await session.take(frame.data)
                seat.audio_s = session.heard_s
            elif frame.type is WSMsgType.BINARY:
                await session.refuse(BadRequest("Messages are JSON text; audio goes into them as base64."))
            else:
                raise CallerGone

    async def _next(self, socket: web.WebSocketResponse, within_s: float) -> WSMessage | None:
        """The next frame; None if none came in time, or if the router wants to leave."""
        try:
            async with asyncio.timeout(0 if self._is_leaving else within_s) as patience:
                self._patience.add(patience)
                try:
                    return await socket.receive()
                finally:
                    self._patience.discard(patience)
        except TimeoutError:
            return None

    def _session(self, request: web.Request, socket: web.WebSocketResponse, group: asyncio.TaskGroup) -> Session:
        async def send(event: dict[str, Any]) -> None:
            await socket.send_str(json.dumps(event))

        fleet = Fleet(
            ears=self._ears,
            transcribe=self._transcribe_for(request),
            has_idle_slot=self._has_idle_slot,
            check=self._check_config,
        )
        model = request.query.get("model")  # of a conversation, as some clients send it: then it means nothing here
        is_known = model in self._offer.models()
        is_beta = "openai-beta.realtime-v1" in offered_protocols(request) or "OpenAI-Beta" in request.headers
        return Session(fleet, send, group, config=Config(model=model if is_known else None), is_beta=is_beta)

    def _transcribe_for(self, request: web.Request) -> Transcribe:
        caller = caller_of(request, now=time.monotonic(), default_deadline_s=self._settings.default_deadline_s)
        patience_s, numbers = caller.deadline_at - caller.arrived_at, itertools.count(1)

        async def transcribe(clip: bytes, fields: list[tuple[str, str]], *, is_guess: bool) -> Mapping[str, Any]:
            now = time.monotonic()
            asked = replace(
                caller,
                request_id=f"{caller.request_id}-{next(numbers)}",
                door="realtime guess" if is_guess else "realtime",
                is_guess=is_guess,
                arrived_at=now,
                deadline_at=now + (GUESS_DEADLINE_S if is_guess else patience_s),
            )
            try:
                return await self._answer(asked, clip, fields)
            except FleetError:
                raise
            except Exception as error:  # one turn's accident is not the session's
                logger.exception("unexpected error")
                raise FleetError from error

        return transcribe

    async def _answer(self, caller: Caller, clip: bytes, fields: list[tuple[str, str]]) -> Mapping[str, Any]:
        reply = KeptReply()
        await self._intake.serve(caller, form_of(fields, clip), reply)
        if reply.status != 200:
            raise refusal_of(reply)
        answer: Mapping[str, Any] = reply.json()
        return answer

    def _has_idle_slot(self) -> bool:
        """Whether a guess would keep nobody waiting."""
        return not len(self._floor.queue) and bool(self._floor.pool.available(time.monotonic()))

    def _check(self, request: web.Request) -> None:
        if not self._settings.realtime_sessions:
            raise NotFound("Live transcription is switched off here.")
        if self._is_leaving:
            raise Unavailable("This router is shutting down.", code="draining")
        if request.query.get("intent", "transcription") != "transcription":
            raise BadRequest("A session here transcribes: 'intent' must be 'transcription'.", param="intent")
        if self._keys.is_open and not self._is_own_page(request):
            raise Forbidden("Pages of another origin may not listen here: name it in CORS_ORIGINS.")
        self._ears.check()
        self.seats.check()

    def _is_own_page(self, request: web.Request) -> bool:
        """Whether no page asks, or one of this router's: browsers let any page open a WebSocket to anywhere."""
        origin = request.headers.get("Origin")
        if origin is None or {"*", origin} & set(self._settings.cors_origins):
            return True
        try:
            return urlsplit(origin).netloc == request.host
        except ValueError:  # `http://[`
            return False

    def _check_config(self, config: Config) -> None:
        self._offer.resolve(config.model)
        parse_request(config.fields(), accepts_any_language=self._offer.is_scripted)

    @contextmanager
    def _seat(self, request: web.Request) -> Iterator[Seat]:
        """Count a session for as long as it lasts."""
        since = time.monotonic()
        with self.seats.take() as seat:
            try:
                yield seat
            finally:
                lasted_s, audio_s = round(time.monotonic() - since, 3), round(seat.audio_s, 3)
                told = {"lasted_s": lasted_s, "audio_s": audio_s, "tenant": request[TENANT]}
                logger.info("session over", extra=told)


def refusal_of(reply: KeptReply) -> FleetError:
    """A worker's word about a clip, as an error to pass on."""
    try:
        error = reply.json()["error"]
        message, code, param = error["message"], error["code"], error["param"]
    except (ValueError, KeyError, TypeError):
        return FleetError()
    return BadRequest(message, code=code, param=param)
