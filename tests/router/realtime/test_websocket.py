"""The door: who gets in, what frames it takes, and when it closes. Real sockets, scripted workers."""

import asyncio
import json
import logging
from base64 import b64encode
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from fleet.errors import BadRequest
from router.door import KeptReply
from router.keyring import Keyring
from router.limits import Limits
from router.realtime import websocket
from router.realtime.session import Session
from router.realtime.websocket import FRAME_BYTES_MAX, refusal_of
from tests.router.deferred.jobs_fleet import made_keys
from tests.router.scripted import HoldGate, ScriptedFleet, answers, hangs, scripted_fleet, until

KEY = "sk-live"
BY_HAND = {"type": "session.update", "session": {"audio": {"input": {"turn_detection": None}}}}
SECOND = b64encode(bytes(48_000)).decode()


def append(audio: str = SECOND) -> dict[str, str]:
    return {"type": "input_audio_buffer.append", "audio": audio}


COMMIT = {"type": "input_audio_buffer.commit"}


class Line:
    """A caller's socket."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def says(self, *events: Any) -> None:
        for event in events:
            await self.socket.send_json(event)

    async def hears(self, kind: str) -> dict[str, Any]:
        """The next event of a kind; others are passed over."""
        async with asyncio.timeout(20):
            while True:
                event = await self.socket.receive_json()
                if event["type"].endswith(kind):
                    return event

    async def closed(self) -> int | None:
        async with asyncio.timeout(20):
            while (await self.socket.receive()).type not in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED):
                pass
        return self.socket.close_code


@asynccontextmanager
async def line(fleet: ScriptedFleet, path: str = "/v1/realtime", **options: Any):
    async with fleet.client.ws_connect(fleet.url + path, max_msg_size=0, **options) as socket:
        yield Line(socket)


async def refusal(fleet: ScriptedFleet, path: str = "/v1/realtime", **options: Any) -> int:
    """The status of a handshake that fails."""
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        async with line(fleet, path, **options):
            pass
    return caught.value.status


def keyed(folder: Path, **limits: Any) -> tuple[dict[str, Any], str]:
    """A key with limits, and the settings of a router that knows it."""
    (key,) = made_keys(folder / "keys.json", Limits(**limits))
    return {"api_keys_file": str(folder / "keys.json")}, key


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


async def is_over(fleet: ScriptedFleet) -> None:
    """The router has noticed that nobody is there any more, and holds nothing."""
    await until(lambda: not fleet.service.realtime.seats and fleet.is_clean(), "the end of the session")


async def test_audio_goes_through_the_queue_like_any_upload():
    """With the session's own request id, counted and noted like the others."""
    async with scripted_fleet(1) as fleet:
        async with line(fleet, "/v1/realtime?intent=transcription", headers={"X-Request-Id": "mine"}) as caller:
            await caller.hears("created")
            await caller.says(BY_HAND, append(), COMMIT)
            assert (await caller.hears("completed"))["transcript"] == "w0"
        assert fleet.workers[0].headers[0]["X-Request-Id"] == "mine-1"
        assert (await fleet.status())["totals"]["requests"] == 1
        await is_over(fleet)


@pytest.mark.parametrize(
    ("options", "is_let_in"),
    [
        ({}, False),
        ({"headers": {"Authorization": "Bearer wrong"}}, False),
        ({"headers": {"Authorization": f"Bearer {KEY}"}}, True),
        ({"headers": {"X-API-Key": KEY}}, True),
        ({"protocols": ["realtime", f"openai-insecure-api-key.{KEY}", "openai-beta.realtime-v1"]}, True),
        ({"protocols": [f"openai-insecure-api-key.{KEY}"]}, True),
        ({"protocols": ["realtime", "openai-insecure-api-key.wrong"]}, False),
        ({"protocols": ["realtime"]}, False),
    ],
)
async def test_keys(options: dict[str, Any], is_let_in: bool, caplog: pytest.LogCaptureFixture):
    """By header or by sub-protocol, before the handshake; no log has them."""
    caplog.set_level(logging.DEBUG)
    async with scripted_fleet(1, api_key=KEY) as fleet:
        if not is_let_in:
            assert await refusal(fleet, **options) == 401
            return
        async with line(fleet, **options) as caller:
            await caller.hears("created")
            offered = options.get("protocols", [None])
            assert caller.socket.protocol == offered[0]
    assert KEY not in caplog.text


