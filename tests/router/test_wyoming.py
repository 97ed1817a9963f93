"""The Wyoming door, called with the `wyoming` package's own client, before scripted workers."""

import asyncio
import logging
import socket
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from aiohttp import web
from wyoming.asr import Transcribe, Transcript, TranscriptChunk, TranscriptStart, TranscriptStop
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.error import Error
from wyoming.info import Describe, Info
from wyoming.ping import Ping, Pong

from fleet.form import FormReader
from fleet.serve import StartupError
from fleet.wire import WorkerState
from router.key_file import KeyFile
from router.limits import Limits
from router.settings import RouterSettings, SettingError
from tests.integration.processes import free_port
from tests.router.scripted import HoldGate, answer, answers, dies, scripted_fleet, stamped, until

LAYOUT = {"rate": 16_000, "width": 2, "channels": 1}
SPEECH = b"\x01\x02" * 800


@asynccontextmanager
async def wyoming_fleet(count=1, **settings):
    """A scripted fleet whose router takes Wyoming."""
    async with scripted_fleet(count, **{"wyoming_port": free_port()} | settings) as fleet:
        await until(lambda: fleet.service.wyoming.port, "the port")
        yield fleet


def connect(fleet):
    return AsyncTcpClient("127.0.0.1", fleet.service.wyoming.port)


async def say(client, *, chunks=(SPEECH,), layout=LAYOUT, **wish):
    """An utterance as clients send it."""
    await client.write_event(Transcribe(**wish).event())
    await client.write_event(AudioStart(**layout).event())
    for chunk in chunks:
        await client.write_event(AudioChunk(audio=chunk, **layout).event())
    await client.write_event(AudioStop().event())


async def hear(client, kind):
    """The next event of this type; the events before it are returned as well."""
    before = []
    async with asyncio.timeout(30):
        while (event := await client.read_event()) is not None:
            if kind.is_type(event.type):
                return kind.from_event(event), before
            before.append(event)
    raise AssertionError(f"closed after {before}")


def form_sent(worker):
    """Fields and file of the last request to a worker."""
    file = bytearray()
    reader = FormReader(worker.headers[-1]["Content-Type"], on_file=file.extend, body_bytes_max=10**8)
    reader.feed(worker.bodies[-1])
    return dict(reader.finish().fields), bytes(file)


async def test_speech_becomes_a_transcript():
    """
    The worker gets a WAV file of what was said and the wishes as fields; the client gets its context back.
    """
    async with wyoming_fleet() as fleet, connect(fleet) as client:
        wish = {"language": "en", "transcript_names": ["Ann"], "transcript_terms": ["CTranslate2"]}
        await say(client, chunks=[SPEECH, SPEECH], context={"prompt": "before", "turn": 1}, **wish)
        transcript, before = await hear(client, Transcript)
        assert transcript == Transcript("w0", language="en", context={"prompt": "before", "turn": 1})
        assert [event.type for event in before] == ["transcript-start"]
        assert (await hear(client, TranscriptStop))[1] == []
        fields, file = form_sent(fleet.workers[0])
        assert fields == {"language": "en", "prompt": "before", "hotwords": "Ann, CTranslate2", "stream": "true"}
        assert file[:4] == b"RIFF"
        assert file[44:] == SPEECH * 2
    await until(fleet.is_clean)


async def test_text_comes_as_it_is_decoded():
    """
    Each piece that the worker streams is a chunk, sent before the next is there; joined they are the transcript.
    """
    gate = asyncio.Event()

    async def streams(worker, request):
        response = web.StreamResponse(headers=stamped(worker, **{"Content-Type": "text/event-stream; charset=utf-8"}))
        await response.prepare(request)
        await response.write(b': waiting\n\ndata: {"type":"transcript.text.delta","delta":"one"}\n')
        await response.write(b"\n")
        await gate.wait()
        await response.write(b'data: {"delta":" two"}\n\ndata: {"type":"transcript.text.done","text":"one two"}\n\n')
        return response

    async with wyoming_fleet() as fleet, connect(fleet) as client:
        fleet.workers[0].behaviour = streams
        await say(client)
        first, before = await hear(client, TranscriptChunk)
        assert (first.text, [event.type for event in before]) == ("one", ["transcript-start"])
        gate.set()
        transcript, before = await hear(client, Transcript)
        assert (transcript.text, [event.data["text"] for event in before]) == ("one two", [" two"])
        await hear(client, TranscriptStop)


