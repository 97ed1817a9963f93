"""The HTTP surface of a worker, over real sockets."""

import asyncio
import json
import logging
import time
from typing import Any

import aiohttp
import numpy as np
import openai
import pytest
import srt
import webvtt

from fleet import log
from fleet.stages import Stages
from fleet.wire import LoadReport, WorkerState
from tests.chaos.clean import longest_step
from tests.worker import clips as make

PATH = "/v1/audio/transcriptions"
GEORGE, GEORGE_TEXT = "digits-short-george.wav", "five seven nine zero one"
TONE = make.wav(make.tone(2))


@pytest.mark.real
async def test_json_has_text_and_usage(digits, clips):
    """The default answer, with the headers that every answer has."""
    response = await digits.send(clips[GEORGE], headers={"X-Request-Id": "mine-1"})
    assert response.json == {"text": GEORGE_TEXT, "usage": {"type": "duration", "seconds": 5}}
    assert response.headers["X-Request-Id"] == "mine-1"
    assert response.headers["X-Fleet-Cache"] == "miss"
    assert response.headers["X-Fleet-Attempts"] == "1"
    assert response.headers["X-Audio-Duration"] == "4.340"
    report = json.loads(response.headers["X-Fleet-Load"])
    assert (report["in_flight"], report["slots"]) == (0, 1)


@pytest.mark.real
async def test_a_language_that_the_model_does_not_have_is_named_and_no_error(digits, clips):
    """Clients send one always; the answer is in the model's own, says so, and names the field, streamed or not."""
    answer = await digits.send(clips[GEORGE], language="fr", response_format="verbose_json")
    assert (answer.json["language"], answer.json["text"]) == ("english", GEORGE_TEXT)
    assert answer.headers["X-Fleet-Ignored"] == "language"
    assert (await digits.send(clips[GEORGE], language="fr", stream="true")).headers["X-Fleet-Ignored"] == "language"
    assert "X-Fleet-Ignored" not in (await digits.send(clips[GEORGE], language="en")).headers


@pytest.mark.real
async def test_every_sample_has_its_text_and_times(digits, clips, texts):
    """Word for word, and each stretch of speech within 0.3 s of where it is."""
    for truth in texts:
        response = await digits.send(clips[truth["file"]], response_format="verbose_json")
        answer = response.json
        assert answer["text"] == truth["text"], truth["file"]
        assert abs(answer["duration"] - truth["duration_s"]) < 0.05
        starts = [segment["start"] for segment in answer["segments"]]
        ends = [segment["end"] for segment in answer["segments"]]
        for segment in truth["segments"]:
            assert min(abs(start - segment["start"]) for start in starts) < 0.3, truth["file"]
            assert min(abs(end - segment["end"]) for end in ends) < 0.3, truth["file"]


@pytest.mark.real
@pytest.mark.parametrize(
    ("container", "codec", "rate"),
    [
        ("mp3", "libmp3lame", 44_100),
        ("flac", "flac", 16_000),
        ("ogg", "libopus", 48_000),
        ("ipod", "aac", 44_100),
        ("webm", "libopus", 48_000),
        ("wav", "pcm_mulaw", 8_000),
        ("wav", "pcm_s16le", 44_100),
    ],
)
async def test_every_format_has_the_same_text(digits, clips, container, codec, rate):
    """The file is called `upload` and labelled as bytes: what is in it decides."""
    clip = make.encoded(clips["phone-number-george.wav"], container, codec, rate)
    assert (await digits.send(clip)).json["text"] == "seven zero one five nine two four three five five"


@pytest.mark.real
async def test_the_same_alone_and_in_company(serve, clips, texts):
    """Eight at once, sharing model calls, get what each gets alone."""
    async with serve(model="spoken-digits", cpu_threads=1, max_concurrent_transcriptions=8) as talk:
        names = [truth["file"] for truth in texts]
        alone = {name: (await talk.send(clips[name], response_format="verbose_json")).json for name in names}
        async with asyncio.TaskGroup() as group:
            sent = [
                (name, group.create_task(talk.send(clips[name], response_format="verbose_json"))) for name in names * 2
            ]
        for name, answer in sent:
            together = answer.result().json
            assert (together["text"], [one["end"] for one in together["segments"]]) == (
                alone[name]["text"],
                [one["end"] for one in alone[name]["segments"]],
            )


