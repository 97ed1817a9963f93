"""A session's story, with ears and a fleet that the test plays."""

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from fleet.errors import BadRequest, Unavailable
from router.realtime import session as story
from router.realtime.config import Config
from router.realtime.session import Fleet, Session
from tests.router.scripted import until

CHUNK = 512
LOUD, QUIET = b"\x01\x01" * CHUNK, bytes(2 * CHUNK)


class PlayedEars:
    """Takes bytes for 16 kHz PCM; what is not zero is speech."""

    finished = 0

    async def open(self, _encoding: Any) -> "PlayedEars":
        return self

    async def hear(self, data: bytes) -> tuple[bytes, list[float]]:
        return data, [0.9 if data[at] else 0.05 for at in range(0, len(data), 2 * CHUNK)]

    async def finish(self) -> tuple[bytes, list[float]]:
        self.finished += 1
        return b"", []


class Room:
    """The session, what it said, and the fleet's side. `text` is what the fleet hears in any clip."""

    def __init__(self) -> None:
        self.said: list[dict[str, Any]] = []
        self.clips: list[tuple[int, list[tuple[str, str]], bool]] = []
        self.text = "seven three one"
        self.is_idle = True
        self.ears = PlayedEars()
        self.error: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.session: Session

    async def send(self, event: dict[str, Any]) -> None:
        self.said.append(event)

    async def transcribe(self, clip: bytes, fields: list[tuple[str, str]], *, is_guess: bool) -> dict[str, Any]:
        self.clips.append((len(clip) - 44, fields, is_guess))
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return {"text": self.text, "usage": {"type": "duration", "seconds": 1}}

    def check(self, config: Config) -> None:
        if config.model == "nonsense":
            raise BadRequest("No such model.", param="model")

    async def says(self, kind: str, **more: Any) -> None:
        await self.session.take(json.dumps({"type": kind, **more}))

    async def hears(self, *parts: tuple[bytes, int]) -> None:
        for chunk, count in parts:
            for _ in range(count):
                await self.says("input_audio_buffer.append", audio=b64encode(chunk).decode())

    async def until_said(self, kind: str, count: int = 1) -> list[dict[str, Any]]:
        await until(lambda: len(self.of(kind)) >= count, kind)
        return self.of(kind)

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.said if event["type"].endswith(kind)]

    def kinds(self) -> list[str]:
        return [event["type"].rpartition(".")[2] for event in self.said]


@asynccontextmanager
async def room(*, is_beta: bool = False) -> AsyncIterator[Room]:
    one = Room()
    fleet = Fleet(ears=one.ears, transcribe=one.transcribe, has_idle_slot=lambda: one.is_idle, check=one.check)
    async with asyncio.TaskGroup() as group:
        one.session = Session(fleet, one.send, group, config=Config(), is_beta=is_beta)
        await one.session.open()
        yield one
        one.gate.set()


TURN = (QUIET, 20), (LOUD, 30), (QUIET, 20)
BY_HAND = {"audio": {"input": {"turn_detection": None}}}


async def test_a_turn_is_announced_committed_and_transcribed():
    """In this order, all of one item; times are those of the audio, padding and silence included."""
    async with room() as one:
        one.is_idle = False
        await one.hears(*TURN)
        done = await one.until_said("completed")
    assert one.kinds() == [
        "created",
        "speech_started",
        "speech_stopped",
        "committed",
        "added",
        "done",
        "delta",
        "completed",
    ]
    assert len({event.get("item_id") or event.get("item", {}).get("id") for event in one.said[1:]}) == 1
    assert done[0]["transcript"] == "seven three one"
    started, stopped = one.of("speech_started")[0], one.of("speech_stopped")[0]
    assert started["audio_start_ms"] == 10 * 32
    assert stopped["audio_end_ms"] == 50 * 32 + 512
    assert one.clips == [((10 + 30 + 8) * 2 * CHUNK, [], False)]
    assert len({event["event_id"] for event in one.said}) == len(one.said)


async def test_text_is_shown_while_the_turn_lasts(monkeypatch: pytest.MonkeyPatch):
    """As far as two guesses agree; the rest comes with the end. Deltas add up to the transcript."""
    monkeypatch.setattr(story, "GUESS_EVERY_S", 0)
    async with room() as one:
        one.text = "seven thr"
        await one.hears((LOUD, 20))
        await until(lambda: len(one.clips) == 1)
        one.text = "seven three one"
        while not one.of("delta"):
            await one.hears((LOUD, 1))
            await asyncio.sleep(0.001)
        assert "speech_stopped" not in one.kinds()
        assert one.of("delta")[0]["delta"].startswith("seven")
        await one.hears((QUIET, 20))
        done = await one.until_said("completed")
    assert "".join(event["delta"] for event in one.of("delta")) == done[0]["transcript"] == "seven three one"