async def test_beta_callers_are_greeted_in_their_shape():
    """They say so by sub-protocol or header."""
    async with scripted_fleet(1) as fleet:
        async with line(fleet, protocols=["realtime", "openai-beta.realtime-v1"]) as caller:
            assert (await caller.socket.receive_json())["type"] == "transcription_session.created"
        async with line(fleet, headers={"OpenAI-Beta": "realtime=v1"}) as caller:
            assert (await caller.socket.receive_json())["type"] == "transcription_session.created"


async def test_models():
    """In the query one that is here is used and another means nothing; in an update another is an error."""
    async with scripted_fleet(1) as fleet:
        async with line(fleet, "/v1/realtime?model=gpt-realtime") as caller:
            created = await caller.hears("created")
            assert created["session"]["audio"]["input"]["transcription"]["model"] == "whisper-1"
            wish = {"audio": {"input": {"transcription": {"model": "large-v9"}}}}
            await caller.says({"type": "session.update", "session": wish})
            assert (await caller.hears("error"))["error"]["code"] == "model_not_found"
        async with line(fleet, "/v1/realtime?model=tiny") as caller:
            created = await caller.hears("created")
            assert created["session"]["audio"]["input"]["transcription"]["model"] == "tiny"


async def test_what_is_no_session_here_is_refused():
    """A conversation, a request that is no WebSocket, a door that is shut."""
    async with scripted_fleet(1) as fleet:
        assert await refusal(fleet, "/v1/realtime?intent=conversation") == 400
        async with fleet.client.get(f"{fleet.url}/v1/realtime") as response:
            assert (response.status, (await response.json())["error"]["type"]) == (400, "invalid_request_error")
    async with scripted_fleet(1, realtime_sessions=0) as fleet:
        assert await refusal(fleet) == 404


async def test_pages_of_others_may_not_listen():
    """Browsers let any page connect to anywhere; whoever brings a good key was given it."""
    elsewhere = {"headers": {"Origin": "https://elsewhere.example"}}
    async with scripted_fleet(1) as fleet:
        assert await refusal(fleet, **elsewhere) == 403
        for odd in ("null", "http://[::1"):
            assert await refusal(fleet, headers={"Origin": odd}) == 403
        assert await refusal(fleet, protocols=["openai-insecure-api-key.any"], **elsewhere) == 403
        async with line(fleet, headers={"Origin": fleet.url}) as caller:
            await caller.hears("created")
    keyed = {"protocols": [f"openai-insecure-api-key.{KEY}"]}
    async with scripted_fleet(1, api_key=KEY) as fleet, line(fleet, **keyed, **elsewhere) as caller:
        await caller.hears("created")
    async with scripted_fleet(1, cors_origins=("https://elsewhere.example",)) as fleet, line(fleet, **elsewhere):
        pass


async def test_full_means_no_at_once():
    """One seat: the second caller gets 503, and the seat is free when the first has left."""
    async with scripted_fleet(1, realtime_sessions=1) as fleet:
        async with line(fleet) as caller:
            await caller.hears("created")
            assert await refusal(fleet) == 503
        await is_over(fleet)
        async with line(fleet) as caller:
            await caller.hears("created")


async def test_sessions_are_seen():
    """On /lb-status and /metrics: how many there are and may be, and the audio they sent; who leaves is counted on."""
    async with scripted_fleet(1, realtime_sessions=2) as fleet:
        async with line(fleet) as caller, line(fleet):
            await caller.says(BY_HAND, append(), append(), COMMIT)
            await caller.hears("completed")
            assert await refusal(fleet) == 503
            live = (await fleet.status())["realtime"]
            assert live == {
                "sessions": 2,
                "max": 2,
                "audio_s": pytest.approx(2, abs=0.1),
                "opened": 2,
                "refused": 1,
                "audio_s_total": live["audio_s"],
            }
        await is_over(fleet)
        assert (await fleet.status())["realtime"] == live | {"sessions": 0, "audio_s": 0}
        async with fleet.client.get(f"{fleet.url}/metrics") as response:
            series = await response.text()
        assert "stt_router_realtime_sessions 0.0" in series
        assert 'stt_router_realtime_handshakes_total{outcome="refused"} 1.0' in series
        assert "stt_router_realtime_audio_seconds_total 2.0" in series


