"""
The OpenAI audio API as its clients meet it: the same questions to a worker itself and to the router before it.

Both speak the whole API, so that a proxy may stand in the router's place; whatever a client relies on holds at both.
"""

import http.client
import io
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import openai
import pytest
import srt
import webvtt

from tests.integration.conftest import running
from tests.worker import clips as make

pytestmark = pytest.mark.real

SAMPLES = Path(__file__).parents[2] / "samples"
CLIP = (SAMPLES / "digits-short-george.wav").read_bytes()
TEXT, SECONDS = "five seven nine zero one", 4.34
SILENCE = make.wav(np.zeros(32_000, "<i2"))
PATH = "/v1/audio/transcriptions"
FORMATS = ("json", "text", "srt", "vtt", "verbose_json")
SEGMENT = {
    **dict.fromkeys(("id", "seek"), int),
    **dict.fromkeys(("start", "end", "temperature", "avg_logprob", "compression_ratio", "no_speech_prob"), float),
    "text": str,
    "tokens": list,
}


@dataclass
class Place:
    """Where the API is spoken."""

    url: str
    http: httpx.Client

    def post(self, clip: bytes = CLIP, *, name: str = "upload", **fields: Any) -> httpx.Response:
        """A clip with its fields; a list is a field sent again and again."""
        return self.http.post(PATH, data=fields, files={"file": (name, io.BytesIO(clip), "application/octet-stream")})

    def body(self, *parts: tuple[str, bytes], chunked: bool = False) -> httpx.Response:
        """A form of these parts in this order."""
        form = b"".join(
            b'--b\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n'
            % (name.encode(), b'; filename="upload"' if name == "file" else b"", value)
            for name, value in parts
        )
        content = form + b"--b--\r\n"
        headers = {"Content-Type": "multipart/form-data; boundary=b"}
        return self.http.post(PATH, content=pieces(content) if chunked else content, headers=headers)


def pieces(content: bytes) -> Iterator[bytes]:
    """In no length that is known before."""
    for at in range(0, len(content), 10_000):
        yield content[at : at + 10_000]


@pytest.fixture(scope="module")
def addresses() -> Iterator[dict[str, str]]:
    """A router and its worker; alone in the fleet, so that what is asked of the one is asked of the other."""
    with running("--workers", "1", "--model", "spoken-digits") as fleet:
        (worker,) = fleet.get("/lb-status")["workers"]
        yield {"router": fleet.url, "worker": worker["url"]}


@pytest.fixture(params=["worker", "router"])
def place(request, addresses) -> Iterator[Place]:
    url = addresses[request.param]
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
        yield Place(url, client)


def refusal(answer: httpx.Response) -> tuple[int, str, str | None]:
    """Status, code and field of an error, which has the whole envelope and an id, and tells nothing of the machine."""
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert answer.headers["X-Request-Id"]
    assert answer.headers["Content-Type"].startswith("application/json")
    assert not any(word in error["message"] for word in ("site-packages", ".py", "Traceback", "0x", "127.0.0.1"))
    return answer.status_code, error["code"], error["param"]


def events(answer: httpx.Response) -> list[dict[str, Any]]:
    """Of a stream, in which nothing but data and comments stands."""
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    blocks = answer.text.strip().split("\n\n")
    assert all(block.startswith((":", "data: ")) and "\n" not in block for block in blocks)
    return [json.loads(block[6:]) for block in blocks if block.startswith("data: ")]


@pytest.mark.parametrize("order", [("file", "model", "language"), ("model", "language", "file")])
@pytest.mark.parametrize("chunked", [False, True])
def test_the_file_may_come_first_or_last_and_in_unknown_length(place, order, chunked):
    """Python sends it last, Node first, and from a stream without a length."""
    parts = {"file": CLIP, "model": b"whisper-1", "language": b"en"}
    answer = place.body(*((name, parts[name]) for name in order), chunked=chunked)
    assert answer.json() == {"text": TEXT, "usage": {"type": "duration", "seconds": math.ceil(SECONDS)}}
    assert answer.headers["Content-Type"].startswith("application/json")


