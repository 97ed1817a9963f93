"""What a caller wants, in both shapes."""

import pytest

from fleet.errors import BadRequest
from router.realtime.config import Config, Encoding, TurnDetection, beta_updated, updated

AUDIO = {
    "format": {"type": "audio/pcmu"},
    "transcription": {"model": "whisper-1", "language": "en", "prompt": "digits", "keywords": ["one", "two"]},
    "turn_detection": {"type": "server_vad", "threshold": 0.7, "silence_duration_ms": 200},
    "noise_reduction": {"type": "near_field"},
}
WANTED = Config(
    encoding=Encoding.PCMU,
    turn_detection=TurnDetection(threshold=0.7, silence_duration_ms=200),
    model="whisper-1",
    language="en",
    prompt="digits",
    keywords=("one", "two"),
    wants_logprobs=True,
)
INCLUDE = ["item.input_audio_transcription.logprobs"]


def test_both_shapes_say_the_same():
    """Nested today, flat in the beta."""
    assert updated(Config(), {"type": "transcription", "audio": {"input": AUDIO}, "include": INCLUDE}) == WANTED
    flat = {
        "input_audio_format": "g711_ulaw",
        "input_audio_transcription": AUDIO["transcription"],
        "turn_detection": AUDIO["turn_detection"],
        "include": INCLUDE,
    }
    assert beta_updated(Config(), flat) == WANTED


def test_what_is_shown_can_be_sent_back():
    """The effective config, sent as an update, changes nothing; noise reduction is shown as off, as it is."""
    shown = WANTED.to_json()
    assert updated(Config(), shown) == WANTED
    assert beta_updated(Config(), WANTED.to_beta_json()) == WANTED
    assert shown["audio"]["input"]["noise_reduction"] is None


def test_what_is_not_given_stays():
    """An empty update, and one that names other keys."""
    assert updated(WANTED, {}) == WANTED
    assert updated(WANTED, {"audio": None, "unknown": 1}) == WANTED
    changed = updated(WANTED, {"audio": {"input": {"transcription": {"language": None}}}})
    assert (changed.language, changed.prompt) == (None, "digits")


def test_turn_detection_can_be_turned_off_and_guessed():
    """null: the caller commits. What a model would judge by the words is a longer or shorter silence, and says so."""
    assert updated(Config(), {"audio": {"input": {"turn_detection": None}}}).turn_detection is None
    semantic = updated(Config(), {"audio": {"input": {"turn_detection": {"type": "semantic_vad", "eagerness": "low"}}}})
    assert semantic.to_json()["audio"]["input"]["turn_detection"]["silence_duration_ms"] == 1500


def test_wishes_become_the_fields_of_a_request():
    """What is not wished for is not sent."""
    assert Config().fields() == []
    assert WANTED.fields()[-2:] == [("keywords[]", "one"), ("keywords[]", "two")]
    assert ("language", "en") in WANTED.fields()


@pytest.mark.parametrize(
    ("session", "param"),
    [
        ({"type": "realtime"}, "session.type"),
        ({"audio": 1}, "session.audio"),
        ({"audio": {"input": []}}, "session.audio.input"),
        ({"audio": {"input": {"format": {"type": "audio/opus"}}}}, "session.audio.input.format.type"),
        ({"audio": {"input": {"format": {"type": ["x"]}}}}, "session.audio.input.format.type"),
        ({"audio": {"input": {"format": {"type": "audio/pcm", "rate": 16000}}}}, "session.audio.input.format.rate"),
        ({"audio": {"input": {"transcription": {"model": 5}}}}, "session.audio.input.transcription.model"),
        ({"audio": {"input": {"transcription": {"prompt": "x" * 5000}}}}, "session.audio.input.transcription.prompt"),
        ({"audio": {"input": {"transcription": {"prompt": "\ud800"}}}}, "session.audio.input.transcription.prompt"),
        ({"audio": {"input": {"transcription": {"keywords": "a"}}}}, "session.audio.input.transcription.keywords"),
        (
            {"audio": {"input": {"turn_detection": {"threshold": 10**400}}}},
            "session.audio.input.turn_detection.threshold",
        ),
        ({"audio": {"input": {"turn_detection": {"type": "magic"}}}}, "session.audio.input.turn_detection.type"),
        (
            {"audio": {"input": {"turn_detection": {"type": "semantic_vad", "eagerness": ["low"]}}}},
            "session.audio.input.turn_detection.eagerness",
        ),
        (
            {"audio": {"input": {"turn_detection": {"threshold": float("nan")}}}},
            "session.audio.input.turn_detection.threshold",
        ),
        (
            {"audio": {"input": {"turn_detection": {"silence_duration_ms": True}}}},
            "session.audio.input.turn_detection.silence_duration_ms",
        ),
        (
            {"audio": {"input": {"turn_detection": {"prefix_padding_ms": 10**9}}}},
            "session.audio.input.turn_detection.prefix_padding_ms",
        ),
        ({"include": [3]}, "session.include"),
    ],
)
def test_what_is_wrong_is_named(session: dict, param: str):
    """By its path, whatever its type."""
    with pytest.raises(BadRequest) as caught:
        updated(Config(), session)
    assert caught.value.param == param
