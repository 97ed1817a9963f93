"""The real engine on a general model: timestamps, fallback, words; the same as faster-whisper does it alone."""

import logging
import random
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from faster_whisper import WhisperModel

from fleet.serve import StartupError
from fleet.wire import Word
from tests.worker import random_whisper
from worker import audio, fallback
from worker import engine as worker_engine
from worker.clip import AudioLimits
from worker.engine import WhisperEngine
from worker.fallback import Attempt
from worker.segments import Draft
from worker.settings import WorkerSettings
from worker.window import RATE, DecodeOptions, EngineBroken, Piece, Region, Samples, Window

CLIP = Path(__file__).parents[2] / "samples" / "half-minute.wav"
OPTIONS = DecodeOptions(language="en", no_speech_threshold=2.0, log_prob_threshold=-100.0)

pytestmark = pytest.mark.real


def still_wanted() -> bool:
    return False


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("random-whisper")
    random_whisper.build(path)
    return path


@pytest.fixture(scope="module")
def engine(directory: Path) -> WhisperEngine:
    return random_whisper.loaded(directory)


@pytest.fixture(scope="module")
def clip() -> Samples:
    with CLIP.open("rb") as file:
        samples = audio.decode(file, AudioLimits()).samples
    return np.tile(samples, 2)[: 30 * RATE]  # a whole window, so that no timestamp lies beyond the clip


def piece(clip: Samples, start_s: float, end_s: float, options: DecodeOptions = OPTIONS) -> Piece:
    start, end = round(start_s * RATE), min(round(end_s * RATE), len(clip))
    return Piece(clip, Window(start, end, (Region(start, end, start, end),), is_first=True), options)


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"beam_size": 1},
        {"wants_words": True},
        {"prompt": "w1 w2", "hotwords": "w3"},
        {"no_repeat_ngram_size": 2, "repetition_penalty": 1.3},
    ],
)
def test_a_window_is_decoded_as_faster_whisper_decodes_it(engine, directory, clip, more):
    """Same text, tokens and probabilities; with the model's own timestamps the same times."""
    options = replace(OPTIONS, **more)
    reference = WhisperModel(str(directory), device="cpu", compute_type="int8", cpu_threads=1)
    segments, _ = reference.transcribe(
        clip,
        language="en",
        temperature=0.0,
        no_speech_threshold=2.0,
        log_prob_threshold=-100.0,
        condition_on_previous_text=False,
        beam_size=options.beam_size,
        word_timestamps=options.wants_words,
        initial_prompt=options.prompt,
        hotwords=options.hotwords,
        without_timestamps=options.without_timestamps,
        no_repeat_ngram_size=options.no_repeat_ngram_size,
        repetition_penalty=options.repetition_penalty,
    )
    theirs = list(segments)
    ours = engine.run([piece(clip, 0, 60, options)], still_wanted)[0].segments
    assert ours
    for one, other in zip(ours, theirs, strict=False):
        assert (one.text, list(one.tokens)) == (other.text, other.tokens)
        assert one.avg_logprob == pytest.approx(other.avg_logprob, abs=1e-4)
        if not options.wants_words:
            assert (one.start, one.end) == pytest.approx((other.start, min(other.end, len(clip) / RATE)), abs=0.011)


@pytest.mark.parametrize("is_sequential", [False, True])
def test_a_full_prompt_and_many_hotwords_leave_room_for_an_answer(engine, clip, is_sequential):
    """Whisper has 448 tokens in all; what is too much of the hotwords is left out."""
    options = replace(OPTIONS, prompt="w1 " * 600, hotwords="w2 " * 600)
    if is_sequential:
        assert list(engine.sequential(clip, replace(options, vad=None, condition_on_previous_text=True)))
    else:
        assert engine.run([piece(clip, 0, 60, options)], still_wanted)[0].segments


def test_prompts_of_one_length_share_a_call_whatever_is_in_them(engine, clip):
    """Nobody can spell a token that makes CTranslate2 refuse the whole call, and with it somebody else's window."""
    spelled = "<|startoftranscript|>"
    pieces = [piece(clip, at, at + 5, replace(OPTIONS, prompt=text)) for at, text in ((0, spelled), (5, "x" * 21))]
    assert engine.key(pieces[0]) == engine.key(pieces[1])
    assert len(engine.run(pieces, still_wanted)) == 2


def test_windows_that_share_a_call_say_what_they_say_alone(engine, clip):
    """Three windows of a clip, together and one by one."""
    pieces = [piece(clip, at, at + 5) for at in (0, 5, 10)]
    together = engine.run(pieces, still_wanted)
    alone = [engine.run([one], still_wanted)[0] for one in pieces]
    assert [[s.tokens for s in result.segments] for result in together] == [
        [s.tokens for s in result.segments] for result in alone
    ]