def test_who_asks_before_sending_is_told_to_go_on(place):
    """`Expect: 100-continue`, as curl sends it for larger bodies."""
    host = place.url.removeprefix("http://")
    body = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + CLIP + b"\r\n--b--\r\n"
    line = http.client.HTTPConnection(host, timeout=60)
    line.putrequest("POST", PATH)
    for name, value in (
        ("Content-Type", "multipart/form-data; boundary=b"),
        ("Content-Length", str(len(body))),
        ("Expect", "100-continue"),
    ):
        line.putheader(name, value)
    line.endheaders()
    assert line.sock.recv(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
    line.send(body)
    assert json.load(line.getresponse())["text"] == TEXT
    line.close()


@pytest.mark.parametrize(
    ("container", "codec", "rate"),
    [
        ("mp3", "libmp3lame", 44_100),
        ("flac", "flac", 16_000),
        ("ogg", "libopus", 48_000),
        ("webm", "libopus", 48_000),
        ("mp4", "aac", 44_100),
        ("wav", "pcm_s24le", 16_000),
    ],
)
def test_formats_are_told_by_their_bytes(place, container, codec, rate):
    """Not by a name, nor by a content type: most clients send none that helps, and some a wrong one."""
    clip = make.encoded(CLIP, container, codec, rate)
    for name in ("upload", "notes.txt"):
        assert place.post(clip, name=name).json()["text"] == TEXT


def test_what_is_no_audio_has_the_known_message(place):
    """Some clients look for its words."""
    answer = place.post(b"\x00\x01 is no audio" * 100, name="a.wav")
    assert refusal(answer) == (400, "audio_unsupported", "file")
    assert answer.json()["error"]["message"].startswith("Invalid file format. Supported formats: ['flac', 'm4a'")


@pytest.mark.parametrize(
    "fields",
    [
        {"timestamp_granularities[]": ["word", "segment"]},
        {"timestamp_granularities": ["word", "segment"]},
        {"timestamp_granularities": "word,segment"},
        {"timestamp_granularities[]": '["word", "segment"]'},
    ],
)
def test_lists_are_spelled_in_four_ways(place, fields):
    """SDKs, curl and old clients differ."""
    answer = place.post(response_format="verbose_json", **fields).json()
    assert [word["word"] for word in answer["words"]] == TEXT.split()
    assert answer["segments"]


@pytest.mark.parametrize(
    "fields",
    [
        {"chunking_strategy": "auto"},
        {"chunking_strategy": '{"type": "server_vad", "threshold": 0.4, "silence_duration_ms": 400}'},
        {"chunking_strategy[type]": "server_vad", "chunking_strategy[prefix_padding_ms]": "200"},
    ],
)
def test_chunking_strategy_is_spelled_in_three_ways(place, fields):
    """A word, JSON, or one field for each key."""
    assert place.post(**fields).json()["text"] == TEXT


@pytest.mark.parametrize("yes", ["true", "True", "1"])
def test_yes_has_many_words(place, yes):
    """And every one streams."""
    assert events(place.post(stream=yes))[-1]["text"] == TEXT


@pytest.mark.parametrize("language", ["en-us", "en_US", "English", "", "auto"])
def test_languages_are_written_as_people_do(place, language):
    """Codes, tags, names; nothing means: detect it."""
    assert place.post(language=language, response_format="verbose_json").json()["language"] == "english"


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({"language": "klingon"}, "invalid_value", "language"),
        ({"temperature": "1.01"}, "invalid_value", "temperature"),
        ({"temperature": "nan"}, "invalid_value", "temperature"),
        ({"temperature": "inf"}, "invalid_value", "temperature"),
        ({"temperature": "abc"}, "invalid_value", "temperature"),
        ({"response_format": "xml"}, "invalid_value", "response_format"),
        ({"response_format": "JSON"}, "invalid_value", "response_format"),
        ({"response_format": "diarized_json"}, "unsupported_value", "response_format"),
        ({"include[]": "logprobs", "response_format": "verbose_json"}, "unsupported_value", "include[]"),
        ({"chunking_strategy": "{"}, "invalid_value", "chunking_strategy"),
        ({"timestamp_granularities[]": "letter"}, "invalid_value", "timestamp_granularities[]"),
        ({"stream": "perhaps"}, "invalid_value", "stream"),
        ({"model": "another"}, "model_not_found", "model"),
    ],
)
def test_wrong_values_are_named(place, fields, code, param):
    """Never a server error, never a wrong field."""
    assert refusal(place.post(**fields)) == (404 if code == "model_not_found" else 400, code, param)