@pytest.mark.real
async def test_silence_is_no_error_and_no_text(digits):
    """200 and nothing, in every format."""
    quiet = make.wav(make.tone(3) * 0)
    bodies = {}
    for form in ("json", "text", "srt", "vtt", "verbose_json"):
        response = await digits.send(quiet, response_format=form)
        assert response.status == 200
        bodies[form] = response.text.strip()
    assert (bodies["text"], bodies["srt"], bodies["vtt"]) == ("", "", "WEBVTT")
    assert json.loads(bodies["verbose_json"])["segments"] == []


@pytest.mark.real
async def test_subtitles_can_be_read_by_those_who_read_them(digits, clips):
    """srt and vtt parse, and say the same at the same times."""
    clip = clips["half-minute.wav"]
    cues = list(srt.parse((await digits.send(clip, response_format="srt")).text))
    captions = webvtt.from_string((await digits.send(clip, response_format="vtt")).text)
    assert [cue.content for cue in cues] == [caption.text for caption in captions]
    assert len(cues) == 8


@pytest.mark.real
async def test_openai_client_works_unmodified(digits, clips):
    """Strict parsing of verbose_json with words, and a stream whose deltas are the text."""
    async with openai.AsyncOpenAI(
        base_url=f"{digits.url}/v1", api_key="none", _strict_response_validation=True
    ) as client:
        verbose = await client.audio.transcriptions.create(
            model="whisper-1",
            file=("a.wav", clips[GEORGE]),
            response_format="verbose_json",
            timestamp_granularities=["word", "segment"],
        )
        assert [word.word for word in verbose.words or []] == GEORGE_TEXT.split()
        stream = await client.audio.transcriptions.create(model="whisper-1", file=clips[GEORGE], stream=True)
        events = [event async for event in stream]
        assert "".join(event.delta for event in events[:-1]) == events[-1].text == GEORGE_TEXT
        models = [model.id async for model in client.models.list()]
        assert models == ["spoken-digits", "whisper-1"]


@pytest.mark.real
async def test_an_english_only_model_refuses_translations(digits, clips):
    """`model_not_capable`, before any work."""
    response = await digits.send(clips[GEORGE], "/v1/audio/translations")
    assert response.refusal == (400, "model_not_capable")


@pytest.mark.real
async def test_the_embedded_model_says_what_it_cannot(digits):
    """Nobody should take a digits model for a general one."""
    health = await digits.get("/health")
    assert "digits" in health["about"]
    assert "MODEL=base" in health["about"]


@pytest.mark.real
async def test_sequential_decoding_has_the_same_text_where_the_model_can(digits, clips, texts):
    """Clips of a few runs of digits: both ways say the same. In windows of many runs this model loses its place."""
    short = [truth for truth in texts if truth["duration_s"] < 12]
    assert len(short) == 8
    for truth in short:
        response = await digits.send(clips[truth["file"]], condition_on_previous_text="true")
        assert response.json["text"] == truth["text"], truth["file"]


@pytest.mark.real
@pytest.mark.parametrize("kind", ["silence", "white noise", "rumble", "hum", "clicks"])
async def test_what_is_not_speech_has_no_text_and_costs_no_model_call(digits, kind):
    """Nothing is made up, and nothing is computed to find that out."""
    rng, at = np.random.default_rng(0), np.arange(10 * 16_000)
    sound = {
        "silence": np.zeros(len(at)),
        "white noise": rng.normal(0, 0.1, len(at)),
        "rumble": np.cumsum(rng.normal(0, 1e-3, len(at))),
        "hum": 0.1 * np.sin(2 * np.pi * 50 * at / 16_000),
        "clicks": (rng.random(len(at)) > 0.9995) * 0.9,
    }[kind]
    response = await digits.send(make.wav((sound.clip(-1, 1) * 32767).astype("<i2")))
    assert (response.status, response.json["text"]) == (200, "")
    assert "fleet_worker_batch_windows_count 0.0" in (await digits.call("GET", "/metrics")).text


@pytest.mark.real
async def test_melodies_have_no_text(digits):
    """Voice activity takes them for speech; the model was trained to hear nothing in them."""
    texts = []
    for seed in range(6):
        rng, step_s = np.random.default_rng(seed), 0.2 + 0.06 * seed
        at = np.arange(round(step_s * 16_000)) / 16_000
        pitches = 220 * 2 ** (rng.integers(0, 24, round(10 / step_s)) / 12)
        notes = [sum(np.sin(2 * np.pi * pitch * k * at) / k for k in (1, 2, 3)) for pitch in pitches]
        sound = 0.3 * np.concatenate(notes * np.sin(np.pi * at / step_s))
        texts.append((await digits.send(make.wav((sound * 32767).astype("<i2")))).json["text"])
    assert texts == [""] * 6


