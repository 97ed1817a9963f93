"""Server-sent events of a worker; tests/worker/test_api.py reads whole streams over HTTP."""

import asyncio
import json
from typing import NoReturn

from fleet.wire import Segment
from tests.worker.conftest import serving
from worker import api, fake
from worker.window import Piece, WindowResult


def out_of_processes(*_: object) -> NoReturn:
    raise OSError("cannot fork in /secret/place")


async def test_what_nobody_expected_is_an_event_too(monkeypatch):
    """Never a stream that just stops, whose reader waits for as long as it can; and no word of the cause."""
    async with serving(model="fake:0") as talk:
        monkeypatch.setattr(talk.worker._transcriber, "_decoder", out_of_processes)
        answer = await talk.send(b"RIFF" + bytes(500), stream="true")

        assert json.loads(answer.text.split("data: ")[1])["error"]["code"] == "internal_error"
        assert "secret" not in answer.text
        assert not await talk.is_busy()
        page = (await talk.call("GET", "/metrics")).text
        assert 'fleet_worker_requests_total{code="internal_error"} 1.0' in page


def endless(piece: Piece) -> WindowResult:
    """More text than any buffer between holds."""
    return WindowResult(segments=(Segment(id=0, start=0, end=1, text=" word" * 6_000_000),), language="en")


async def test_who_reads_nothing_holds_no_slot_beyond_its_time(monkeypatch):
    """The deadline counts while an answer is told, too: a caller who stops reading would have the slot for ever."""
    monkeypatch.setattr(fake, "_result", endless)
    monkeypatch.setattr(api, "LAST_WORDS_S", 0.2)
    async with serving(model="fake:0") as talk:
        host, _, port = talk.url.removeprefix("http://").partition(":")
        _, writer = await asyncio.open_connection(host, int(port), limit=1000)
        body = (
            b'--b\r\nContent-Disposition: form-data; name="stream"\r\n\r\ntrue\r\n'
            b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nsomething\r\n--b--\r\n'
        )
        head = (
            "POST /v1/audio/transcriptions HTTP/1.1\r\nHost: x\r\nX-Request-Timeout: 1\r\n"
            f"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        await talk.until_busy()
        await talk.until_busy(busy=False)
        writer.close()


async def test_the_slot_is_free_before_the_stream_ends():
    """A router that reads the end may send its next request at once."""
    async with serving(model="fake:0.1", max_queue_size=0) as talk:
        for _ in range(5):
            answer = await talk.send(b"RIFF" + bytes(50_000), headers={"X-Fleet-Router": "r1"}, stream="true")

            assert answer.status == 200
            events = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]
            assert events[-1]["type"] == "transcript.text.done"
            assert "".join(event["delta"] for event in events[:-1]) == events[-1]["text"]
