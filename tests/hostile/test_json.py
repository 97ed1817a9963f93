"""
JSON that means harm, row P-14: too deep, too large, numbers that are none, text that is no text.

Wherever JSON comes in from callers or operators: fields of a form, the operator's verbs, events of live sessions.
"""

import asyncio
import json
from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.router.scripted import ScriptedFleet, scripted_fleet
from tests.worker.conftest import SAMPLES, serving

ADMIN = "sk-canary-admin"
HALF = '"\\ud800"'  # of a surrogate pair: JSON has it, UTF-8 and tokenizers do not
DEEP = "[" * 10_000
BARELY_DEEP = "[" * 960 + "]" * 960  # near what the parser's recursion allows
NUMBERS = ("1e400", "9" * 400, "9" * 5_000, "NaN", "-Infinity")
VALUES = (HALF, DEEP, BARELY_DEEP, *NUMBERS)


@pytest.fixture
async def fleet() -> AsyncIterator[ScriptedFleet]:
    async with scripted_fleet(1, admin_key=ADMIN) as one:
        yield one


@pytest.mark.parametrize("name", ["chunking_strategy", "timestamp_granularities[]", "languages[]", "include[]"])
async def test_p14_a_field_that_may_be_json(fleet: ScriptedFleet, name: str):
    """Whatever stands in it: 400 that names the field, and no worker sees it."""
    for value in VALUES:
        for spelled in (f"[{value}]", f'{{"type": {value}}}', f'{{"type": "server_vad", "threshold": {value}}}'):
            status, _, answer = await fleet.transcribe(**{name: spelled})
            assert (status, answer["error"]["code"]) == (400, "invalid_value"), spelled[:80]
            assert answer["error"]["param"].partition(".")[0] == name
    assert fleet.workers[0].requests == 0


@pytest.mark.parametrize(
    "body",
    [
        *(f'{{"url": {value}}}'.encode() for value in VALUES),
        b"[" * 4_000,
        b'{"url": "http://a", "url": []}',
        b'{"url": "http://\\ud800:80"}',
        b'{"url": "http://a b:80"}',
        b'{"url": "http://a\\u0000:80"}',
        b'{"url": "http://' + b"a" * 3_000 + b':80"}',
        b"\xff\xfe\x00",
        b" " * 900_000,
    ],
    ids=lambda body: body[:12].hex(),
)
async def test_p14_an_operators_body(fleet: ScriptedFleet, body: bytes):
    """With or without a length, in an encoding that there is or not: 400, little of it read, no worker added."""

    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(body), 50_000):
            yield body[at : at + 50_000]

    for kind in ("application/json", "application/json; charset=nope"):
        for data in (body, pieces()):
            headers = {"Authorization": f"Bearer {ADMIN}", "Content-Type": kind}
            async with fleet.client.post(f"{fleet.url}/admin/workers", data=data, headers=headers) as response:
                assert response.status == 400
    assert len(fleet.service.floor.pool.workers) == 1


def frames() -> list[str]:
    """Events whose one value is wrong."""
    audio = '{"type": "session.update", "session": {"audio": {"input": %s}}}'
    turns = audio % '{"turn_detection": {"type": "server_vad", "%s": %s}}'
    words = audio % '{"transcription": {"%s": %s}}'
    made = [*VALUES, *(f'{{"type": {value}}}' for value in VALUES)]
    made += [audio % f'{{"format": {{"type": {value}}}}}' for value in VALUES]
    made += [turns % (name, value) for name in ("threshold", "silence_duration_ms") for value in VALUES]
    made += [words % (name, value) for name in ("language", "prompt") for value in VALUES]
    made += [words % (name, f"[{value}]") for name in ("languages", "keywords") for value in VALUES]
    return [*made, '{"type": "input_audio_buffer.append", "audio": "\\ud800"}']


async def test_p14_events_of_a_live_session(fleet: ScriptedFleet):
    """Each is answered with an error, and the same session goes on."""
    async with fleet.client.ws_connect(f"{fleet.url}/v1/realtime") as socket, asyncio.timeout(60):
        assert (await socket.receive_json())["type"] == "session.created"
        for frame in frames():
            await socket.send_str(frame)
            heard = await socket.receive()
            assert heard.type is aiohttp.WSMsgType.TEXT, frame[:80]
            assert json.loads(heard.data)["type"] == "error", frame[:80]
    status, _, _ = await fleet.transcribe()
    assert status == 200


@pytest.mark.real
async def test_p14_text_that_no_tokenizer_takes_stops_no_engine():
    """Half a surrogate pair among the keywords once ended the engine's thread; other odd text goes through."""
    clip = (SAMPLES / "digits-short-george.wav").read_bytes()
    async with serving(model="spoken-digits", cpu_threads=1) as worker:
        plain = await worker.send(clip)
        assert (await worker.send(clip, **{"keywords[]": f"[{HALF}]"})).refusal == (400, "invalid_value")
        for text in ("x\0y", "<|endoftext|>" + "<|0.00|>" * 300, "\U0010ffff\u202e", "a " * 30_000):
            assert (await worker.send(clip, prompt=text, hotwords=text)).status == 200
        assert (await worker.send(clip)).body == plain.body