async def test_describe_is_answered_by_the_router():
    """
    Models and languages, within Home Assistant's second, while every worker is busy.
    """
    async with wyoming_fleet() as fleet, connect(fleet) as talking, connect(fleet) as asking:
        gate = fleet.workers[0].behaviour = HoldGate()
        await say(talking)
        await gate.arrived.wait()
        asking.read_timeout = 1
        await asking.write_event(Describe().event())
        info, _ = await hear(asking, Info)
        assert [program.name for program in info.asr] == ["whisper-fleet"]
        assert [(model.name, model.languages) for model in info.asr[0].models] == [("tiny", ["en"])]
        assert info.asr[0].installed
        assert info.asr[0].supports_transcript_streaming
        gate.release.set()
        await hear(talking, Transcript)


async def test_no_model_no_description():
    """
    Before a worker has said what it holds, the line is closed with a reason, so that the client asks again later.
    """
    async with wyoming_fleet(0, workers=("http://127.0.0.1:9",)) as fleet, connect(fleet) as client:
        await client.write_event(Describe().event())
        assert (await hear(client, Error))[0].code == "no_worker"
        assert await client.read_event() is None


async def test_one_connection_many_utterances():
    """
    Nothing of one reaches the next; pings between are answered, unknown events passed over, silence is empty text.
    """
    async with wyoming_fleet() as fleet, connect(fleet) as client:
        await say(client, language="en")
        assert (await hear(client, Transcript))[0].language == "en"
        await client.write_event(Ping("still there?").event())
        assert (await hear(client, Pong))[0].text == "still there?"
        await client.write_event(TranscriptStart().event())
        await say(client)
        assert (await hear(client, Transcript))[0].language is None
        await say(client, chunks=[])
        assert (await hear(client, Transcript))[0].text == ""
        assert fleet.workers[0].requests == 2


async def test_the_next_utterance_may_come_early():
    """
    A client that does not wait for the first transcript gets both, in order.
    """
    async with wyoming_fleet() as fleet, connect(fleet) as client:
        gate = fleet.workers[0].behaviour = HoldGate()
        await say(client, language="en")
        await say(client, language="de")
        await gate.arrived.wait()
        gate.release.set()
        assert [(await hear(client, Transcript))[0].language for _ in range(2)] == ["en", "de"]


@pytest.mark.parametrize(
    ("wish", "layout", "code"),
    [
        ({"language": "klingon"}, LAYOUT, "invalid_value"),
        ({"name": "no-such-model"}, LAYOUT, "model_not_found"),
        ({"transcript_names": "Ann"}, LAYOUT, "invalid_value"),
        ({}, LAYOUT | {"width": 5}, "audio_bad_layout"),
        ({}, LAYOUT | {"rate": 1}, "audio_bad_layout"),
    ],
)
async def test_what_cannot_be_is_refused(wish, layout, code):
    """
    An error event with the code that HTTP would give, then the end of the connection; no worker is bothered.
    """
    async with wyoming_fleet() as fleet, connect(fleet) as client:
        await say(client, layout=layout, **wish)
        assert (await hear(client, Error))[0].code == code
        assert await client.read_event() is None
        assert fleet.workers[0].requests == 0


async def test_a_workers_refusal_is_passed_on():
    """
    In its own words.
    """
    async with wyoming_fleet() as fleet, connect(fleet) as client:
        fleet.workers[0].behaviour = answers(400, "audio_corrupt")
        await say(client)
        assert (await hear(client, Error))[0] == Error("m", "audio_corrupt")