@pytest.mark.real
async def test_health_answers_while_the_model_works(digits, clips):
    """
    Nothing that computes runs on the event loop: 99 of 100 answers within 50 ms beside a two-minute clip.

    In the best quarter of that time: the machine's other work only ever adds. Processor time, which it does not change,
    is never as much in one step.
    """
    minutes = make.repeated(clips["half-minute.wav"], 7)
    took: list[float] = []
    with longest_step() as step_s:
        async with asyncio.TaskGroup() as group:
            work = group.create_task(digits.send(minutes))
            while not work.done():
                began = time.perf_counter()
                await digits.get("/health")
                took.append(time.perf_counter() - began)
                await asyncio.sleep(0.005)
    assert work.result().status == 200
    quarters = [sorted(took[part * len(took) // 4 : (part + 1) * len(took) // 4]) for part in range(4)]
    assert min(quarter[int(len(quarter) * 0.99) - 1] for quarter in quarters) < 0.05, quarters
    assert step_s[0] < 0.05


async def test_one_slot_and_two_places_serve_three_of_ten(serve):
    """Seven are refused at once, and told when to come back; the three others get their text."""
    async with serve(model="fake:1", max_concurrent_transcriptions=1, max_queue_size=2) as talk:

        async def call() -> tuple[int, float, Any]:
            began = time.monotonic()
            response = await talk.send(TONE)
            return response.status, time.monotonic() - began, response

        async with asyncio.TaskGroup() as group:
            calls = [group.create_task(call()) for _ in range(10)]
        refused = [call.result() for call in calls if call.result()[0] == 503]
        assert sorted(call.result()[0] for call in calls) == [200] * 3 + [503] * 7
        first_text_s = min(call.result()[1] for call in calls if call.result()[0] == 200)
        for _, took_s, response in refused:
            assert took_s < first_text_s / 2
            assert 1 <= int(response.headers["Retry-After"]) <= 60
            assert response.headers["X-Fleet-Busy"] == "1"
            assert response.refusal == (503, "overloaded")


async def test_a_full_worker_refuses_before_the_body_is_sent(serve):
    """`Expect: 100-continue` gets its 503 instead of the 100."""
    async with serve(model="fake:30", fail_fast_when_busy=True) as talk, asyncio.TaskGroup() as group:
        busy = group.create_task(talk.send(TONE))
        await talk.until_busy()
        host, _, port = talk.url.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            f"POST {PATH} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 90000000\r\n"
            "Content-Type: multipart/form-data; boundary=b\r\n\r\n".encode()
        )
        assert (await reader.readline()).startswith(b"HTTP/1.1 503")
        writer.close()
        busy.cancel()


async def test_a_caller_who_hangs_up_frees_the_slot(serve):
    """Within one step of the engine, not at the clip's end."""
    async with serve(model="fake:300") as talk:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await talk.send(TONE)
        await talk.until_busy(busy=False)
        assert (await talk.get("/load"))["work_s"] == 0


@pytest.mark.parametrize(
    "headers", [{"X-Fleet-Deadline-Ms": "300"}, {"X-Request-Timeout": "0.3"}, {"x-stainless-read-timeout": "0.3"}]
)
async def test_a_deadline_ends_the_work(serve, headers):
    """504 without a retry, and the slot is free."""
    async with serve(model="fake:300") as talk:
        response = await talk.send(TONE, headers=headers)
        assert response.refusal == (504, "deadline_exceeded")
        assert response.headers["x-should-retry"] == "false"
        assert (await talk.get("/load"))["in_flight"] == 0


async def test_a_stream_says_something_at_once_and_how_it_ended(serve):
    """A comment before any text; a deadline in the middle is an event, never a silent end."""
    async with serve(model="fake:6") as talk:
        form = aiohttp.FormData({"stream": "true"})
        form.add_field("file", TONE, filename="a")
        began = time.monotonic()
        async with talk.http.post(talk.url + PATH, data=form, headers={"X-Request-Timeout": "3"}) as response:
            assert response.headers["Content-Type"].startswith("text/event-stream")
            assert (await response.content.readline()).startswith(b":")
            assert time.monotonic() - began < 1.9  # the first text takes two
            events = (await response.text()).strip().split("\n\n")
        assert "transcript.text.delta" in events[0]
        assert json.loads(events[-1].removeprefix("data: "))["error"]["code"] == "deadline_exceeded"


async def test_requests_before_the_model_is_there_are_told_to_come_back(serve):
    """503 `no_worker`; alive, but neither ready nor healthy."""
    async with serve(model="fake:0") as talk:
        talk.worker._lifecycle.move(WorkerState.LOADING)
        assert (await talk.send(TONE)).refusal == (503, "no_worker")
        for path, status in (("/healthz", 200), ("/readyz", 503), ("/health", 503)):
            assert (await talk.call("GET", path)).status == status, path


async def test_a_draining_worker_finishes_what_it_has(serve):
    """What is in flight gets its answer, what is new is refused as busy, and draining ends."""
    async with serve(model="fake:1") as talk, asyncio.TaskGroup() as group:
        inside = group.create_task(talk.send(TONE))
        await talk.until_busy()
        draining = group.create_task(talk.worker.drain())
        await asyncio.sleep(0)
        refused = await talk.send(TONE)
        assert refused.refusal == (503, "draining")
        assert refused.headers["X-Fleet-Busy"] == "1"
        await draining
        assert (await inside).status == 200


async def test_the_load_report_is_what_routers_read(scripted):
    """`/load` parses as a report; the header has the changing part and the router's own share."""
    report = LoadReport.from_json(await scripted.get("/load"))
    assert report.is_scripted
    assert report.can_translate
    assert report.state == "ready"


@pytest.mark.parametrize(
    ("model", "status"), [("whisper-1", 200), ("spoken-digits", 200), ("gpt-4o-transcribe", 200), ("nope", 404)]
)
@pytest.mark.real
async def test_unknown_models_are_not_found(digits, clips, model, status):
    """The aliases and the loaded model are served; the answer does not repeat another name."""
    response = await digits.send(clips[GEORGE], model=model)
    assert response.status == status
    if status == 404:
        assert response.refusal[1] == "model_not_found"
        assert "nope" not in response.text


@pytest.mark.parametrize("path", ["/v1/models/org%2Fwhisper", "/v1/models/org/whisper", "/models/org/whisper/"])
async def test_model_ids_may_have_a_slash(scripted, path):
    """Raw and escaped."""
    assert (await scripted.get(path))["id"] == "org/whisper"


async def test_only_the_scripted_engine_deletes_models(scripted, digits):
    """It plays along for other people's test-suites; a real model stays."""
    deleted = await scripted.call("DELETE", "/v1/models/a")
    assert deleted.json == {"id": "a", "object": "model", "deleted": True}
    assert (await digits.call("DELETE", "/v1/models/a")).refusal == (405, "method_not_allowed")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"temperature": "1.01"}, "invalid_value"),
        ({"temperature": "nan"}, "invalid_value"),
        ({"response_format": "xml"}, "invalid_value"),
        ({"response_format": "diarized_json"}, "unsupported_value"),
        ({"stream": "perhaps"}, "invalid_value"),
    ],
)
async def test_wrong_fields_are_refused(scripted, fields, expected):
    """400 with the field's name."""
    response = await scripted.send(TONE, **fields)
    assert response.refusal == (400, expected)
    assert response.json["error"]["param"] == next(iter(fields))


