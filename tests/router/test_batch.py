"""Several clips in one request: answers in the order sent, each clip's fate its own."""

import asyncio
import json

import aiohttp
import pytest

from tests.router.scripted import HoldGate, answers, scripted_fleet, stamped, takes, until

PATH = "/v1/audio/transcriptions_batch"


def batch(*clips: bytes, **fields: str) -> aiohttp.FormData:
    form = aiohttp.FormData()
    for name, value in fields.items():
        form.add_field(name, value)
    for number, clip in enumerate(clips):
        form.add_field("file", clip, filename=f"{number}.wav", content_type="audio/wav")
    return form


async def post(fleet, form):
    async with fleet.client.post(fleet.url + PATH, data=form) as response:
        return response.status, json.loads(await response.text())


async def says_what_it_heard(worker, request):
    """The clip's own letter, the later ones sooner."""
    body = worker.bodies[-1]
    letter = body[body.index(b"RIFF-") + 5 : body.index(b"RIFF-") + 6].decode()
    await asyncio.sleep((ord("z") - ord(letter)) / 200)
    if letter == "m":
        error = {"error": {"message": "m", "type": "t", "param": "file", "code": "audio_corrupt"}}
        return aiohttp.web.json_response(error, status=400, headers=stamped(worker))
    return aiohttp.web.json_response({"text": letter}, headers=stamped(worker))


async def test_answers_stand_in_the_order_sent_and_one_clips_error_is_its_own():
    """However the fleet finishes them; a clip that cannot be decoded and an empty one are errors in their places."""
    async with scripted_fleet(2) as fleet:
        for worker in fleet.workers:
            worker.behaviour = says_what_it_heard
        clips = [b"RIFF-" + letter.encode() * 2000 for letter in "amz"]
        status, answer = await post(fleet, batch(clips[0], clips[1], b"", clips[2], language="en"))
        assert status == 200
        first, corrupt, empty, last = answer["results"]
        assert (first, last) == ({"text": "a"}, {"text": "z"})
        assert corrupt["error"]["code"] == "audio_corrupt"
        assert empty["error"]["code"] == "audio_empty"
        assert all(worker.requests for worker in fleet.workers), "spread over the fleet"
        await until(fleet.is_clean)


async def test_subtitles_are_strings():
    """What is no JSON by itself is text in the list."""
    async with scripted_fleet(1) as fleet:

        async def subtitles(worker, _):
            headers = stamped(worker) | {"Content-Type": "text/vtt; charset=utf-8"}
            return aiohttp.web.Response(body=b"WEBVTT\n", headers=headers)

        fleet.workers[0].behaviour = subtitles
        assert await post(fleet, batch(b"RIFF-a", response_format="vtt")) == (200, {"results": ["WEBVTT\n"]})


@pytest.mark.parametrize(
    ("form", "code"),
    [(lambda: batch(b"a", b"b", b"c", b"d"), "too_many_parts"), (lambda: multipart(language="en"), "missing_file")],
)
async def test_a_wrong_form_is_refused_as_a_whole(form, code):
    """Too many clips, or none; no worker hears of it."""
    async with scripted_fleet(1, max_batch_files=3) as fleet:
        async with fleet.client.post(fleet.url + PATH, data=form()) as response:
            assert response.status == 400
            assert (await response.json())["error"]["code"] == code
        assert fleet.workers[0].requests == 0
        await until(fleet.is_clean)


def multipart(**fields: str) -> aiohttp.MultipartWriter:
    """A form without a file, which aiohttp's own class would send in another encoding."""
    writer = aiohttp.MultipartWriter("form-data")
    for name, value in fields.items():
        writer.append(value).set_content_disposition("form-data", name=name)
    return writer


async def test_a_full_fleet_answers_every_clip():
    """More clips than slots wait their turn instead of filling the queue: a queue of two is enough for twenty clips."""
    async with scripted_fleet(1, max_queue=2) as fleet:
        fleet.workers[0].behaviour = takes(0.01)
        status, answer = await post(fleet, batch(*[b"RIFFclip"] * 20))
        assert status == 200
        assert answer["results"] == [{"text": "w0"}] * 20


async def test_a_caller_who_hangs_up_takes_all_clips_along():
    """Nothing is held afterwards, and workers are told."""
    async with scripted_fleet(2) as fleet:
        gate = HoldGate()
        for worker in fleet.workers:
            worker.behaviour = gate
        async with asyncio.TaskGroup() as group:
            call = group.create_task(post(fleet, batch(b"RIFFa", b"RIFFb", b"RIFFc")))
            await gate.arrived.wait()
            call.cancel()
        await until(fleet.is_clean)
        await until(lambda: sum(worker.cancelled for worker in fleet.workers) >= 1)


async def test_a_busy_fleets_refusal_is_each_clips_answer():
    """An error of ours has the same envelope as alone."""
    async with scripted_fleet(1, retry_limit=0) as fleet:
        fleet.workers[0].behaviour = answers(500)
        _, answer = await post(fleet, batch(b"RIFFa"))
        assert answer["results"][0]["error"]["code"] == "upstream_failed"
