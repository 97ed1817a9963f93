"""The official Python client, strict about every type, against a real fleet with a real model."""

import srt
import webvtt
from openai import BadRequestError, NotFoundError, OpenAI
from pytest import approx, fixture, mark, raises

pytestmark = mark.real


@fixture
def client(fleet):
    """The client as a user makes it."""
    with OpenAI(
        base_url=f"{fleet.url}/v1", api_key="any", _strict_response_validation=True, max_retries=0, timeout=60
    ) as client:
        yield client


@fixture
def ask(client, clips):
    """Transcribe a clip; the client's own answer, and what was said."""

    def transcribe(name="phone-number-george.wav", **fields):
        with clips[name]["path"].open("rb") as file:
            return client.audio.transcriptions.create(model="whisper-1", file=file, **fields), clips[name]

    return transcribe


@mark.parametrize(
    "name", ["digits-short-george.wav", "digits-short-theo.wav", "phone-number-jackson.wav", "half-minute.wav"]
)
def test_json(ask, name):
    """The words that were said, and the seconds."""
    answer, clip = ask(name)

    assert answer.text == clip["text"]
    assert answer.usage.type == "duration"
    assert answer.usage.seconds == approx(clip["duration_s"], abs=1)


def test_a_prompt_of_other_words_loses_none_that_were_said(ask):
    """As some clients send with every call: names and jargon."""
    answer, clip = ask(prompt="Names: Anna, Bjorn. Jargon: kubectl.")
    assert answer.text == clip["text"]


def test_text(ask):
    """A bare string."""
    answer, clip = ask(response_format="text")
    assert answer == f"{clip['text']}\n"


def test_srt_and_vtt(ask):
    """Subtitles that other people's parsers read, whose cues together say what was said."""
    body, clip = ask("half-minute.wav", response_format="srt")
    cues = list(srt.parse(body))
    assert " ".join(cue.content for cue in cues) == clip["text"]
    assert [cue.index for cue in cues] == list(range(1, len(cues) + 1))

    body, clip = ask("half-minute.wav", response_format="vtt")
    assert " ".join(cue.text for cue in webvtt.from_string(body)) == clip["text"]


def test_verbose_json_with_segments(ask):
    """Every field of every segment has its type; times are in order, near the truth, and inside the clip."""
    answer, clip = ask("half-minute.wav", response_format="verbose_json", timestamp_granularities=["segment"])

    assert answer.text == clip["text"]
    assert answer.language == "english"
    assert float(answer.duration) == approx(clip["duration_s"], abs=0.1)
    assert answer.words is None
    assert [segment.id for segment in answer.segments] == list(range(len(answer.segments)))
    assert len(answer.segments) == len(clip["segments"])
    for found, said in zip(answer.segments, clip["segments"], strict=True):
        assert 0 <= found.start <= found.end <= clip["duration_s"] + 0.1
        assert found.start == approx(said["start"], abs=0.5)


def test_verbose_json_with_words(ask):
    """Each word once, in order of time; no segments, as OpenAI answers."""
    answer, clip = ask(response_format="verbose_json", timestamp_granularities=["word"])

    assert [word.word for word in answer.words] == clip["text"].split()
    starts = [word.start for word in answer.words]
    assert starts == sorted(starts)
    assert answer.segments is None


def test_verbose_json_with_both(ask):
    """Words and segments."""
    answer, _ = ask(response_format="verbose_json", timestamp_granularities=["segment", "word"])
    assert answer.words
    assert answer.segments


def test_stream(ask):
    """Deltas add up to the text of the one done event, which is last."""
    stream, clip = ask("half-minute.wav", stream=True)
    events = list(stream)

    assert [event.type for event in events[:-1]] == ["transcript.text.delta"] * (len(events) - 1)
    assert events[-1].type == "transcript.text.done"
    assert "".join(event.delta for event in events[:-1]) == events[-1].text == clip["text"]
    assert len(events) > 2


def test_logprobs(ask):
    """As asked for with include[]."""
    answer, _ = ask(include=["logprobs"])
    assert all(entry.logprob <= 0 for entry in answer.logprobs)


def test_headers(client, clips):
    """Who answered, after how many tries, and the caller's own request id."""
    with clips["digits-short-george.wav"]["path"].open("rb") as file:
        raw = client.audio.transcriptions.with_raw_response.create(
            model="whisper-1", file=file, extra_headers={"X-Request-Id": "mine-1"}
        )

    assert raw.headers["X-Request-Id"] == "mine-1"
    assert raw.headers["X-Fleet-Worker"] in {"worker-1", "worker-2"}
    assert raw.headers["X-Fleet-Attempts"] == "1"
    assert float(raw.headers["X-Fleet-Queue-Ms"]) >= 0


@mark.filterwarnings("ignore:deprecated:DeprecationWarning")  # the SDK's word about the hosted service's translations
def test_translation_is_refused_by_an_english_model(client, clips):
    """With the code that says why."""
    with clips["digits-short-george.wav"]["path"].open("rb") as file, raises(BadRequestError) as caught:
        client.audio.translations.create(model="whisper-1", file=file)
    assert caught.value.code == "model_not_capable"


def test_models(client):
    """What is loaded, and the alias; another name is the SDK's NotFoundError."""
    names = [model.id for model in client.models.list()]
    assert names == ["spoken-digits", "whisper-1"]
    assert client.models.retrieve("spoken-digits").id == "spoken-digits"
    with raises(NotFoundError) as caught:
        client.models.retrieve("nonsense")
    assert caught.value.code == "model_not_found"


def test_what_is_no_audio(client):
    """OpenAI's own sentence about formats."""
    with raises(BadRequestError) as caught:
        client.audio.transcriptions.create(model="whisper-1", file=("a.wav", b"no audio at all" * 100))
    assert caught.value.param == "file"
    assert "Supported formats" in caught.value.message


def test_unknown_model(client, clips):
    """404 with OpenAI's code."""
    with clips["digits-short-george.wav"]["path"].open("rb") as file, raises(NotFoundError) as caught:
        client.audio.transcriptions.create(model="whisper-9", file=file)
    assert caught.value.code == "model_not_found"