def test_files_that_are_none_or_too_many_are_named(place):
    """Missing, empty, twice."""
    assert refusal(place.body(("model", b"whisper-1"))) == (400, "missing_file", "file")
    assert refusal(place.body(("file", b""))) == (400, "audio_empty", "file")
    assert refusal(place.body(("file", CLIP), ("file", CLIP))) == (400, "duplicate_field", "file")
    assert place.body(("file", CLIP)).json()["text"] == TEXT  # without a model: whichever is there


def test_fields_that_nobody_knows_are_ignored(place):
    """Clients of other servers send their own."""
    assert place.post(diarize="false", user="u1", **{"vad[threshold]": "0.5"}).json()["text"] == TEXT


@pytest.mark.parametrize(
    ("granularities", "has_words", "has_segments"),
    [
        ([], False, True),
        (["segment"], False, True),
        (["word"], True, False),
        (["word", "segment"], True, True),
    ],
)
def test_what_was_asked_for_is_there_and_nothing_else(place, granularities, has_words, has_segments):
    """As OpenAI's own answers have it."""
    answer = place.post(response_format="verbose_json", **{"timestamp_granularities[]": granularities}).json()
    assert ("words" in answer, "segments" in answer) == (has_words, has_segments)
    plain = place.post(**{"timestamp_granularities[]": granularities}).json()
    assert set(plain) == {"text", "usage"}


def test_segments_and_words_have_every_field_and_lie_inside_each_other(place):
    """Ten fields of the right types; ids from 0; words in their segments, segments in the clip, all in order."""
    granularities = {"timestamp_granularities[]": ["word", "segment"]}
    answer = place.post(response_format="verbose_json", **granularities).json()
    assert (answer["task"], answer["language"], answer["text"]) == ("transcribe", "english", TEXT)
    assert answer["duration"] == pytest.approx(SECONDS, abs=0.01)  # of the audio, silence at its end included
    assert answer["segments"][-1]["end"] < answer["duration"]
    last = 0.0
    for number, segment in enumerate(answer["segments"]):
        for name, kind in SEGMENT.items():
            assert type(segment[name]) in (kind, int), name
        assert segment["id"] == number
        inside = [segment["start"], *(time for one in segment["words"] for time in (one["start"], one["end"]))]
        assert last <= segment["start"]
        assert inside == sorted(inside)
        last = segment["end"]
        assert inside[-1] <= last <= answer["duration"]
    flat = [word for segment in answer["segments"] for word in segment["words"]]
    assert [word["word"].strip() for word in flat] == [word["word"] for word in answer["words"]]


def test_subtitles_are_what_their_readers_read(place):
    """And content types are exact: JavaScript throws on text that is labelled JSON."""
    body = place.post(response_format="srt")
    assert body.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert [cue.index for cue in srt.parse(body.text)] == [1]
    assert body.text.endswith("\n\n")
    body = place.post(response_format="vtt")
    assert body.headers["Content-Type"] == "text/vtt; charset=utf-8"
    assert [cue.text for cue in webvtt.from_string(body.text)] == [TEXT]
    with pytest.raises(webvtt.errors.MalformedFileError):
        webvtt.from_string(body.text.removeprefix("WEBVTT"))
    body = place.post(response_format="text")
    assert (body.headers["Content-Type"], body.text) == ("text/plain; charset=utf-8", f"{TEXT}\n")


def test_silence_is_no_error_in_any_format(place):
    """Empty text, no segments, a header where there must be one."""
    answers = {form: place.post(SILENCE, response_format=form) for form in FORMATS}
    assert all(answer.status_code == 200 for answer in answers.values())
    assert answers["json"].json() == {"text": "", "usage": {"type": "duration", "seconds": 2}}
    assert (answers["text"].text, answers["srt"].text, answers["vtt"].text) == ("\n", "", "WEBVTT\n\n")
    verbose = answers["verbose_json"].json()
    assert (verbose["text"], verbose["segments"], verbose["duration"]) == ("", [], 2)
    assert events(place.post(SILENCE, stream="true")) == [{"type": "transcript.text.done", "text": ""}]


