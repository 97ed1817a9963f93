"""
The door for Wyoming, the protocol of Home Assistant's voice assistants: TCP, utterance in, transcript out.

What comes in takes the same queue, limits and retries as HTTP. `describe` is answered by the router itself, at once:
Home Assistant waits one second for it. Wyoming knows no keys, so where callers need one, a setting must name the key
that these callers count under, or the door stays shut.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
import time
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from wyoming.error import Error
from wyoming.info import AsrModel, AsrProgram, Attribution, Info

from fleet import __version__
from fleet.connection import ConnectionLimits, Connections
from fleet.errors import FleetError, Unauthorized, Unavailable
from fleet.serve import StartupError
from router.caller import Caller
from router.intake import Intake
from router.job import CallerGone
from router.keys import Keys
from router.offer import Offer
from router.settings import RouterSettings
from router.wyoming_announce import announced
from router.wyoming_frame import LINE_BYTES_MAX, EventStream
from router.wyoming_session import Patience, Session
from router.wyoming_speech import PROGRAM

DEFAULT_PORT = 10300  # where Wyoming's clients look for speech to text
LAST_WORD_S = 2.0  # a refused client may send on for so long before the line is cut
OURS = Attribution("Whisper on CTranslate2", "https://github.com/SYSTRAN/faster-whisper")

logger = logging.getLogger("router.wyoming")


class WyomingDoor(Collector):
    """Accepts connections while its loop runs. State: the port, once it listens, and how many are connected."""

    def __init__(self, settings: RouterSettings, intake: Intake, *, keys: Keys, offer: Offer) -> None:
        self._settings = settings
        self._intake = intake
        self._keys = keys
        self._offer = offer
        self._patience = Patience(idle_s=settings.keepalive_s, utterance_s=settings.body_timeout_s)
        most = settings.wyoming_sessions
        self._connections = Connections(ConnectionLimits(total=most, each_address=most))
        self.port: int | None = None

    @property
    def connected(self) -> int:
        """Connections that are open and were let in."""
        return self._connections.count

    def collect(self) -> Iterator[Metric]:
        """For /metrics: read when they are scraped."""
        limit = self._connections.limits.total
        yield GaugeMetricFamily("stt_router_wyoming_connections", "Wyoming connections that are open.", self.connected)
        yield GaugeMetricFamily("stt_router_wyoming_connections_limit", "Wyoming connections that may be.", limit)
        refused = self._connections.refused
        yield CounterMetricFamily("stt_router_wyoming_refused", "Wyoming connections past the limit.", refused)

    async def loop(self) -> None:
        """Listen until cancelled. Raises StartupError for a port that was asked for and cannot be had."""
        listener = self._listener()
        if listener is None:
            return
        self.port = listener.getsockname()[1]
        logger.info("listening for Wyoming", extra={"port": self.port})
        sessions = asyncio.TaskGroup()
        announcement = announced(self._settings.wyoming_zeroconf, self._settings.host, self.port)
        with listener:
            async with announcement, sessions:
                await self._accept(listener, sessions)

    async def _accept(self, listener: socket.socket, sessions: asyncio.TaskGroup) -> None:
        def on_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            sessions.create_task(self._serve(reader, writer))

        server = await asyncio.start_server(on_connection, sock=listener, limit=LINE_BYTES_MAX)
        try:
            await asyncio.Event().wait()
        finally:
            server.close()

    def info(self) -> Info:
        """
        What we are and can; raises Unavailable while no worker has said what it holds.

        Home Assistant asks again then; languages that it was once not told of it would miss until it is restarted.
        """
        models = [
            AsrModel(name=name, attribution=OURS, installed=True, description=None, version=None, languages=languages)
            for name, languages in self._offer.languages().items()
        ]
        if not models:
            raise Unavailable("No worker is ready yet.", code="no_worker")
        program = AsrProgram(
            name=PROGRAM,
            attribution=OURS,
            installed=True,
            description="A fleet of Whisper workers",
            version=__version__,
            models=models,
            supports_transcript_streaming=True,
        )
        return Info(asr=[program])

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection from its first byte to its last; nothing that happens on it reaches another."""
        address = str((writer.get_extra_info("peername") or ("",))[0])
        events, is_let_in = EventStream(reader, writer), self._connections.open(address)
        try:
            if not is_let_in:
                raise Unavailable("There are too many connections.")
            session = Session(events, self._intake, info=self.info, caller=self._caller, patience=self._patience)
            await session.run()
        except FleetError as error:
            await _refuse(events, error)
        except (CallerGone, TimeoutError):
            logger.debug("a client went idle, or away")
        except Exception:
            logger.exception("unexpected error")
            await _refuse(events, FleetError())
        finally:
            if is_let_in:
                self._connections.close(address)
            writer.close()

    def _caller(self) -> Caller:
        now = time.monotonic()
        return Caller(
            request_id=f"req-{secrets.token_hex(8)}",
            door="wyoming",
            arrived_at=now,
            deadline_at=now + self._settings.default_deadline_s,
            tenant=self._tenant(),
        )

    def _tenant(self) -> str:
        """Whose limits hold here; raises Unauthorized if that key is good no more."""
        if self._settings.wyoming_key is None:
            return ""
        tenant = self._keys.tenant_named(self._settings.wyoming_key)
        if tenant is None:
            raise Unauthorized("The key that Wyoming's callers count under is not good any more.")
        return tenant

    def _listener(self) -> socket.socket | None:
        """
        A listening socket, or none where the door stays shut.

        A port that nobody asked for is a convenience: a second router on the machine, or one whose callers need keys,
        does without. A port that was asked for is a promise.
        """
        settings = self._settings
        if settings.wyoming_port == 0:
            return None
        if settings.wyoming_port is None and settings.wyoming_needs_key:
            logger.info("Wyoming is off, since callers need a key; see WYOMING_PORT")
            return None
        if settings.wyoming_key is not None and self._keys.tenant_named(settings.wyoming_key) is None:
            raise StartupError(f"no key in API_KEYS_FILE is named {settings.wyoming_key} (WYOMING_KEY)")
        port = settings.wyoming_port or DEFAULT_PORT
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        try:
            return socket.create_server((settings.host, port), family=family, backlog=256)
        except OSError as error:
            reason = os.strerror(error.errno or 0)
            if settings.wyoming_port is None:
                logger.warning("Wyoming is off: port %d: %s; WYOMING_PORT=PORT opens it elsewhere", port, reason)
                return None
            raise StartupError(f"cannot listen on {settings.host}:{port}: {reason} (WYOMING_PORT, HOST)") from error


async def _refuse(events: EventStream, error: FleetError) -> None:
    """Say why; the line is closed then, since Home Assistant passes errors over and waits for as long as it is open."""
    try:
        await events.send(Error(error.message, error.code).event())
    except CallerGone:
        return
    await events.end(LAST_WORD_S)