async def test_a_keys_limits_fail_an_item_and_not_the_session(tmp_path: Path):
    """One at a time, two seconds of audio a day: what is over is told by its item, and the next may be spoken."""
    settings, key = keyed(tmp_path, concurrency=1, audio_s_per_day=2.5)
    async with scripted_fleet(2, **settings) as fleet, line(fleet, headers=bearer(key)) as caller:
        gate = fleet.workers[0].behaviour = fleet.workers[1].behaviour = HoldGate()
        await caller.says(BY_HAND, append(), COMMIT)
        await gate.arrived.wait()
        await caller.says(append(), COMMIT)
        assert (await caller.hears("failed"))["error"]["code"] == "concurrency_limit"
        gate.release.set()
        await caller.hears("completed")
        await until(fleet.is_clean)
        await caller.says(append(), COMMIT)
        await caller.hears("completed")
        await until(fleet.is_clean)
        await caller.says(append(), COMMIT)
        assert (await caller.hears("failed"))["error"]["code"] == "quota_exceeded"
        await caller.says({"type": "input_audio_buffer.clear"})
        await caller.hears("cleared")


async def test_a_revoked_key_gets_no_more_text_and_no_session(tmp_path: Path):
    """Nor does one that is no key; the worker hears of neither."""
    settings, key = keyed(tmp_path)
    async with scripted_fleet(1, **settings) as fleet, line(fleet, headers=bearer(key)) as caller:
        await caller.hears("created")
        fleet.service.keys.replace(Keyring(b""))
        await caller.says(BY_HAND, append(), COMMIT)
        assert (await caller.hears("failed"))["error"]["code"] == "invalid_api_key"
        assert await refusal(fleet, headers=bearer(key)) == 401
        assert await refusal(fleet, protocols=["realtime", f"openai-insecure-api-key.{key}"]) == 401
        assert fleet.workers[0].requests == 0


async def test_a_turn_goes_past_deferred_work():
    """Which waits for a slot that is not kept free for those who speak."""
    async with scripted_fleet(1, realtime_reserved_slots=1) as fleet, asyncio.TaskGroup() as group:
        deferred = group.create_task(fleet.transcribe(transcription_tier="deferred"))
        await until(lambda: len(fleet.service.floor.queue) == 1)
        async with line(fleet) as caller:
            await caller.says(BY_HAND, append(), COMMIT)
            await caller.hears("completed")
        assert [one.tier for one in fleet.service.floor.queue] == ["deferred"]
        deferred.cancel()


async def test_hostile_frames_are_answered_and_the_session_goes_on():
    """No JSON, deep JSON, no base64, binary, other APIs' events: an error each, then a transcript as if nothing was."""
    frames = ["", "nonsense", "[" * 50_000, '{"type":"response.create"}', json.dumps(append("!")), "{}", "null"]
    async with scripted_fleet(1) as fleet, line(fleet) as caller:
        for frame in frames:
            await caller.socket.send_str(frame)
            await caller.hears("error")
        await caller.socket.send_bytes(bytes(1000))
        await caller.hears("error")
        await caller.says(BY_HAND, append(b64encode(bytes(9_999)).decode()), append(), COMMIT)
        await caller.hears("completed")


async def test_a_megabyte_in_one_frame_is_taken_and_three_are_not():
    """Past the limit the connection is closed with 1009, as the protocol has it."""
    async with scripted_fleet(1) as fleet:
        async with line(fleet) as caller:
            await caller.says(BY_HAND, append(b64encode(bytes(1_000_000)).decode()), COMMIT)
            await caller.hears("completed")
            assert len(fleet.workers[0].bodies[0]) > 600_000
            with pytest.raises(ConnectionResetError):
                for _ in range(100):
                    await caller.socket.send_str("x" * (FRAME_BYTES_MAX + 1))
                    await asyncio.sleep(0.01)
        await is_over(fleet)


async def test_a_flood_of_audio_is_bounded():
    """Ten minutes as fast as it goes: what is over two minutes is refused, the session lives, others are answered."""
    async with scripted_fleet(1) as fleet, line(fleet) as caller:
        await caller.says(BY_HAND)

        async def flood() -> None:
            audio = append(b64encode(bytes(20 * 48_000)).decode())
            for _ in range(30):
                await caller.says(audio)

        async with asyncio.TaskGroup() as group:
            group.create_task(flood())
            error = await caller.hears("error")
            assert error["error"]["code"] == "input_audio_buffer_full"
            assert (await fleet.transcribe())[0] == 200
            for _ in range(23):
                await caller.hears("error")
        await caller.says({"type": "input_audio_buffer.clear"}, append(), COMMIT)
        await caller.hears("completed")


async def test_who_says_nothing_is_closed():
    """After REALTIME_IDLE_S, with a word; pings do not count."""
    async with scripted_fleet(1, realtime_idle_s=1) as fleet:
        async with line(fleet) as caller:
            assert (await caller.hears("error"))["error"]["code"] == "session_expired"
            assert await caller.closed() == aiohttp.WSCloseCode.OK
        await is_over(fleet)


