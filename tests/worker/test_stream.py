"""Server-sent events of a worker; tests/worker/test_api.py reads whole streams over HTTP."""

import json

from tests.worker.conftest import serving


async def test_the_slot_is_free_before_the_stream_ends():
    """A router that reads the end may send its next request at once."""
    async with serving(model="fake:0.1", max_queue_size=0) as talk:
        for _ in range(5):
            answer = await talk.send(b"RIFF" + bytes(50_000), headers={"X-Fleet-Router": "r1"}, stream="true")

            assert answer.status == 200
            events = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]
            assert events[-1]["type"] == "transcript.text.done"
            assert "".join(event["delta"] for event in events[:-1]) == events[-1]["text"]
