"""Request, settings, card: who wins."""

import pytest

from fleet.errors import BadRequest
from fleet.fields import TranscriptionRequest, Vad
from worker.card import ModelCard
from worker.decoding import decode_options, ignored
from worker.settings import WorkerSettings
from worker.window import EngineFacts


def facts(card: ModelCard | None = None, languages: tuple[str, ...] = ("en", "de"), can_translate: bool = True):
    return EngineFacts(
        model="m",
        device="cpu",
        compute_type="int8",
        languages=languages,
        can_translate=can_translate,
        is_scripted=False,
        card=card or ModelCard(),
    )


def test_the_request_wins_over_the_setting_and_that_over_the_card():
    """Request field > setting > card > default."""
    card = facts(ModelCard(beam_size=3, vad_threshold=0.4))
    asked = TranscriptionRequest(beam_size=1, vad=Vad(threshold=0.9))
    plain = TranscriptionRequest()
    settings = WorkerSettings(beam_size=2, vad_threshold=0.6)
    assert [
        decode_options(asked, settings, card).beam_size,
        decode_options(plain, settings, card).beam_size,
        decode_options(plain, WorkerSettings(), card).beam_size,
        decode_options(plain, WorkerSettings(), facts()).beam_size,
    ] == [1, 2, 3, 5]
    thresholds = [decode_options(one, two, card).vad.threshold for one, two in [(asked, settings), (plain, settings)]]
    assert thresholds == [0.9, 0.6]


@pytest.mark.parametrize(
    ("asked", "languages", "named"),
    [
        (TranscriptionRequest(language="fr"), ("en",), ("language",)),
        (TranscriptionRequest(language="en"), ("en",), ()),
        (TranscriptionRequest(), ("en",), ()),
        (TranscriptionRequest(language="de"), ("en", "de"), ()),
        (TranscriptionRequest(languages=("fr", "it")), ("en", "de"), ("languages",)),
        (TranscriptionRequest(languages=("fr", "de")), ("en", "de"), ()),
        (TranscriptionRequest(prompt="Ann", hotwords="Bob"), ("en",), ()),
    ],
)
def test_what_means_nothing_to_the_model_is_named(asked, languages, named):
    """And only that: a caller who always sends its language learns what became of it."""
    assert ignored(asked, facts(languages=languages)) == named


def test_words_before_the_speech_reach_the_model():
    """A prompt and hotwords, as they were sent."""
    asked = TranscriptionRequest(prompt="Ann, kubectl", hotwords="Bob")
    general = decode_options(asked, WorkerSettings(), facts())
    assert (general.prompt, general.hotwords) == ("Ann, kubectl", "Bob")


def test_the_card_says_how_sure_a_model_must_be():
    """Its thresholds stand where no setting does; without a card they are Whisper's own."""
    sure = facts(ModelCard(log_prob_threshold=-0.2, no_speech_threshold=-1.0))
    given = WorkerSettings(log_prob_threshold=-3, no_speech_threshold=0.5)
    thresholds = [
        (options.log_prob_threshold, options.no_speech_threshold)
        for options in [
            decode_options(TranscriptionRequest(), WorkerSettings(), facts()),
            decode_options(TranscriptionRequest(), WorkerSettings(), sure),
            decode_options(TranscriptionRequest(), given, sure),
        ]
    ]
    assert thresholds == [(-1.0, 0.6), (-0.2, -1.0), (-3, 0.5)]


def test_vad_off_is_sequential():
    """Without voice activity, or with conditioning, a clip cannot be cut up front."""
    assert decode_options(TranscriptionRequest(vad=Vad(is_on=False)), WorkerSettings(), facts()).is_sequential
    assert decode_options(
        TranscriptionRequest(condition_on_previous_text=True), WorkerSettings(), facts()
    ).is_sequential
    assert not decode_options(TranscriptionRequest(), WorkerSettings(), facts()).is_sequential


def test_temperature_zero_is_the_ladder():
    """0 is what clients send for "as usual"; above 0 is meant; TEMPERATURE_FALLBACK=false has one try."""
    ladder = ModelCard().temperatures
    plain = TranscriptionRequest(temperature=0.0)
    assert decode_options(plain, WorkerSettings(), facts()).temperatures == ladder
    assert decode_options(TranscriptionRequest(temperature=0.7), WorkerSettings(), facts()).temperatures == (0.7,)
    assert decode_options(plain, WorkerSettings(temperature_fallback=False), facts()).temperatures == (0.0,)


def test_an_english_only_model_refuses_to_translate():
    """`model_not_capable`, not a transcript that claims to be a translation."""
    with pytest.raises(BadRequest) as refused:
        decode_options(TranscriptionRequest(task="translate"), WorkerSettings(), facts(can_translate=False))
    assert refused.value.code == "model_not_capable"


def test_an_english_only_model_hears_english():
    """Its language is known, whatever was asked for."""
    english = facts(languages=("en",))
    assert decode_options(TranscriptionRequest(language="de"), WorkerSettings(), english).language == "en"
    assert decode_options(TranscriptionRequest(), WorkerSettings(language="de"), facts()).language == "de"
    assert (
        decode_options(TranscriptionRequest(languages=("en",)), WorkerSettings(language="de"), facts()).language is None
    )


def test_a_model_that_knows_one_chinese_hears_that_one():
    """`zh-HK` is Cantonese where the model can, and no error where it was made before it could."""
    hong_kong = TranscriptionRequest(language="yue", languages=("yue", "en"))
    older = decode_options(hong_kong, WorkerSettings(), facts(languages=("en", "zh")))
    newer = decode_options(hong_kong, WorkerSettings(), facts(languages=("en", "zh", "yue")))
    assert (older.language, older.languages) == ("zh", ("zh", "en"))
    assert (newer.language, newer.languages) == ("yue", ("yue", "en"))
    with pytest.raises(BadRequest):
        decode_options(hong_kong, WorkerSettings(), facts())
