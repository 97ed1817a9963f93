"""The official client's realtime sessions before a real router and a real worker: speech in at speaking speed."""

import asyncio
import base64
import io
import json
import signal
import time
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import numpy as np
import pytest
import pytest_asyncio
import soundfile
import soxr
from openai import AsyncOpenAI
from wyoming.client import AsyncTcpClient

from tests.integration import processes

SAMPLES = Path(__file__).parents[2] / "samples"
CLIPS = {entry["file"]: entry for entry in json.loads((SAMPLES / "texts.json").read_text())}
TEXTS = {name: clip["text"] for name, clip in CLIPS.items()}
SPEECH_END_S = {name: clip["segments"][-1]["end"] for name, clip in CLIPS.items()}
FRAME_S = 0.1
TURNS = [("digits-short-theo.wav", 500)] * 3 + [("half-minute.wav", 1500)] * 2  # clip, and silence that ends the turn
SIZES = [  # one turn, three, eight; an odd number of bytes halves samples
    ("digits-short-yweweler.wav", 1_001),
    ("digits-short-yweweler.wav", 200_000),
    ("phone-number-george.wav", 1_921),
    ("phone-number-jackson.wav", 200_000),
    ("half-minute.wav", 48_001),
]
FINAL_WITHIN_S = 0.5  # from `committed` to `completed`, at the caller, with the embedded model, on a machine at rest

