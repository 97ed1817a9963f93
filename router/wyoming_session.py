"""One Wyoming connection: events in, transcripts out, one utterance after the other, until it fails or goes idle."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from wyoming.event import Event
from wyoming.info import Info
from wyoming.ping import Ping, Pong

from fleet import log
from fleet.errors import BadRequest, FleetError
from fleet.pace import steady
from fleet.serve import first_of
from router.caller import Caller
from router.door import form_of
from router.intake import Intake
from router.job import CallerGone
from router.wyoming_frame import EventStream
from router.wyoming_reply import EventReply
from router.wyoming_speech import Layout, Wish


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a connection may be idle between utterances, and an utterance may take to come."""

    idle_s: float
    utterance_s: float


class Session:
    """
    What a client says on one connection, and what it hears.

    State: what the last `transcribe` and `audio-start` said, an event that came while an answer was on its way, and
    what went wrong.
    """

    def __init__(
        self,
        events: EventStream,
        intake: Intake,
        *,
        info: Callable[[], Info],
        caller: Callable[[], Caller],
        patience: Patience,
    ) -> None:
        self._events = events
        self._intake = intake
        self._info = info
        self._caller = caller
        self._patience = patience
        self._wish = Wish()
        self._layout: Layout | None = None
        self._early: Event | None = None
        self._failure: FleetError | None = None

    async def run(self) -> None:
        """Serve until the client hangs up; raises FleetError, CallerGone, or TimeoutError for who went idle."""
        while (event := await self._next()) is not None:
            match event.type:
                case "transcribe":
                    self._wish = Wish.of(event.data)
                case "audio-start":
                    self._layout = Layout.of(event.data)
                case "audio-chunk" if event.payload:
                    await self._transcribe(event)
                case "audio-stop" if self._layout is not None:  # nothing was said
                    self._layout = None
                    await self._events.send(self._wish.transcript(""))
                case _:
                    await self._chat(event)

    async def _next(self) -> Event | None:
        if (event := self._early) is not None:
            self._early = None
            return event
        async with asyncio.timeout(self._patience.idle_s):
            return await self._events.next()

    async def _chat(self, event: Event) -> None:
        """What may be asked at any time; other events mean nothing to us and are passed over."""
        if event.type == "describe":
            await self._events.send(self._info().event())
        elif event.type == "ping":
            await self._events.send(Pong(Ping.from_event(event).text).event())
        await asyncio.sleep(0)  # a flood of events is one connection's affair

    async def _transcribe(self, first: Event) -> None:
        """An utterance from its first chunk to its transcript. It is passed on as it is spoken."""
        caller, heard = self._caller(), asyncio.Event()
        reply = EventReply(self._events.send, self._wish)
        clip = steady(self._clip(first, heard), total_s=self._patience.utterance_s)
        body = form_of([*self._wish.fields, ("stream", "true")], clip)

        async def answer() -> None:
            token = log.request_id.set(caller.request_id)
            try:
                await self._intake.serve(caller, body, reply)
                await reply.finish()
            except FleetError as error:
                self._failure = error
            except CallerGone:
                pass  # nobody is there to be told
            finally:
                log.request_id.reset(token)

        await first_of(answer(), self._hung_up(heard))
        self._wish, self._layout = Wish(), None
        if self._failure is not None:
            raise self._failure

    async def _clip(self, first: Event, heard: asyncio.Event) -> AsyncIterator[bytes]:
        """A WAV file, up to the `audio-stop`."""
        layout = self._layout or Layout.of(first.data)
        yield layout.wav_head()
        event: Event | None = first
        while event is None or event.type != "audio-stop":
            if event is None:
                raise CallerGone
            if event.type != "audio-chunk":
                await self._chat(event)
            elif Layout.of(event.data) != layout:
                raise BadRequest("The layout of the audio changed within the utterance.")
            elif event.payload:
                yield event.payload
            event = await self._events.next()
        heard.set()

    async def _hung_up(self, heard: asyncio.Event) -> None:
        """Return when the client is gone while it is being answered; until then keep chatting."""
        await heard.wait()
        try:
            while (event := await self._events.next()) is not None:
                if event.type not in ("describe", "ping"):
                    self._early = event  # the next utterance begins; it will have to wait
                    await asyncio.Event().wait()
                await self._chat(event)
        except CallerGone:
            return
        except FleetError as error:
            self._failure = error
