"""The command that sends files, as a process, against a small server."""

import asyncio

import pytest
from aiohttp import web

from fleet.errors import NotFound, Unavailable
from fleet.models import listed
from fleet.web import error_response
from tests.fleet.transcribing import transcribe


class Fleet:
    """Answers with what it was sent; `busy` times it says no first."""

    def __init__(self):
        self.busy, self.seen, self.at_once, self.most_at_once = 0, [], 0, 0
        self.headers = {}

    async def transcriptions(self, request):
        """Remember the form; say its size."""
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        form = await request.post()
        clip = form["file"].file.read()
        await asyncio.sleep(0.05)
        self.at_once -= 1
        self.seen.append({name: value for name, value in form.items() if name != "file"})
        if self.busy:
            self.busy -= 1
            return error_response(Unavailable(retry_after_s=1))
        return web.Response(text=f"{form['file'].filename} {len(clip)}\n", headers=self.headers)


@pytest.fixture
async def fleet(aiohttp_server):
    """A fleet that listens."""
    fleet = Fleet()
    app = web.Application(client_max_size=1 << 26)
    app.router.add_post("/v1/audio/transcriptions", fleet.transcriptions)
    fleet.url = str((await aiohttp_server(app)).make_url("/"))
    return fleet


async def test_one_file(fleet, clip):
    """The body of the answer and nothing else on stdout; the fields as asked."""
    clip.write_bytes(b"x" * 3_000_000)

    code, out, err = await transcribe(clip, "--url", fleet.url, "--format", "srt", "--language", "en")

    assert (code, out, err) == (0, "a.wav 3000000\n", "")
    assert fleet.seen == [{"model": "whisper-1", "response_format": "srt", "language": "en"}]


async def test_what_an_answer_is_not_is_noted(fleet, clip):
    """Beside it, on stderr: what the model had no use for, and what was lost of a damaged file."""
    clip.write_bytes(b"xx")
    fleet.headers = {"X-Fleet-Ignored": "language", "X-Audio-Warnings": "truncated"}

    code, out, err = await transcribe(clip, "--url", fleet.url, "--language", "fr")

    assert (code, out) == (0, "a.wav 2\n")
    assert err == "note: a.wav: language: means nothing to this model\nnote: a.wav: truncated: damaged audio\n"


async def test_a_model_that_is_not_loaded_is_answered_with_those_that_are(aiohttp_server, clip):
    """Not with the address at which a program would ask; where that fails too, with the fleet's own words."""

    async def lost(request):
        return error_response(NotFound("It is not loaded.", code="model_not_found"))

    async def models(request):
        return web.json_response(listed(["tiny"]) if is_well else [])

    app = web.Application()
    app.router.add_post("/v1/audio/transcriptions", lost)
    app.router.add_get("/v1/models", models)
    url = str((await aiohttp_server(app)).make_url("/"))
    clip.write_bytes(b"xx")

    is_well = True
    code, _, err = await transcribe(clip, "--url", url, "--model", "bogus")
    assert (code, "'bogus' is not loaded; --model may be one of: tiny, whisper-1\n" in err) == (1, True)
    is_well = False
    assert "It is not loaded. (model_not_found)" in (await transcribe(clip, "--url", url, "--model", "bogus"))[2]


async def test_several_files(fleet, tmp_path):
    """Answers in the order given, each under its name, at most so many at once; one failure is told and counts."""
    clips = [tmp_path / f"{number}.wav" for number in range(6)]
    for clip in clips:
        clip.write_bytes(b"xx")

    code, out, err = await transcribe(*clips, tmp_path / "none.wav", "--url", fleet.url, "--parallel", "3")

    assert code == 1
    assert out == "".join(f"== {clip} ==\n{clip.name} 2\n" for clip in clips)
    assert err == f"error: {tmp_path}/none.wav: No such file or directory\n"
    assert 1 < fleet.most_at_once <= 3


async def test_output_dir(fleet, clip, tmp_path):
    """A file for each, named after the format; two that would be one are refused before anything is sent."""
    code, out, _ = await transcribe(clip, "--url", fleet.url, "--format", "vtt", "--output-dir", tmp_path / "out")
    assert (code, out) == (0, f"{tmp_path}/out/a.vtt\n")
    assert (tmp_path / "out" / "a.vtt").read_text() == "a.wav 1\n"

    code, _, err = await transcribe(clip, tmp_path / "b" / "a.mp3", "--output-dir", tmp_path)
    assert (code, "same name" in err) == (2, True)
    (tmp_path / "a.vtt").mkdir()
    code, _, err = await transcribe(clip, "--url", fleet.url, "--format", "vtt", "--output-dir", tmp_path)
    assert (code, err) == (1, f"error: {tmp_path}/a.vtt: Is a directory\n")
    code, _, err = await transcribe(clip, "--output-dir", clip / "in a file")
    assert (code, err) == (2, f"error: {clip}/in a file: Not a directory\n")


async def test_a_format_that_is_none(clip):
    """Is told the others as they are typed, not as the program holds them."""
    code, _, err = await transcribe(clip, "--format", "tsv")
    assert code == 2
    assert "'verbose_json'" in err
    assert "ResponseFormat" not in err


async def test_busy_fleet_is_asked_again(fleet, clip):
    """When it said so."""
    fleet.busy = 1

    code, out, _ = await transcribe(clip, "--url", fleet.url)

    assert (code, out) == (0, "a.wav 1\n")
    assert len(fleet.seen) == 2


async def test_nobody_there(clip, unused_tcp_port):
    """One sentence, exit code 1."""
    code, out, err = await transcribe(clip, "--url", f"http://127.0.0.1:{unused_tcp_port}")
    assert (code, out) == (1, "")
    assert "connection refused" in err
    assert err.count("\n") == 1
