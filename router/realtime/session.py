"""
One caller's session: frames in, events out. A turn is announced, guessed at while it lasts, committed, transcribed.

It knows no socket: the edge hands it frames and time-outs, and sends what it says. Frames are taken one after the
other; guesses and transcriptions run beside them in the session's task group, and end with it.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from fleet.errors import BadRequest, FleetError, Unavailable
from router.realtime import events
from router.realtime.config import Config, beta_updated, updated
from router.realtime.draft import Draft, Pace
from router.realtime.ears import PIECE_BYTES, Ears
from router.realtime.events import BadEvent, ClientEvent, Kind
from router.realtime.track import RATE, WIDTH, Track, wav
from router.realtime.turns import CHUNK, LOUD_CHUNKS, Started, Stopped, Turns, in_chunks

GUESS_EVERY_S = 0.5
GUESS_LEAST = RATE // 2  # of speech: before that, models make words up
COMMIT_LEAST = RATE // 10
HELD_BACK = RATE // 100  # samples that the resampler may still have
BUFFER_S = 120  # that a caller who commits by itself may leave uncommitted: 4 MB
PENDING_S = 120  # committed audio that waits for its text, of one session


class Transcribe(Protocol):
    """A request through the router's queue."""

    async def __call__(self, clip: bytes, fields: list[tuple[str, str]], *, is_guess: bool) -> Mapping[str, Any]:
        """The answer's JSON; raises FleetError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """What a session needs of the router."""

    ears: Ears
    transcribe: Transcribe
    has_idle_slot: Callable[[], bool]
    check: Callable[[Config], None]  # raises FleetError for a model or language that is not there


@dataclass(slots=True, eq=False)
class Turn:
    """One stretch of speech that becomes an item."""

    start: int
    guessed_to: int
    item_id: str = field(default_factory=lambda: f"item_{secrets.token_hex(10)}")
    draft: Draft = field(default_factory=Draft)
    is_over: bool = False


class Session:
    """State: the config, the audio that is kept, the open turn, and how much waits for its text."""

    def __init__(
        self,
        fleet: Fleet,
        send: Callable[[dict[str, Any]], Awaitable[None]],
        group: asyncio.TaskGroup,
        *,
        config: Config,
        is_beta: bool = False,
    ) -> None:
        self.id = f"sess_{secrets.token_hex(10)}"
        self._fleet = fleet
        self._send_event = send
        self._group = group
        self._is_beta = is_beta
        self._sent = 0
        self._config = config
        self._track = Track()
        self._turns: Turns | None = None  # none: the caller commits
        self._turn: Turn | None = None
        self._last_item: str | None = None
        self._pending_s = 0.0
        self._told = asyncio.Event()  # set once the caller has the text of the last turn that was committed
        self._told.set()
        self._pace = Pace(GUESS_EVERY_S)

    def __repr__(self) -> str:
        return f"<Session {self.id} {self._track} {'in a turn' if self.is_in_turn else 'no turn'}>"

    @property
    def is_in_turn(self) -> bool:
        """Whether somebody began to speak and has not stopped."""
        return self._turn is not None

    @property
    def heard_s(self) -> float:
        """Seconds of audio that came so far."""
        return self._track.end / RATE

    async def open(self) -> None:
        """Greet the caller."""
        await self._listen()
        await self._describe("created", is_beta=self._is_beta)

    async def take(self, frame: str) -> None:
        """One frame of the caller's; what is wrong with it is said, and the session goes on."""
        event_id = None
        try:
            event = events.parse(frame)
            event_id = event.event_id
            await self._handle(event)
        except BadEvent as bad:
            await self._send(events.error(bad.error, bad.event_id))
        except FleetError as error:
            await self._send(events.error(error, event_id))

    async def refuse(self, error: FleetError) -> None:
        """Say what is wrong without a frame that caused it."""
        await self._send(events.error(error))

    async def finish(self) -> None:
        """No more audio will come: an open turn ends here."""
        if self._turn is not None and self._turns is not None:
            await self._stop(self._turn, self._track.end, self._track.end)
            self._turns = self._new_turns(self._turns.position)

    async def _handle(self, event: ClientEvent) -> None:
        match event.kind:
            case Kind.APPEND:
                await self._append(event.audio)
            case Kind.COMMIT:
                await self._commit_now()
            case Kind.CLEAR:
                await self._clear()
            case Kind.UPDATE | Kind.BETA_UPDATE:
                await self._update(event)

    # what the caller wants

    async def _update(self, event: ClientEvent) -> None:
        is_beta = event.kind is Kind.BETA_UPDATE
        config = (beta_updated if is_beta else updated)(self._config, event.session)
        self._fleet.check(config)
        before = self._config.encoding, self._config.turn_detection
        if before != (config.encoding, config.turn_detection):
            await self.finish()
            self._config = config
            await self._listen()
        self._config = config
        await self._describe("updated", is_beta=is_beta)

    async def _listen(self) -> None:
        """Begin to hear as the config says; audio that nobody committed is left behind."""
        self._ear = await self._fleet.ears.open(self._config.encoding)
        self._track.forget_before(self._track.end)
        self._turns = self._new_turns(self._track.end)

    def _new_turns(self, origin: int) -> Turns | None:
        wanted = self._config.turn_detection
        if wanted is None:
            return None
        return Turns(threshold=wanted.threshold, silence_ms=wanted.silence_duration_ms, origin=origin)

    async def _describe(self, what: str, *, is_beta: bool) -> None:
        about = {"id": self.id, "object": "realtime.transcription_session"}
        shape = self._config.to_beta_json() if is_beta else self._config.to_json()
        kind = f"transcription_session.{what}" if is_beta else f"session.{what}"
        await self._send({"type": kind, "session": about | shape})

    # what the caller says

    async def _append(self, audio: bytes) -> None:
        for at in range(0, len(audio), PIECE_BYTES):
            if self._track.kept_s >= BUFFER_S:
                message = f"{BUFFER_S} s of audio wait to be committed; more is not taken."
                raise BadRequest(message, code="input_audio_buffer_full", param="audio")
            pcm, heard = await self._ear.hear(audio[at : at + PIECE_BYTES])
            self._track.append(pcm)
            await self._follow(heard)
            self._guess()

    async def _follow(self, heard: list[float]) -> None:
        """Announce the turns that begin and end in what was heard."""
        if self._turns is None or self._config.turn_detection is None:
            return
        padding = in_chunks(self._config.turn_detection.prefix_padding_ms)
        for probability in heard:
            found = self._turns.take(probability)
            if isinstance(found, Started):
                await self._start(found.at - padding)
            elif isinstance(found, Stopped) and self._turn is not None:
                await self._stop(self._turn, found.at, found.cut)
        if self._turn is None:
            self._track.forget_before(self._turns.position - padding - (LOUD_CHUNKS + 1) * CHUNK)

    async def _start(self, start: int) -> None:
        start = max(start, self._track.start)  # what an earlier turn has is not heard twice
        self._turn = Turn(start, guessed_to=start)
        await self._send(events.speech_started(self._turn.item_id, start * 1000 // RATE))

    async def _stop(self, turn: Turn, end: int, cut: int) -> None:
        await self._send(events.speech_stopped(turn.item_id, end * 1000 // RATE))
        await self._commit(turn, cut)

    async def _commit_now(self) -> None:
        """The caller's own commit."""
        is_by_hand = self._config.turn_detection is None
        start = self._track.start if is_by_hand else self._track.end
        turn = self._turn or Turn(start, guessed_to=self._track.end)
        if self._track.end - turn.start < COMMIT_LEAST - HELD_BACK:
            message = "There is less than 100 ms of audio to commit."
            raise BadRequest(message, code="input_audio_buffer_commit_empty")
        if is_by_hand:  # not before: the stream goes on where a commit is refused, in the middle of a sample perhaps
            pcm, _ = await self._ear.finish()
            self._track.append(pcm)
        await self._commit(turn, self._track.end)
        if self._turns is not None:
            self._turns = self._new_turns(self._turns.position)

    async def _clear(self) -> None:
        if self._turn is not None:
            self._turn.is_over = True
            self._turn = None
        if self._turns is not None:
            self._turns = self._new_turns(self._turns.position)
        self._track.forget_before(self._track.end)
        await self._send(events.cleared())

    async def _commit(self, turn: Turn, end: int) -> None:
        turn.is_over = True
        self._turn = None
        pcm = self._track.cut(turn.start, end)
        self._track.forget_before(end)
        for event in events.committed(turn.item_id, self._last_item, is_beta=self._is_beta):
            await self._send(event)
        self._last_item = turn.item_id
        if self._pending_s + len(pcm) / WIDTH / RATE > PENDING_S:
            await self._send(events.failed(turn.item_id, Unavailable()))
        else:
            include = [("include[]", "logprobs")] if self._config.wants_logprobs else []
            before, self._told = self._told, asyncio.Event()
            fields = self._config.fields() + include
            self._group.create_task(self._transcribe(turn, pcm, fields, before=before, told=self._told))

    # its text

    async def _transcribe(
        self, turn: Turn, pcm: bytes, fields: list[tuple[str, str]], *, before: asyncio.Event, told: asyncio.Event
    ) -> None:
        """Ask at once; a refusal is said at once, text in the order of speech: the queue lets short turns pass."""
        answer = None
        with self._pending(len(pcm) / WIDTH / RATE):
            try:
                answer = await self._fleet.transcribe(wav(pcm), fields, is_guess=False)
            except FleetError as error:
                await self._send(events.failed(turn.item_id, error))
            await before.wait()
        if answer is not None:
            if more := turn.draft.finish(answer["text"]):
                await self._send(events.delta(turn.item_id, more))
            await self._send(events.completed(turn.item_id, answer))
        told.set()

    def _guess(self) -> None:
        """Guess at the open turn, if somebody spoke since the last guess and a worker has nothing else to do."""
        turn, turns = self._turn, self._turns
        if turn is None or turns is None or not self._pace.is_due(time.monotonic()):
            return
        is_new = turns.voiced_to > max(turn.guessed_to, turn.start + GUESS_LEAST)
        if is_new and self._fleet.has_idle_slot():
            turn.guessed_to = turns.voiced_to
            self._pace.begin(time.monotonic())
            self._group.create_task(self._guess_at(turn, self._track.cut(turn.start, self._track.end)))

    async def _guess_at(self, turn: Turn, pcm: bytes) -> None:
        fields = [*self._config.fields(), ("beam_size", "1")]
        try:
            answer = await self._fleet.transcribe(wav(pcm), fields, is_guess=True)
        except FleetError:
            return  # nobody waits for a guess
        finally:
            self._pace.end(time.monotonic())
        if not turn.is_over and (more := turn.draft.guess(answer["text"])):
            await self._send(events.delta(turn.item_id, more))

    @contextmanager
    def _pending(self, seconds: float) -> Iterator[None]:
        self._pending_s += seconds
        try:
            yield
        finally:
            self._pending_s -= seconds

    async def _send(self, event: dict[str, Any]) -> None:
        self._sent += 1
        await self._send_event({"event_id": f"event_{self.id[5:]}_{self._sent}"} | event)