def test_an_improbable_text_climbs_the_ladder(engine, clip):
    """Random weights are never sure: every temperature is tried, and the best of them answered."""
    options = replace(OPTIONS, temperatures=(0.0, 0.4, 0.8), log_prob_threshold=-0.01)
    segments = engine.run([piece(clip, 0, 5, options)], still_wanted)[0].segments
    assert all(segment.temperature in options.temperatures for segment in segments)
    greedy = engine.run([piece(clip, 0, 5)], still_wanted)[0].segments
    assert max(s.avg_logprob for s in segments) >= min(s.avg_logprob for s in greedy)


TEXTS = ("hello there my friend", "la " * 60, "", "na na " * 40, "one two three")


def theirs(said: list[SimpleNamespace], temperatures: tuple[float, ...]) -> tuple[str, float, bool]:
    """Text and probability that faster-whisper keeps of these, and whether it takes them for silence."""
    told, turn = list[SimpleNamespace](), iter(said)
    model = SimpleNamespace(generate=lambda *_, **__: told.append(next(turn)) or told[-1:])
    loop = SimpleNamespace(time_precision=0.02, max_length=448, model=model, logger=logging.getLogger("theirs"))
    options = SimpleNamespace(temperatures=temperatures, compression_ratio_threshold=2.4, log_prob_threshold=-1.0)
    vars(options).update(no_speech_threshold=0.6, max_initial_timestamp=1.0, max_new_tokens=None, best_of=5)
    vars(options).update(dict.fromkeys(("beam_size", "patience", "length_penalty", "repetition_penalty"), 1))
    vars(options).update(no_repeat_ngram_size=0, suppress_blank=True, suppress_tokens=[])
    tokenizer = SimpleNamespace(decode=lambda tokens: told[-1].text)
    kept, logprob, _, _ = WhisperModel.generate_with_fallback(loop, None, [1], tokenizer, options)
    return kept.text, logprob, kept.no_speech_prob > 0.6 and not logprob > -1.0


@pytest.mark.parametrize("seed", range(100))
def test_the_ladder_keeps_what_faster_whisper_keeps(seed, engine, clip, monkeypatch):
    """Whatever comes of each temperature: loops, improbable texts, silence, nothing."""
    rng = random.Random(seed)
    temperatures = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)[: rng.randint(1, 6)]
    said = [
        SimpleNamespace(
            sequences_ids=[list(range(rng.randint(0, 12)))],
            scores=[rng.uniform(-2, 0)],
            no_speech_prob=rng.choice([0.1, 0.7]),
            text=rng.choice(TEXTS),
        )
        for _ in temperatures
    ]
    attempts = [
        replace(worker_engine._attempt(one, heat, engine._tokenizer("en", "transcribe")), text=one.text)
        for one, heat in zip(said, temperatures, strict=True)
    ]
    monkeypatch.setattr(engine, "_decode", lambda *given: [attempts[temperatures.index(given[-1])]])
    options = DecodeOptions(language="en", temperatures=temperatures, without_timestamps=True)
    _, _, kept = engine._finish(piece(clip, 0, 1, options), attempts[0], "en", object(), still_wanted)

    text, logprob, is_silent = theirs(said, temperatures)
    assert (kept.text, kept.avg_logprob) == (text, pytest.approx(logprob))
    assert fallback.is_silence(kept, options) == is_silent


def test_the_ladder_is_left_when_nobody_waits(engine, clip):
    """A cancelled window is not tried again at five temperatures."""
    options = replace(OPTIONS, temperatures=(0.0, 0.4, 0.8), log_prob_threshold=-0.01)
    segments = engine.run([piece(clip, 0, 5, options)], lambda: True)[0].segments
    assert {segment.temperature for segment in segments} <= {0.0}


def test_silence_is_told_by_the_model_too(engine, clip):
    """An improbable text in a window that the model takes for silence is dropped."""
    options = replace(OPTIONS, no_speech_threshold=-1.0, log_prob_threshold=-0.01)
    assert engine.run([piece(clip, 0, 5, options)], still_wanted)[0].segments == ()


def test_a_window_as_short_as_a_sample_is_no_error(engine, clip):
    """Word alignment on next to nothing has killed processes."""
    tiny = Piece(clip, Window(0, 1, (Region(0, 1, 0, 1),)), replace(OPTIONS, wants_words=True))
    engine.run([tiny], still_wanted)


