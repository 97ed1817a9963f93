"""Bodies as a worker receives them."""

import io

import aiohttp

from tests.worker.conftest import PATH, serving


async def test_limits_hold_with_and_without_a_stated_length():
    """413 by header and by count."""
    async with serving(model="fake:0", max_upload_mb=0.1) as talk:
        assert (await talk.send(bytes(2_000_000))).refusal == (413, "body_too_large")

        async def unsaid():
            yield b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\n'
            for _ in range(300):
                yield bytes(10_000)

        headers = {"Content-Type": "multipart/form-data; boundary=x"}
        assert (await talk.call("POST", PATH, data=unsaid(), headers=headers)).refusal == (413, "body_too_large")


async def test_what_is_no_form_or_has_no_file_is_named():
    """415 and 400, before anything is decoded."""
    async with serving(model="fake:0") as talk:
        assert (await talk.call("POST", PATH, json={})).refusal == (415, "unsupported_media_type")
        form = aiohttp.FormData({"model": "whisper-1"})
        form.add_field("other", io.BytesIO(b"x"), filename="x")
        assert (await talk.call("POST", PATH, data=form)).refusal == (400, "missing_file")


async def test_a_large_file_passes_through_the_disk():
    """Past a megabyte the file has no place in memory."""
    async with serving(model="fake:0") as talk:
        answer = await talk.send(bytes(3_200_000))

        assert answer.status == 200
        assert answer.headers["X-Audio-Duration"] == "100.000"