async def test_who_hangs_up_takes_its_requests_with_it():
    """Orderly or not: the worker is told, and nothing is held."""
    async with scripted_fleet(2) as fleet:
        for worker in fleet.workers:
            worker.behaviour = hangs
        for is_orderly in (True, False):
            async with line(fleet) as caller:
                await caller.says(BY_HAND, append(), COMMIT)
                await until(lambda: any(worker.running for worker in fleet.workers))
                if not is_orderly:
                    caller.socket._response.connection.transport.abort()
            await is_over(fleet)
            await until(lambda: not any(worker.running for worker in fleet.workers))


async def test_a_worker_s_refusal_is_the_item_s():
    """Its code; the session goes on."""
    async with scripted_fleet(1) as fleet, line(fleet) as caller:
        fleet.workers[0].behaviour = answers(400, "audio_corrupt")
        await caller.says(BY_HAND, append(), COMMIT)
        assert (await caller.hears("failed"))["error"]["code"] == "audio_corrupt"


async def test_a_fleet_that_is_gone_fails_the_item():
    """At once, with the router's own error."""
    async with scripted_fleet(0) as fleet, line(fleet) as caller:
        await caller.says(BY_HAND, append(), COMMIT)
        assert (await caller.hears("failed"))["error"]["code"] == "no_worker"


async def test_drain_ends_sessions_and_opens_none(monkeypatch: pytest.MonkeyPatch):
    """What was committed gets its text first; a text that never comes holds nobody longer than its time."""
    async with scripted_fleet(1) as fleet, line(fleet) as caller:
        await caller.says(BY_HAND, append(), COMMIT)
        await caller.hears("committed")
        async with asyncio.TaskGroup() as group:
            group.create_task(fleet.service.realtime.drain())
            await caller.hears("completed")
            assert (await caller.hears("error"))["error"]["code"] == "draining"
            assert await caller.closed() == aiohttp.WSCloseCode.GOING_AWAY
        assert await refusal(fleet) == 503
    monkeypatch.setattr(websocket, "FINISH_S", 0.2)
    impatient = aiohttp.ClientWSTimeout(ws_close=0.1)
    async with scripted_fleet(1) as fleet, line(fleet, timeout=impatient) as caller:
        fleet.workers[0].behaviour = hangs
        await caller.says(BY_HAND, append(), COMMIT)
        await until(lambda: fleet.workers[0].running)
        async with asyncio.timeout(10):
            await fleet.service.realtime.drain()
        assert len(fleet.service.realtime.seats) == 1


def test_an_answer_that_is_no_envelope_is_our_fault():
    """A worker's error that nobody can read."""
    reply = KeptReply()
    reply.status, reply.body = 502, b"<html>"
    assert refusal_of(reply).code == "internal_error"
    reply.body = json.dumps(BadRequest("No.", code="audio_empty").to_json()).encode()
    assert refusal_of(reply).code == "audio_empty"


async def test_an_accident_costs_an_item_and_not_the_session():
    """
    What nobody expected while a turn was transcribed is that turn's failure; the session goes on.
    """

    def accident(*_: object) -> None:
        raise RuntimeError("unexpected")

    async with scripted_fleet(1) as fleet, line(fleet) as caller:
        usual, fleet.service.dispatcher.on_attempt = fleet.service.dispatcher.on_attempt, accident
        await caller.says(BY_HAND, append(), COMMIT)
        assert (await caller.hears("failed"))["error"]["code"] == "internal_error"

        fleet.service.dispatcher.on_attempt = usual
        await caller.says(append(), COMMIT)
        assert (await caller.hears("completed"))["transcript"] == "w0"


async def test_an_accident_of_the_session_itself_closes_it_with_a_code(monkeypatch):
    """
    1011, and not the head of an HTTP error where a frame is expected.
    """

    async def accident(*_: object) -> None:
        raise RuntimeError("unexpected")

    async with scripted_fleet(1) as fleet:
        async with line(fleet) as caller:
            await caller.hears("created")
            monkeypatch.setattr(Session, "_append", accident)
            await caller.says(append())
            assert await caller.closed() == 1011
        await is_over(fleet)


async def test_a_wait_that_is_over_in_the_moment_of_the_drain_does_not_stop_it():
    """
    A time-out that has struck can be changed no more, and asyncio says so with an error.
    """
    async with scripted_fleet(1) as fleet:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0) as patience:
                await asyncio.sleep(60)
        fleet.service.realtime._patience.add(patience)

        await fleet.service.realtime.drain()