async def test_a_lost_worker_is_nobodys_concern():
    """
    The utterance is run again on another worker, which answers.
    """
    lost = []

    async def first_dies(worker, request):
        if lost:
            return await answer(worker, request)
        lost.append(worker)
        return await dies(worker, request)

    async with wyoming_fleet(2) as fleet, connect(fleet) as client:
        fleet.workers[0].behaviour = fleet.workers[1].behaviour = first_dies
        await say(client)
        text = (await hear(client, Transcript))[0].text
        assert {text, lost[0].name} == {"w0", "w1"}


@pytest.mark.parametrize("when", ["speaking", "waiting", "running"])
async def test_who_hangs_up_takes_it_along(when):
    """
    Spool, queue entry and the worker's time are given back, and the ledger calls it by its name.
    """
    async with wyoming_fleet() as fleet:
        gate = fleet.workers[0].behaviour = HoldGate()
        async with connect(fleet) as first, connect(fleet) as second:
            await say(first)
            await gate.arrived.wait()
            if when == "speaking":
                await second.write_event(AudioChunk(audio=SPEECH, **LAYOUT).event())
                await until(lambda: fleet.service.status.open_requests == 2)
            if when == "waiting":
                await say(second)
                await until(lambda: len(fleet.service.floor.queue) == 1)
            await (first if when == "running" else second).disconnect()
            left = 0 if when == "running" else 1
            await until(lambda: fleet.service.status.open_requests == left)
            gate.release.set()
            if when != "running":
                await hear(first, Transcript)
        await until(fleet.is_clean)
        assert (await fleet.status())["totals"]["client_cancel"] == 1


async def test_a_full_fleet_says_so():
    """
    Past MAX_QUEUE: the error `overloaded`, at once, as for everybody.
    """
    async with wyoming_fleet(max_queue=0) as fleet, connect(fleet) as first, connect(fleet) as second:
        gate = fleet.workers[0].behaviour = HoldGate()
        await say(first)
        await gate.arrived.wait()
        await say(second)
        assert (await hear(second, Error))[0].code == "overloaded"
        gate.release.set()
        await hear(first, Transcript)


async def test_a_drain_finishes_what_was_begun():
    """
    The utterance in flight gets its transcript; the next is refused with `draining`.
    """
    async with wyoming_fleet() as fleet, connect(fleet) as client, connect(fleet) as late:
        gate = fleet.workers[0].behaviour = HoldGate()
        await say(client)
        await gate.arrived.wait()
        async with asyncio.TaskGroup() as group:
            drained = group.create_task(fleet.service.drain())
            await until(lambda: fleet.service.status.state == "draining")
            await say(late)
            assert (await hear(late, Error))[0].code == "draining"
            assert not drained.done()
            gate.release.set()
            assert (await hear(client, Transcript))[0].text == "w0"


async def test_a_port_nobody_asked_for_may_be_taken(caplog):
    """
    The second router on a machine does without Wyoming, and says so; one that was told the port does not start.
    """
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.MonkeyPatch.context() as patch, caplog.at_level(logging.WARNING):
            patch.setattr("router.wyoming.DEFAULT_PORT", port)
            async with scripted_fleet(1, wyoming_port=None) as fleet:
                assert (await fleet.transcribe())[0] == 200
                assert fleet.service.wyoming.port is None
        assert f"port {port}" in caplog.text
        async with scripted_fleet(1) as fleet:
            fleet.service.wyoming._settings = RouterSettings(wyoming_port=port)
            with pytest.raises(StartupError, match="WYOMING_PORT"):
                await fleet.service.wyoming.loop()


async def test_keys_shut_the_door():
    """
    Wyoming has no keys: where callers need one, the port stays closed, and asking for it is a mistake.
    """
    async with scripted_fleet(1, wyoming_port=None, api_key="k") as fleet:
        await fleet.transcribe(header_Authorization="Bearer k")
        assert fleet.service.wyoming.port is None
    with pytest.raises(SettingError, match="WYOMING_PORT"):
        RouterSettings(workers=("http://w",), api_key="k", wyoming_port=10300).check()
    RouterSettings(workers=("http://w",), api_key="k", wyoming_port=10300, allow_open=True).check()