async def test_bodies_that_are_no_form_are_refused(scripted):
    """No boundary, no file, no bytes, too many bytes, compressed, not multipart."""
    multipart = {"Content-Type": "multipart/form-data; boundary=b"}
    cases: list[tuple[dict[str, Any], tuple[int, str]]] = [
        ({"data": b"x", "headers": {"Content-Type": "multipart/form-data"}}, (400, "malformed_multipart")),
        ({"data": b"nonsense", "headers": multipart}, (400, "malformed_multipart")),
        ({"json": {}}, (415, "unsupported_media_type")),
        ({"data": b"x", "headers": multipart | {"Content-Encoding": "gzip"}}, (415, "unsupported_media_type")),
    ]
    for request, expected in cases:
        assert (await scripted.call("POST", PATH, **request)).refusal == expected
    no_file = aiohttp.FormData({"model": "whisper-1"}, default_to_multipart=True)
    assert (await scripted.call("POST", PATH, data=no_file)).refusal == (400, "missing_file")
    assert (await scripted.send(b"")).refusal == (400, "audio_empty")


async def test_too_many_bytes_are_refused_by_claim_and_by_count(serve):
    """With a Content-Length and without one."""
    async with serve(model="fake:0", max_upload_mb=1) as talk:
        assert (await talk.send(bytes(3_000_000))).refusal == (413, "body_too_large")

        async def chunks():
            yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
            for _ in range(30):
                yield bytes(100_000)
            yield b"\r\n--b--\r\n"

        headers = {"Content-Type": "multipart/form-data; boundary=b"}
        response = await talk.call("POST", PATH, data=chunks(), headers=headers)
        assert response.refusal == (413, "body_too_large")