pytestmark = [pytest.mark.real, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fleet():
    """A router before two workers with the embedded model."""
    workers = [processes.worker("spoken-digits") for _ in range(2)]
    router = processes.router(workers)
    async with processes.up(*workers, router):
        yield router


@asynccontextmanager
async def session(router: processes.Service, *, is_beta: bool = False):
    """A connection of the official client, in either of the shapes it knows."""
    url = f"{router.url}/v1"
    client = AsyncOpenAI(base_url=url, websocket_base_url=url.replace("http", "ws"), api_key="any")
    realtime = client.beta.realtime if is_beta else client.realtime
    more = {"model": "gpt-4o-transcribe"} if is_beta else {}
    async with realtime.connect(extra_query={"intent": "transcription"}, **more) as connection:
        yield connection
    await client.close()


def spoken(name: str, rate: int = 24_000, silence_s: float = 1) -> np.ndarray:
    """A sample's speech, and the silence after it."""
    samples, own_rate = soundfile.read(SAMPLES / name, dtype="float32")
    return np.pad(soxr.resample(samples, own_rate, rate), (0, round(rate * silence_s)))


def pcm(samples: np.ndarray) -> bytes:
    return (samples * 32767).astype("<i2").tobytes()


async def speak(connection, audio: bytes, bytes_per_s: int) -> None:
    """Append at the speed of speech."""
    frame, started = round(bytes_per_s * FRAME_S), time.monotonic()
    for number, at in enumerate(range(0, len(audio), frame)):
        await connection.input_audio_buffer.append(audio=base64.b64encode(audio[at : at + frame]).decode())
        await asyncio.sleep(started + (number + 1) * FRAME_S - time.monotonic())


async def upload_s(router: processes.Service, name: str) -> float:
    """What the slowest of five plain requests takes on this machine right now."""
    took = []
    async with aiohttp.ClientSession() as client:
        for _ in range(5):
            started = time.monotonic()
            await processes.ask(client, router.url, (SAMPLES / name).read_bytes())
            took.append(time.monotonic() - started)
    return max(took)


async def until_completed(connection, count: int = 1) -> list:
    """Everything that is said up to the last transcript, each with its time."""
    seen = []
    async with asyncio.timeout(60):
        async for event in connection:
            seen.append((time.monotonic(), event))
            assert not event.type.endswith(("failed", "error")), event
            if sum(event.type.endswith("completed") for _, event in seen) == count:
                return seen
    raise AssertionError("closed")


def of(seen: list, kind: str) -> list:
    return [event for _, event in seen if event.type.endswith(kind)]


async def test_text_while_somebody_speaks_and_the_right_text_after(fleet):
    """
    Deltas before the end of speech, in order and adding up; the transcript within half a second of the end of the turn.

    Guesses are dropped while the fleet is busy, and a text comes late while the cores are; here other programs may keep
    them so: of a few sessions one has it all.
    """
    for name, silence_ms in TURNS:
        async with session(fleet) as connection, asyncio.TaskGroup() as group:
            patience = {"type": "server_vad", "silence_duration_ms": silence_ms}
            wish = {"type": "transcription", "audio": {"input": {"turn_detection": patience}}}
            await connection.session.update(session=wish)
            group.create_task(speak(connection, pcm(spoken(name, silence_s=2)), 48_000))
            seen = await until_completed(connection)
        kinds = [event.type.rpartition(".")[2] for _, event in seen]
        before = kinds[: kinds.index("speech_stopped")]
        assert before[:3] == ["created", "updated", "speech_started"]
        assert of(seen, "completed")[0].transcript == TEXTS[name]
        assert of(seen, "speech_started")[0].audio_start_ms < 400
        over_ms = of(seen, "speech_stopped")[0].audio_end_ms - SPEECH_END_S[name] * 1000
        assert silence_ms - 300 < over_ms < silence_ms + 600
        times = {event.type.rpartition(".")[2]: at for at, event in seen}
        final_s, adds_up = times["completed"] - times["committed"], told(seen) == TEXTS[name]
        is_quick = final_s < FINAL_WITHIN_S or final_s < 3 * await upload_s(fleet, name)
        if "delta" in before and adds_up and is_quick:
            break
    assert "delta" in before
    assert adds_up
    assert is_quick


def told(seen: list) -> str:
    return "".join(event.delta for event in of(seen, "delta"))


@pytest.mark.parametrize(("name", "frame_bytes"), SIZES)
async def test_messages_of_any_size(fleet, name, frame_bytes):
    """
    The right words in the right order, however the audio is cut: turns depend on what is heard, not on messages.
    """
    async with aiohttp.ClientSession() as client:
        assert await said(client, fleet, pcm(spoken(name)), frame_bytes) == TEXTS[name]


async def said(client: aiohttp.ClientSession, router: processes.Service, audio: bytes, frame_bytes: int) -> str:
    """The text of all turns of audio that ends in silence, sent as fast as the line takes it."""
    texts, order, is_read = {}, [], False
    async with client.ws_connect(f"{router.url}/v1/realtime") as socket, asyncio.TaskGroup() as group:
        group.create_task(append_all(socket, audio, frame_bytes))
        async with asyncio.timeout(60):
            while not (is_read and len(texts) == len(order)):
                event = await socket.receive_json()
                assert not event["type"].endswith(("failed", "error")), event
                if event["type"].endswith(".committed"):
                    order.append(event["item_id"])
                elif event["type"].endswith(".completed"):
                    texts[event["item_id"]] = event["transcript"]
                is_read = is_read or event["type"].endswith(".cleared")
    return " ".join(texts[item] for item in order)


async def append_all(socket: aiohttp.ClientWebSocketResponse, audio: bytes, frame_bytes: int) -> None:
    for at in range(0, len(audio), frame_bytes):
        frame = base64.b64encode(audio[at : at + frame_bytes]).decode()
        await socket.send_json({"type": "input_audio_buffer.append", "audio": frame})
    await socket.send_json({"type": "input_audio_buffer.clear"})  # answered when all before it was heard


@pytest.mark.parametrize(("beta_format", "subtype"), [("g711_ulaw", "ULAW"), ("g711_alaw", "ALAW")])
async def test_telephone_audio_in_the_beta_shape(fleet, beta_format, subtype):
    """
    A clip in three turns, sent as fast as the line takes it: three items in order, the right digits.
    """
    raw = io.BytesIO()
    soundfile.write(raw, spoken("phone-number-george.wav", 8_000), 8_000, format="RAW", subtype=subtype)
    async with session(fleet, is_beta=True) as connection:
        await connection.transcription_session.update(session={"input_audio_format": beta_format})
        await connection.input_audio_buffer.append(audio=base64.b64encode(raw.getvalue()).decode())
        seen = await until_completed(connection, 3)

    assert [event.type for _, event in seen[:2]] == ["transcription_session.created", "transcription_session.updated"]
    said = {event.item_id: event.transcript for event in of(seen, "completed")}
    order = [event.item_id for event in of(seen, "committed")]
    assert " ".join(said[item] for item in order) == TEXTS["phone-number-george.wav"]
    assert [event.previous_item_id for event in of(seen, "committed")] == [None, *order[:-1]]


async def test_push_to_talk(fleet):
    """
    No turn detection: what was appended until the commit is one item, with the log probabilities that were asked for.
    """
    async with session(fleet) as connection:
        await connection.session.update(
            session={
                "type": "transcription",
                "audio": {"input": {"turn_detection": None}},
                "include": ["item.input_audio_transcription.logprobs"],
            }
        )
        audio = base64.b64encode(pcm(spoken("digits-short-lucas.wav"))).decode()
        await connection.input_audio_buffer.append(audio=audio)
        await connection.input_audio_buffer.commit()
        seen = await until_completed(connection)

    assert of(seen, "completed")[0].transcript == TEXTS["digits-short-lucas.wav"]
    assert of(seen, "completed")[0].logprobs
    assert of(seen, "completed")[0].usage.seconds == pytest.approx(4.6, abs=1)
    assert not of(seen, "speech_started")


async def test_silence_that_is_not_sent_ends_a_turn_too(fleet):
    """
    A microphone that was muted in the middle of a sentence: its text comes after three seconds.
    """
    async with session(fleet) as connection:
        audio = pcm(spoken("digits-short-theo.wav", silence_s=0))[: 48_000 * 3]
        await connection.input_audio_buffer.append(audio=base64.b64encode(audio).decode())
        seen = await until_completed(connection)
    assert TEXTS["digits-short-theo.wav"].startswith(of(seen, "completed")[0].transcript[:15])


async def test_a_draining_router_gives_the_text_of_what_it_heard():
    """
    SIGTERM in the middle of a turn: the turn ends, its text comes, then a goodbye; who only listens is told as well.

    Neither that caller nor one of Wyoming who says nothing keeps the router from ending with 0.
    """
    worker, wyoming_port = processes.worker("spoken-digits"), processes.free_port()
    router = processes.router([worker], "--wyoming-port", str(wyoming_port))
    async with (
        processes.up(worker, router) as client,
        AsyncTcpClient("127.0.0.1", wyoming_port),
        client.ws_connect(f"{router.url}/v1/realtime") as idle,
        client.ws_connect(f"{router.url}/v1/realtime") as socket,
    ):
        audio = base64.b64encode(pcm(spoken("digits-short-lucas.wav", silence_s=0))).decode()
        await socket.send_json({"type": "input_audio_buffer.append", "audio": audio})
        kinds = [(await socket.receive_json(timeout=20))["type"].rpartition(".")[2] for _ in range(2)]
        assert kinds == ["created", "speech_started"]
        router.send(signal.SIGTERM)
        async with asyncio.timeout(30):
            events, told = await asyncio.gather(all_of(socket), all_of(idle))
        assert events[-1]["error"]["code"] == told[-1]["error"]["code"] == "draining"
        assert events[-2]["transcript"] == TEXTS["digits-short-lucas.wav"]
        assert socket.close_code == idle.close_code == aiohttp.WSCloseCode.GOING_AWAY
        assert await router.exit_code() == 0


async def all_of(socket: aiohttp.ClientWebSocketResponse) -> list[dict]:
    """What is said up to the end of the connection."""
    return [json.loads(message.data) async for message in socket]