async def test_callers_may_count_under_a_key(tmp_path):
    """
    Its limits hold for all of them together, on this door as on HTTP; once it is revoked the door refuses.
    """
    file = KeyFile.at(str(tmp_path / "keys"), None)
    key, record = file.add("home", Limits(concurrency=1), now=datetime.now(UTC), expires_at=None)
    async with wyoming_fleet(api_keys_file=str(file.path), wyoming_key="home") as fleet:
        gate = fleet.workers[0].behaviour = HoldGate()
        async with connect(fleet) as first, connect(fleet) as second:
            await say(first)
            await gate.arrived.wait()
            await say(second)
            assert (await hear(second, Error))[0].code == "concurrency_limit"
            assert (await fleet.transcribe(header_Authorization=f"Bearer {key}"))[0] == 429
            gate.release.set()
            await hear(first, Transcript)
        file.revoke(record.id)
        fleet.service.keys.replace(file.read())
        async with connect(fleet) as third:
            await say(third)
            assert (await hear(third, Error))[0].code == "invalid_api_key"


async def test_a_day_s_audio_is_a_key_s_too(tmp_path):
    """
    What was said by Wyoming is charged; the utterance that is over it is refused by name.
    """
    file = KeyFile.at(str(tmp_path / "keys"), None)
    file.add("home", Limits(audio_s_per_day=1.0), now=datetime.now(UTC), expires_at=None)
    async with wyoming_fleet(api_keys_file=str(file.path), wyoming_key="home") as fleet:
        async with connect(fleet) as client:
            await say(client)  # a twentieth of a second, and the worker reports a second
            await hear(client, Transcript)
        await until(fleet.is_clean)
        async with connect(fleet) as client:
            await say(client)
            assert (await hear(client, Error))[0].code == "quota_exceeded"
        assert fleet.workers[0].requests == 1


async def test_a_key_that_is_not_there_is_a_mistake(tmp_path):
    """
    Found at the start, not by the first who speaks.
    """
    file = KeyFile.at(str(tmp_path / "keys"), None)
    file.add("home", Limits(), now=datetime.now(UTC), expires_at=None)
    async with scripted_fleet(1, api_keys_file=str(file.path)) as fleet:
        door = fleet.service.wyoming
        door._settings = RouterSettings(wyoming_key="garden", api_keys_file=str(file.path))
        with pytest.raises(StartupError, match="WYOMING_KEY"):
            await door.loop()
    with pytest.raises(SettingError, match="WYOMING_KEY"):
        RouterSettings(workers=("http://w",), wyoming_key="home").check()


async def test_connections_are_counted():
    """
    One more than WYOMING_SESSIONS is refused, which /metrics tells; a place that comes free can be had.
    """
    async with wyoming_fleet(wyoming_sessions=1) as fleet:
        async with connect(fleet) as first:
            await say(first)
            await hear(first, Transcript)
            async with connect(fleet) as second:
                assert (await hear(second, Error))[0].code == "overloaded"
            async with fleet.client.get(f"{fleet.url}/metrics") as response:
                series = await response.text()
            for line in ("connections 1.0", "connections_limit 1.0", "refused_total 1.0"):
                assert f"\nstt_router_wyoming_{line}" in series
        async with asyncio.timeout(20):
            while True:
                async with connect(fleet) as third:
                    await third.write_event(Ping().event())
                    event = await third.read_event()
                    if event is not None and Pong.is_type(event.type):
                        break


async def test_a_draining_worker_is_still_described():
    """
    Readiness is another matter: who asks wants to know the languages.
    """
    async with wyoming_fleet() as fleet, connect(fleet) as client:
        fleet.workers[0].report = replace(fleet.workers[0].report, state=WorkerState.DRAINING)
        await client.write_event(Describe().event())
        assert (await hear(client, Info))[0].asr[0].models