@pytest.mark.parametrize("form", ["json", "text"])
def test_streamed_parts_add_up(place, form):
    """One `done`, at the end, with what the deltas said; no proxy holds them back."""
    clip = (SAMPLES / "half-minute.wav").read_bytes()
    answer = place.post(clip, stream="true", response_format=form)
    assert answer.headers["X-Accel-Buffering"] == "no"
    *deltas, done = events(answer)
    assert {event["type"] for event in deltas} == {"transcript.text.delta"}
    assert len(deltas) > 1
    assert done == {"type": "transcript.text.done", "text": "".join(event["delta"] for event in deltas)}
    assert done["text"] == place.post(clip).json()["text"]


@pytest.mark.parametrize("form", ["srt", "vtt", "verbose_json"])
def test_formats_that_do_not_stream_come_whole(place, form):
    """The plain body, as hosted models that do not stream answer."""
    assert place.post(stream="true", response_format=form).text == place.post(response_format=form).text


def test_the_strictest_client_takes_every_answer(place):
    """Every type is checked: json, verbose_json with words, events, logprobs, models."""
    with openai.OpenAI(
        base_url=f"{place.url}/v1", api_key="any", _strict_response_validation=True, max_retries=0, timeout=60
    ) as client:
        ask = client.audio.transcriptions.create
        assert ask(model="whisper-1", file=("a", CLIP)).text == TEXT
        verbose = ask(model="whisper-1", file=("a", CLIP), response_format="verbose_json")
        assert verbose.segments[0].avg_logprob < 0
        assert ask(model="whisper-1", file=("a", CLIP), include=["logprobs"]).logprobs[0].logprob < 0
        told = list(ask(model="whisper-1", file=("a", CLIP), stream=True, include=["logprobs"]))
        assert [event.type for event in told] == ["transcript.text.delta"] * (len(told) - 1) + ["transcript.text.done"]
        assert "whisper-1" in [model.id for model in client.models.list()]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/nothing", 404),
        ("GET", "/v1/models/another", 404),
        ("GET", "/v1/models/someone/another", 404),
        ("GET", "/v1/models/someone%2Fanother", 404),
        ("PUT", PATH, 405),
        ("POST", PATH, 415),
    ],
)
def test_every_refusal_has_the_envelope(place, method, path, status):
    """Whoever gives it, and the caller's own id is on it."""
    answer = place.http.request(method, path, headers={"X-Request-Id": "mine-7"})
    assert refusal(answer)[0] == status
    assert answer.headers["X-Request-Id"] == "mine-7"


def test_models_are_listed_as_openai_lists_them(place):
    """With the alias, whole numbers for dates, and each by itself."""
    listed = place.http.get("/v1/models").json()
    assert listed["object"] == "list"
    assert {"spoken-digits", "whisper-1"} <= {model["id"] for model in listed["data"]}
    for model in listed["data"]:
        assert (model["object"], type(model["created"]), type(model["owned_by"])) == ("model", int, str)
        assert place.http.get(f"/v1/models/{model['id']}").json()["id"] == model["id"]


def test_bare_samples_are_taken_for_what_they_are_called(place):
    """Bazarr decodes films itself and sends `/asr` what is left: no container, and a word that says so."""
    query = {"task": "transcribe", "language": "en", "output": "srt", "encode": "false"}
    for clip in (CLIP[44:], CLIP):
        answer = place.http.post("/asr", params=query, files={"audio_file": ("audio_file", clip)})
        assert [cue.content for cue in srt.parse(answer.text)] == [TEXT]
    answer = place.http.post("/asr", params=query | {"encode": "true"}, files={"audio_file": CLIP[44:]})
    assert refusal(answer)[0] == 400


def test_one_bad_request_leaves_a_connection_as_it_was(place):
    """Refusals are read to their end, so that the next request on the line is answered."""
    for _ in range(3):
        assert place.post(b"no audio" * 50).status_code == 400
        assert place.post().json()["text"] == TEXT