async def test_guesses_are_dropped_while_the_fleet_is_busy():
    """They are not queued: the turn itself is the only request."""
    async with room() as one:
        one.is_idle = False
        await one.hears(*TURN)
        await one.until_said("completed")
    assert [is_guess for _, _, is_guess in one.clips] == [False]


async def test_one_guess_at_a_time(monkeypatch: pytest.MonkeyPatch):
    """However long it takes; one that ends after its turn says nothing."""
    monkeypatch.setattr(story, "GUESS_EVERY_S", 0)
    async with room() as one:
        one.gate.clear()
        await one.hears((LOUD, 300))
        await until(lambda: one.clips)
        await one.hears((LOUD, 100), (QUIET, 20))
        await until(lambda: len(one.clips) == 2)
        assert [is_guess for _, _, is_guess in one.clips] == [True, False]
        one.gate.set()
        await one.until_said("completed")
    assert one.kinds().count("delta") == 1


async def test_silence_is_not_guessed_at(monkeypatch: pytest.MonkeyPatch):
    """Nothing new was said since the guess that had all of the speech."""
    monkeypatch.setattr(story, "GUESS_EVERY_S", 0)
    long_pause = {"audio": {"input": {"turn_detection": {"type": "server_vad", "silence_duration_ms": 10_000}}}}
    async with room() as one:
        await one.says("session.update", session=long_pause)
        await one.hears((LOUD, 20))
        async with asyncio.timeout(15):
            while not one.clips or one.clips[-1][0] < len(LOUD) * 20:
                await one.hears((QUIET, 1))
                await asyncio.sleep(0.001)
        guesses = len(one.clips)
        for _ in range(20):
            await one.hears((QUIET, 1))
            await asyncio.sleep(0.001)
        assert len(one.clips) == guesses
        assert one.session.is_in_turn


async def test_a_final_text_that_differs_corrects_the_deltas(monkeypatch: pytest.MonkeyPatch):
    """Nothing is added to what was wrong; `completed` has it right."""
    monkeypatch.setattr(story, "GUESS_EVERY_S", 0)
    async with room() as one:
        one.text = "eleven"
        while not one.of("delta"):
            await one.hears((LOUD, 5))
            await asyncio.sleep(0.001)
        one.text = "seven"
        await one.hears((QUIET, 20))
        done = await one.until_said("completed")
    assert [event["delta"] for event in one.of("delta")] == ["eleven"]
    assert done[0]["transcript"] == "seven"


async def test_two_turns_in_one_message_are_two_items():
    """The second follows the first, and nothing is heard twice."""
    async with room() as one:
        one.is_idle = False
        audio = b"".join(chunk * count for chunk, count in [*TURN, *TURN])
        await one.says("input_audio_buffer.append", audio=b64encode(audio).decode())
        await one.until_said("completed", 2)
    first, second = one.of("committed")
    assert (first["previous_item_id"], second["previous_item_id"]) == (None, first["item_id"])
    assert one.of("speech_started")[1]["audio_start_ms"] >= one.of("speech_stopped")[0]["audio_end_ms"]


async def test_texts_come_in_the_order_of_speech():
    """Whichever is there first, and whatever fails between them; all are asked for, and a failure said, at once."""
    async with room() as one:
        one.is_idle = False
        one.gate.clear()
        await one.hears(*TURN)
        await until(lambda: len(one.clips) == 1)
        held, one.gate = one.gate, asyncio.Event()
        one.gate.set()
        one.error = Unavailable()
        await one.hears(*TURN)
        await one.until_said("failed")
        one.error = None
        await one.hears(*TURN)
        await until(lambda: len(one.clips) == 3)
        await asyncio.sleep(0)
        assert one.of("completed") == []
        held.set()
        done = await one.until_said("completed", 2)
    first, _, third = (event["item_id"] for event in one.of("committed"))
    assert [event["item_id"] for event in done] == [first, third]


async def test_a_turn_right_behind_another_keeps_its_first_sound():
    """What is spoken on as soon as a turn was over has half of the silence before it; no sample is in both."""
    async with room() as one:
        one.is_idle = False
        await one.hears((LOUD, 10), (QUIET, 16), (LOUD, 10), (QUIET, 20))
        await one.until_said("completed", 2)
    assert one.of("speech_started")[1]["audio_start_ms"] == one.of("speech_stopped")[0]["audio_end_ms"] - 8 * 32
    assert [size for size, _, _ in one.clips] == [(10 + 8) * 2 * CHUNK, (8 + 10 + 8) * 2 * CHUNK]


async def test_without_turn_detection_the_caller_commits():
    """
    All that was said since the last commit; under 100 ms there is nothing to commit, and what was said goes on: had the
    decoder been told that the stream ends, half a sample would be lost, and all that follows be noise.
    """
    async with room() as one:
        await one.says("session.update", session=BY_HAND)
        await one.hears((QUIET, 2))
        await one.says("input_audio_buffer.commit", event_id="early")
        assert one.ears.finished == 0
        assert one.of("error")[0]["error"]["code"] == "input_audio_buffer_commit_empty"
        assert one.of("error")[0]["error"]["event_id"] == "early"
        await one.hears((LOUD, 27))
        await one.says("input_audio_buffer.commit")
        await one.until_said("completed")
        assert one.clips[-1][0] == 29 * 2 * CHUNK
        await one.says("input_audio_buffer.commit")
        assert len(one.of("error")) == 2
        assert one.ears.finished == 1