@pytest.mark.real
async def test_the_plain_form_answers_its_own_way(digits, clips):
    """`/transcribe`: a part named `audio`, and an answer with confidence and times."""
    form = aiohttp.FormData()
    form.add_field("audio", clips[GEORGE], filename="a.wav")
    answer = (await digits.call("POST", "/transcribe?language=en", data=form)).json
    assert answer["transcript"] == GEORGE_TEXT
    assert 0.9 < answer["confidence"] <= 1
    assert set(answer["processing_time"]) == {"preprocess_ms", "transcribe_ms", "total_ms"}


@pytest.mark.real
@pytest.mark.parametrize("output", ["txt", "vtt", "srt", "tsv", "json"])
async def test_the_asr_form_answers_in_five_formats(digits, clips, output):
    """`/asr`: a part named `audio_file`, everything else in the query."""
    form = aiohttp.FormData()
    form.add_field("audio_file", clips[GEORGE], filename="a.wav")
    response = await digits.call("POST", f"/asr?output={output}&task=transcribe&encode=true", data=form)
    assert response.status == 200
    assert GEORGE_TEXT in response.text


@pytest.mark.real
async def test_the_inference_form_is_answered_as_openais_route_is(digits, clips):
    """`/inference`, as the clients of whisper.cpp's server send it; what the model cannot do is said."""
    answers = {}
    for path in ("/inference", "/v1/audio/transcriptions"):
        form = aiohttp.FormData({"temperature": "0.0", "temperature_inc": "0.2", "response_format": "srt"})
        form.add_field("file", clips[GEORGE], filename="a.wav")
        answers[path] = (await digits.call("POST", path, data=form)).text
    assert GEORGE_TEXT in answers["/inference"] == answers["/v1/audio/transcriptions"]

    form = aiohttp.FormData({"translate": "true"})
    form.add_field("file", clips[GEORGE], filename="a.wav")
    refused = await digits.call("POST", "/inference", data=form)
    assert (refused.status, refused.json["error"]["code"]) == (400, "model_not_capable")


async def test_every_route_answers_without_v1_and_with_a_slash(scripted):
    """Clients' base URLs differ."""
    for path in ("/audio/transcriptions", "/v1/audio/transcriptions/", "/audio/transcriptions/"):
        assert (await scripted.send(TONE, path)).status == 200
    assert (await scripted.get("/models"))["object"] == "list"


async def test_metrics_count_each_request_once(scripted):
    """By outcome, with units in the names."""
    await scripted.send(TONE)
    await scripted.send(b"")
    page = (await scripted.call("GET", "/metrics")).text
    assert 'fleet_worker_requests_total{code="ok"} 1.0' in page
    assert 'fleet_worker_requests_total{code="audio_empty"} 1.0' in page
    assert "fleet_worker_audio_seconds_total 2.0" in page


@pytest.mark.real
async def test_the_answer_and_every_log_line_say_where_the_time_went(digits, clips, caplog):
    """One request id on the worker's line and on its decode child's; the stages add up to no more than the whole."""
    caplog.set_level(logging.INFO)
    flac = make.encoded(clips[GEORGE], "flac", "flac")
    handler = logging.Handler()
    seen = []
    handler.emit = lambda record: seen.append((record.name, log.extras(record)))
    logging.getLogger("worker").addHandler(handler)
    try:
        answer = await digits.send(flac, headers={"X-Request-Id": "req-seen"})
    finally:
        logging.getLogger("worker").removeHandler(handler)

    stages = Stages.from_header(answer.headers["Server-Timing"])
    assert min(stages.decode_s, stages.encode_s, stages.generate_s) > 0
    assert stages.encode_s + stages.generate_s <= stages.engine_s + 0.001
    assert stages.decode_s + stages.engine_s <= stages.total_s + 0.001
    lines = {name: extras for name, extras in seen if extras.get("request_id") == "req-seen"}
    assert set(lines) == {"worker.decode", "worker.access"}
    assert lines["worker.decode"]["child"] > 0
    assert lines["worker.access"]["engine_ms"] == round(1000 * stages.engine_s, 1)
    assert lines["worker.access"]["code"] == "ok"
