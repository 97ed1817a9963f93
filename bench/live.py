"""How soon the text of live speech comes: clips said at the speed of speech into realtime sessions."""

from __future__ import annotations

import asyncio
import json
import time
import wave
from base64 import b64encode
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import aiohttp
import numpy as np
import soxr

from bench import stand
from bench.bars import Bar, percentile, spread
from bench.clips import RATE, SAMPLES, NoSamples
from bench.load import Refused
from bench.session import Session
from bench.stand import EMBEDDED, Stand

SENT_RATE, FRAME_S = 24_000, 0.04
SILENCE_S = 1.5  # behind the last sound: whoever stops speaking leaves the microphone on
FINAL_MS = 500
SILENCES_MS = (500, 200)  # that end a turn: the API's own default, and what a caller in a hurry asks for
ONE = "spoken-digits"

Heard: TypeAlias = defaultdict[str, list[float]]  # the last word of an event's type -> when it was heard, each time


@dataclass(frozen=True, slots=True)
class Speech:
    """A clip as it is sent, 24 kHz PCM, and where somebody speaks in it, in seconds."""

    pcm: bytes
    begins_s: float
    ends_s: float


@dataclass(frozen=True, slots=True)
class Wait:
    """Milliseconds at the caller, of a clip's last turn. `first` is None where no text came before that ended."""

    first: float | None  # from the first sound to the first text
    sound: float  # from the last sound to the whole text
    turn: float  # from the news that the turn is over to the whole text


async def live(session: Session) -> list[Bar]:
    """One who speaks at a time, all at once, and clips that are committed whole."""
    speeches = await asyncio.to_thread(read)
    alone: dict[int, list[Wait]] = {silence_ms: [] for silence_ms in SILENCES_MS}
    crowd, commits = list[Wait](), list[float]()
    async with stand.fleet(str(EMBEDDED / ONE), session.cores) as running:
        for _ in range(session.turns):
            session.on_turn("live speech")
            for speech in speeches:
                for silence_ms, waits in alone.items():
                    waits.append(await said(running, speech, silence_ms))
                commits.append(await committed(running, speech))
            crowd += await asyncio.gather(*(said(running, speech, SILENCES_MS[0]) for speech in speeches))
    return [
        *bars(f"`{ONE}`, live, one who speaks", alone),
        *bars(f"`{ONE}`, live, {len(speeches)} who speak at once", {SILENCES_MS[0]: crowd}),
        Bar(
            what=f"`{ONE}`, live, turns that the caller commits: from the commit to the text, p95",
            measured=percentile(commits, 0.95),
            at_most=FINAL_MS,
            unit="ms",
            detail=f"{spread(commits)} ms of {len(commits)}",
        ),
    ]


def bars(who: str, waits: dict[int, list[Wait]]) -> list[Bar]:
    """What is waited for, by the silence that ends a turn."""
    found = []
    for silence_ms, each in waits.items():
        turns, sounds = [one.turn for one in each], [one.sound for one in each]
        found += [
            Bar(
                what=f"{who}: from the end of a turn ({silence_ms} ms of silence) to its text, p95",
                measured=percentile(turns, 0.95),
                at_most=FINAL_MS,
                unit="ms",
                detail=f"{spread(turns)} ms; from the last sound {spread(sounds)} ms",
            )
        ]
    firsts = [one.first for each in waits.values() for one in each if one.first is not None]
    if firsts:
        detail = f"{spread(firsts)} ms, in {len(firsts)} of {sum(map(len, waits.values()))} turns"
        what = f"{who}: from the first sound to the first text, median"
        found.append(Bar(what=what, measured=percentile(firsts, 0.5), unit="ms", detail=detail))
    return found


def read() -> list[Speech]:
    """The short clips; raises NoSamples."""
    try:
        listed = json.loads((SAMPLES / "texts.json").read_text())
        return [_speech(entry) for entry in listed if entry["file"].startswith("digits-short")]
    except OSError as error:
        raise NoSamples(f"the sample clips cannot be read: {error}") from error


def _speech(entry: Mapping[str, Any]) -> Speech:
    with wave.open(str(SAMPLES / entry["file"])) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    (part,) = entry["segments"]  # one run of digits
    samples = np.pad(samples[: round(part["end"] * RATE)], (0, round(SILENCE_S * RATE)))
    return Speech(soxr.resample(samples, RATE, SENT_RATE).astype("<i2").tobytes(), part["start"], part["end"])


async def said(running: Stand, speech: Speech, silence_ms: int) -> Wait:
    """The last turn of a clip at the speed of speech; raises Refused where no text comes of it."""
    turns = {"type": "server_vad", "silence_duration_ms": silence_ms}
    async with asyncio.timeout(60), running.http.ws_connect(f"{running.url}/v1/realtime") as socket:
        await update(socket, turns)
        async with asyncio.TaskGroup() as group:
            began = time.monotonic()
            group.create_task(speak(socket, speech.pcm, began))
            heard = await until(socket, is_all_said)
    over, done = heard["speech_stopped"][-1], heard["completed"][-1]
    first = min([*heard["delta"], over])
    return Wait(
        first=1000 * (first - began - speech.begins_s) if first < over else None,
        sound=1000 * (done - began - speech.ends_s),
        turn=1000 * (done - over),
    )


def is_all_said(heard: Heard) -> bool:
    """Whether the end has been read, and every turn before it has its text."""
    return "cleared" in heard and len(heard["completed"]) == len(heard["committed"])


async def committed(running: Stand, speech: Speech) -> float:
    """Milliseconds from a commit of all of it to its text; raises Refused."""
    async with asyncio.timeout(60), running.http.ws_connect(f"{running.url}/v1/realtime") as socket:
        await update(socket, None)
        await append(socket, speech.pcm[: round(speech.ends_s * SENT_RATE) * 2])
        await update(socket, None)  # answered when all of it has been heard, as if it had been said slowly
        began = time.monotonic()
        await socket.send_json({"type": "input_audio_buffer.commit"})
        heard = await until(socket, lambda heard: bool(heard["completed"]))
        return 1000 * (heard["completed"][0] - began)


async def speak(socket: aiohttp.ClientWebSocketResponse, pcm: bytes, began: float) -> None:
    """Send each frame when its last sample has been said."""
    frame = round(SENT_RATE * FRAME_S) * 2
    for number, at in enumerate(range(0, len(pcm), frame), start=1):
        await asyncio.sleep(began + number * FRAME_S - time.monotonic())
        await append(socket, pcm[at : at + frame])
    await socket.send_json({"type": "input_audio_buffer.clear"})


async def update(socket: aiohttp.ClientWebSocketResponse, turns: Mapping[str, Any] | None) -> None:
    """How turns are found from now on."""
    await socket.send_json({"type": "session.update", "session": {"audio": {"input": {"turn_detection": turns}}}})
    await until(socket, lambda heard: bool(heard["updated"]))


async def append(socket: aiohttp.ClientWebSocketResponse, pcm: bytes) -> None:
    """Send some audio."""
    await socket.send_json({"type": "input_audio_buffer.append", "audio": b64encode(pcm).decode()})


async def until(socket: aiohttp.ClientWebSocketResponse, is_over: Callable[[Heard], bool]) -> Heard:
    """When each kind of event was heard, up to the end that is wanted; raises Refused for an error."""
    heard: Heard = defaultdict(list)
    while not is_over(heard):
        event = await socket.receive_json()
        kind = str(event["type"]).rpartition(".")[2]
        if kind in ("error", "failed"):
            raise Refused(f"a live session said {event['error']}")
        heard[kind].append(time.monotonic())
    return heard