async def test_a_commit_ends_an_open_turn():
    """For who ends its speech before silence does."""
    async with room() as one:
        one.is_idle = False
        await one.hears((QUIET, 20), (LOUD, 30))
        await one.says("input_audio_buffer.commit")
        await one.until_said("completed")
        await one.hears(*TURN)
        await one.until_said("completed", 2)
    assert one.of("committed")[0]["item_id"] == one.of("speech_started")[0]["item_id"]


async def test_clear_forgets_an_open_turn():
    """It is never committed; the next one is heard."""
    async with room() as one:
        one.is_idle = False
        await one.hears((LOUD, 30))
        await one.says("input_audio_buffer.clear")
        await one.hears((QUIET, 30))
        assert one.kinds()[-2:] == ["speech_started", "cleared"]
        await one.hears(*TURN)
        await one.until_said("completed")
    assert len(one.of("committed")) == 1


async def test_the_buffer_has_an_end():
    """What the caller does not commit is kept for two minutes of audio; more is refused, and the session goes on."""
    async with room() as one:
        await one.says("session.update", session=BY_HAND)
        audio = b64encode(LOUD * 1000).decode()
        for _ in range(5):
            await one.says("input_audio_buffer.append", audio=audio)
        assert one.of("error")[-1]["error"]["code"] == "input_audio_buffer_full"
        await one.says("input_audio_buffer.clear")
        await one.hears((LOUD, 10))
        await one.says("input_audio_buffer.commit")
        await one.until_said("completed")


async def test_what_waits_for_its_text_has_an_end_too():
    """Two minutes of committed audio a session; past it an item fails at once."""
    async with room() as one:
        one.gate.clear()
        await one.says("session.update", session=BY_HAND)
        for _ in range(3):
            await one.says("input_audio_buffer.append", audio=b64encode(LOUD * 1500).decode())
            await one.says("input_audio_buffer.commit")
            await asyncio.sleep(0)
        failed = await one.until_said("failed")
        assert failed[0]["error"]["code"] == "overloaded"
        assert failed[0]["item_id"] == one.of("committed")[-1]["item_id"]


async def test_a_refused_request_fails_its_item_only():
    """With the router's own error; the next item is transcribed."""
    async with room() as one:
        one.is_idle, one.error = False, Unavailable(code="no_worker")
        await one.hears(*TURN)
        failed = await one.until_said("failed")
        one.error = None
        await one.hears(*TURN)
        await one.until_said("completed")
    assert failed[0]["error"]["code"] == "no_worker"


async def test_wishes_are_heeded_and_shown():
    """What was updated is in the answer, in the shape that was used, and in the requests that follow."""
    async with room() as one:
        one.is_idle = False
        flat = {"input_audio_transcription": {"language": "en", "prompt": "digits"}}
        await one.says("transcription_session.update", session=flat)
        await one.says("session.update", session={"include": ["item.input_audio_transcription.logprobs"]})
        await one.hears(*TURN)
        await one.until_said("completed")
    beta, today = one.said[1], one.said[2]
    assert beta["type"] == "transcription_session.updated"
    assert beta["session"]["input_audio_transcription"]["language"] == "en"
    assert today["session"]["audio"]["input"]["transcription"]["prompt"] == "digits"
    assert one.clips[0][1] == [("language", "en"), ("prompt", "digits"), ("include[]", "logprobs")]


async def test_a_bad_update_changes_nothing():
    """Neither what cannot be read nor what the fleet does not have."""
    async with room() as one:
        await one.says("session.update", session={"type": "realtime"}, event_id="u1")
        await one.says("session.update", session={"audio": {"input": {"transcription": {"model": "nonsense"}}}})
        await one.says("session.update", session={})
    assert [event["error"]["event_id"] for event in one.of("error")] == ["u1", None]
    assert one.said[-1]["session"]["audio"]["input"]["transcription"]["model"] == "whisper-1"


async def test_changing_how_turns_are_found_ends_an_open_one():
    """What was said before is transcribed."""
    async with room() as one:
        one.is_idle = False
        await one.hears((LOUD, 30))
        await one.says("session.update", session=BY_HAND)
        await one.until_said("completed")
    assert one.kinds()[1:4] == ["speech_started", "speech_stopped", "committed"]


async def test_the_beta_is_greeted_in_its_own_shape():
    """And its items are created, not added."""
    async with room(is_beta=True) as one:
        one.is_idle = False
        await one.hears(*TURN)
        await one.until_said("completed")
    assert one.said[0]["type"] == "transcription_session.created"
    assert "conversation.item.created" in [event["type"] for event in one.said]