def test_pieces_share_a_call_only_if_frames_and_prompts_are_as_long(engine, clip):
    """CTranslate2 takes one shape a call, and its prompts must end at the same place."""
    auto = replace(OPTIONS, is_auto_context=True)
    assert engine.key(piece(clip, 0, 1.9, auto)) == engine.key(piece(clip, 5, 6.8, auto))
    assert engine.key(piece(clip, 0, 1.9, auto)) != engine.key(piece(clip, 0, 3, auto))
    assert engine.key(piece(clip, 0, 5)) != engine.key(piece(clip, 0, 5, replace(OPTIONS, prompt="w1")))


def test_a_lost_device_is_told_by_both_ways_of_decoding(engine, clip, monkeypatch):
    """Which error says what: tests/worker/test_device.py."""

    def fail(*_, **__):
        raise RuntimeError("CUDA failed with error an illegal memory access was encountered")

    monkeypatch.setattr(engine, "_encode", fail)
    with pytest.raises(EngineBroken):
        engine.run([piece(clip, 0, 5)], still_wanted)
    monkeypatch.setattr(engine._model, "transcribe", fail)
    with pytest.raises(EngineBroken):
        next(engine.sequential(clip, OPTIONS))


@pytest.mark.parametrize(
    ("wanted", "gpus", "chosen"),
    [
        ("auto", 0, ("cpu", "int8")),
        ("auto", 2, ("cuda", "int8_float16")),
        ("cpu", 2, ("cpu", "int8")),
        ("cuda", 1, ("cuda", "int8_float16")),
    ],
)
def test_the_device_is_chosen_and_said(monkeypatch, directory, wanted, gpus, chosen):
    """A GPU where there is one, its number type, and both in the facts; settings win."""
    loaded = []

    class Model:
        """Stands where the weights would be put onto a GPU."""

        def __init__(self, _: str, **options: object) -> None:
            loaded.append(options)
            self.__dict__ = vars(WhisperModel(str(directory), device="cpu", compute_type="int8", cpu_threads=1))
            self.supported_languages = ["en"]

    monkeypatch.setattr(worker_engine.ctranslate2, "get_cuda_device_count", lambda: gpus)
    monkeypatch.setattr(worker_engine, "WhisperModel", Model)
    engine = WhisperEngine(WorkerSettings(model=str(directory), device=wanted))
    engine.load()
    assert (engine.facts.device, engine.facts.compute_type) == chosen
    assert (loaded[0]["device"], loaded[0]["compute_type"]) == chosen


@pytest.mark.parametrize(("name", "content"), [("tokenizer.json", "{"), ("model.bin", ""), ("config.json", "{")])
def test_files_that_cannot_be_read_are_one_sentence(directory, tmp_path, name, content):
    """Whatever library it is that stumbles."""
    for path in directory.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / name).write_text(content)
    with pytest.raises(StartupError, match="could not be loaded"):
        WhisperEngine(WorkerSettings(model=str(tmp_path), cpu_threads=1)).load()


def test_a_window_is_taken_up_again_behind_its_last_word(engine, clip, monkeypatch):
    """As faster-whisper does it: from the model's own timestamp on, the end of that word would be heard once more."""

    def add_words(drafts, *_):
        drafts[0].words = (Word(" one", 0.0, 5.3, 1.0),)

    drafts = [Draft(0, 0.0, 5.0, (1,), " one")]
    monkeypatch.setattr(engine, "_drafts", lambda *_: (drafts, 5 * RATE))
    monkeypatch.setattr(engine, "_add_words", add_words)
    attempt = Attempt(tokens=(1,), text=" one", temperature=0, avg_logprob=0, no_speech_prob=0)
    for wants_words, resume_s in ((True, 5.3), (False, 5.0)):
        wanted = piece(clip, 0, 20, replace(OPTIONS, wants_words=wants_words))
        _, resume_at, _ = engine._finish(wanted, attempt, "en", object(), still_wanted)
        assert resume_at == pytest.approx(resume_s * RATE)


def test_languages_are_those_that_the_model_has_tokens_for(monkeypatch, engine):
    """faster-whisper says that every multilingual model knows Cantonese; without its token the prompt is another."""

    class Tokens:
        """As of a model before large-v3."""

        def token_to_id(self, token: str) -> int | None:
            return {"<|en|>": 1, "<|zh|>": 2}.get(token)

    class Model:
        """Multilingual."""

        supported_languages = ("en", "zh", "yue")
        hf_tokenizer = Tokens()

    assert worker_engine._languages_of(Model()) == ("en", "zh")
    assert engine.facts.languages == ("en",)  # it has no token for its only one


def test_numbers_that_are_none_do_not_occur(engine, clip):
    """Every field of a segment is finite."""
    for segment in engine.run([piece(clip, 0, 5)], still_wanted)[0].segments:
        fields = (segment.start, segment.end, segment.avg_logprob, segment.compression_ratio, segment.no_speech_prob)
        assert np.isfinite(fields).all()
