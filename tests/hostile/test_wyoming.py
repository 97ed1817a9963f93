"""
What a Wyoming client should not do: each costs a bounded time and memory, ends that one connection, and nothing else.

After each, an utterance on another connection gets its transcript, and nothing is left held.
"""

import asyncio
import contextlib
import json
import tracemalloc
from contextlib import asynccontextmanager

import pytest
from wyoming.asr import Transcript
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient

from tests.chaos.clean import assert_clean
from tests.integration.processes import free_port
from tests.router.scripted import scripted_fleet, until

LAYOUT = {"rate": 16_000, "width": 2, "channels": 1}
START = b'{"type": "audio-start", "data": {"rate": 16000, "width": 2, "channels": 1}}\n'
CHUNK = b'{"type": "audio-chunk", "data": {"rate": 16000, "width": 2, "channels": 1}, "payload_length": 4}\nabcd'
STOP = b'{"type": "audio-stop"}\n'
MB = 1_000_000


@asynccontextmanager
async def door(**settings):
    """Reader and writer of a raw connection; what must hold afterwards is checked afterwards."""
    async with scripted_fleet(1, wyoming_port=free_port(), **settings) as fleet, assert_clean(fleet):
        await until(lambda: fleet.service.wyoming.port, "the port")
        reader, writer = await asyncio.open_connection("127.0.0.1", fleet.service.wyoming.port)
        try:
            async with asyncio.timeout(60):
                yield reader, writer
        finally:
            writer.close()
        async with AsyncTcpClient("127.0.0.1", fleet.service.wyoming.port) as client, asyncio.timeout(20):
            await client.write_event(AudioStart(**LAYOUT).event())
            await client.write_event(AudioChunk(audio=b"12" * 800, **LAYOUT).event())
            await client.write_event(AudioStop().event())
            while (event := await client.read_event()) is not None and not Transcript.is_type(event.type):
                pass
            assert event is not None
        await until(lambda: fleet.service.wyoming.connected == 0, "all connections closed")
        assert fleet.is_clean()


def codes(answer):
    """The codes of the error events in what came back."""
    lines = [line for line in answer.split(b"\n") if line]
    return [json.loads(line[: line.index(b"}") + 1])["code"] for line in lines if b'"code"' in line]


@pytest.mark.parametrize(
    "line",
    [
        b"x" * 200_000,
        b"\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b'{"type": "audio-chunk", "payload_length": 99999999999}\n',
        b'{"type": "describe", "data_length": 99999999999}\n',
        b'{"type": "describe", "data_length": 4}\n]]]]',
        b'{"type": null}\n',
        b'{"type": "ping", "data": ' + b'{"a":' * 9_000 + b"\n",
        b'{"type": "\xc3\x28"}\n',
        START + START.replace(b"16000", b"0"),
        START + b'{"type": "audio-chunk", "data": {"rate": "x"}, "payload_length": 1}\nx',
        START + CHUNK + CHUNK.replace(b"16000", b"8000"),
        START + CHUNK + b"no event\n",
        b'{"type": "transcribe", "data": {"language": {"a": 1}}}\n',
    ],
)
async def test_nonsense_is_answered_with_an_error(line):
    """
    One error event, then the end of the connection.
    """
    async with door() as (reader, writer):
        writer.write(line)
        answer = await reader.read()
        assert codes(answer) in (["invalid_value"], ["audio_bad_layout"])


async def test_an_announced_length_is_not_allocated():
    """
    A payload of as many bytes as may be costs nothing before it comes.
    """
    async with door(keepalive_s=1) as (reader, writer):
        tracemalloc.start()
        writer.write(b'{"type": "audio-chunk", "payload_length": 1048576}\nxx')
        assert await reader.read() == b""  # idle for too long
        assert tracemalloc.get_traced_memory()[1] < MB
        tracemalloc.stop()


@pytest.mark.parametrize("said", [b"", b'{"type": "pi', START, START + b'{"type": "audio-ch'])
async def test_silence_and_drips_are_ended(said):
    """
    An event must be whole KEEPALIVE_S after the one before it, however often a byte of it comes.
    """
    async with door(keepalive_s=1) as (reader, writer):
        began = asyncio.get_running_loop().time()
        writer.write(said)

        async def drip():
            with contextlib.suppress(ConnectionError):
                while said:
                    writer.write(b" ")
                    await writer.drain()
                    await asyncio.sleep(0.1)

        async with asyncio.TaskGroup() as group:
            dripping = group.create_task(drip())
            with contextlib.suppress(ConnectionResetError):  # closed just as a byte came
                assert await reader.read() == b""
            dripping.cancel()
        assert asyncio.get_running_loop().time() - began < 20


@pytest.mark.parametrize("pace_s", [0.01, 0.3])
async def test_an_utterance_without_end_is_ended(pace_s):
    """
    BODY_TIMEOUT_S after its beginning, though it never rests.
    """
    async with door(body_timeout_s=1) as (reader, writer):
        writer.write(START)

        async def speak():
            with contextlib.suppress(ConnectionError):
                while True:
                    writer.write(CHUNK)
                    await writer.drain()
                    await asyncio.sleep(pace_s)

        async with asyncio.TaskGroup() as group:
            speaking = group.create_task(speak())
            answer = await reader.read()
            speaking.cancel()
        assert codes(answer) == ["request_timeout"]


async def test_an_utterance_too_large_is_ended():
    """
    MAX_UPLOAD_MB holds for what is spoken as for what is uploaded.
    """
    async with door(max_upload_mb=0.1) as (reader, writer):
        writer.write(START + CHUNK * 30_000 + STOP)
        assert codes(await reader.read()) == ["body_too_large"]


@pytest.mark.parametrize("said", [START, START + CHUNK, START + CHUNK + STOP, CHUNK[:-2], b'{"type"'])
async def test_who_vanishes_leaves_nothing(said):
    """
    At whatever byte; also with a reset in place of an end.
    """
    async with door() as (_, writer):
        writer.write(said)
        await writer.drain()
        writer.transport.abort()


async def test_who_does_not_read_is_let_go():
    """
    Answers that nobody takes fill no memory: the connection is cut when they do not go out.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("router.wyoming_frame.SEND_WITHIN_S", 0.5)
        async with door() as (_, writer):
            writer.transport.pause_reading()
            with contextlib.suppress(ConnectionError):
                while not writer.transport.is_closing():
                    writer.write(b'{"type": "describe"}\n' * 1000)
                    async with asyncio.timeout(30):
                        await writer.drain()
                    await asyncio.sleep(0)


async def test_a_flood_of_small_events_starves_nobody():
    """
    While one connection sends pings as fast as it can, another gets its transcript.
    """
    async with door() as (reader, writer):

        async def flood():
            with contextlib.suppress(ConnectionError):
                while True:
                    writer.write(b'{"type": "ping"}\n{"type": "nothing"}\n' * 500)
                    await writer.drain()

        async def drink():
            while await reader.read(MB):
                pass

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(flood()), group.create_task(drink())]
            port = writer.get_extra_info("peername")[1]
            async with AsyncTcpClient("127.0.0.1", port) as client:
                for _ in range(3):
                    await client.write_event(AudioStart(**LAYOUT).event())
                    await client.write_event(AudioChunk(audio=b"12" * 800, **LAYOUT).event())
                    await client.write_event(AudioStop().event())
                    while not Transcript.is_type((await client.read_event()).type):
                        pass
            for task in tasks:
                task.cancel()
        writer.transport.abort()  # or pongs that nobody takes would hold the line for SEND_WITHIN_S
