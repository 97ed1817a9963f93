"""Several languages in one model: told or heard, alone and beside others (worker/engine.py on a multilingual model)."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from faster_whisper import WhisperModel

from tests.worker import random_whisper
from worker.engine import WhisperEngine
from worker.window import RATE, DecodeOptions, Piece, Region, Samples, Window

pytestmark = pytest.mark.real

OPTIONS = DecodeOptions(no_speech_threshold=2.0, log_prob_threshold=-100.0)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("random-whisper")
    random_whisper.build(path, is_multilingual=True)
    return path


@pytest.fixture(scope="module")
def engine(directory: Path) -> WhisperEngine:
    return random_whisper.loaded(directory)


@pytest.fixture(scope="module")
def clip() -> Samples:
    return np.random.default_rng(3).normal(0, 0.1, 30 * RATE).astype(np.float32)


def piece(clip: Samples, start_s: int, options: DecodeOptions) -> Piece:
    start, end = start_s * RATE, (start_s + 5) * RATE
    return Piece(clip, Window(start, end, (Region(start, end, start, end),)), options)


def run(engine: WhisperEngine, *pieces: Piece) -> list[tuple[str, float, list[str]]]:
    """Language, how sure, and texts of each."""
    results = engine.run(pieces, lambda: False)
    return [(one.language, one.language_probability, [each.text for each in one.segments]) for one in results]


def test_its_languages_are_those_that_it_has_tokens_for(engine):
    """faster-whisper says a hundred, Cantonese among them."""
    assert set(engine.facts.languages) == set(random_whisper.TONGUES)
    assert engine.facts.can_translate


@pytest.mark.parametrize(
    ("place", "can"), [("turbo/large-v3", True), ("large-v3-turbo", False), ("My-Large-V3-Turbo", False)]
)
def test_turbo_models_do_not_translate(directory, tmp_path, place, can):
    """They were trained without translations. Their own name says it, and no folder that they happen to lie in."""
    path = tmp_path / place
    path.parent.mkdir(exist_ok=True)
    path.symlink_to(directory)
    assert random_whisper.loaded(path).facts.can_translate is can


def test_a_language_is_heard_as_faster_whisper_hears_it(engine, directory, clip):
    """The same one, about as sure (it looks a frame past the window); a language that was told is certain."""
    reference = WhisperModel(str(directory), device="cpu", compute_type="int8", cpu_threads=1)
    heard, probability, _ = reference.detect_language(clip[: 5 * RATE])
    ((language, surety, _),) = run(engine, piece(clip, 0, OPTIONS))
    assert (language, surety) == (heard, pytest.approx(probability, abs=0.02))
    ((language, surety, _),) = run(engine, piece(clip, 0, replace(OPTIONS, language="fr")))
    assert (language, surety) == ("fr", 1.0)


@pytest.mark.parametrize("allowed", [("de",), ("fr", "de"), ("de", "xx")])
def test_among_several_the_likeliest_is_heard(engine, clip, allowed):
    """And none that was not allowed."""
    ((language, surety, _),) = run(engine, piece(clip, 0, replace(OPTIONS, languages=allowed)))
    assert language in allowed
    assert 0 < surety < 1


def test_languages_and_tasks_share_a_call_and_do_not_mix(engine, clip):
    """Each window says what it says alone."""
    wanted = [
        OPTIONS,
        replace(OPTIONS, language="de"),
        replace(OPTIONS, languages=("fr",)),
        replace(OPTIONS, language="fr", task="translate"),
    ]
    pieces = [piece(clip, 5 * number, options) for number, options in enumerate(wanted)]
    assert len({engine.key(one) for one in pieces}) == 1
    assert run(engine, *pieces) == [run(engine, one)[0] for one in pieces]


def test_a_sequential_clip_hears_its_language_once(engine, clip):
    """Among the allowed ones, and the same in every step."""
    for options, found in ((replace(OPTIONS, languages=("de",)), {"de"}), (replace(OPTIONS, language="fr"), {"fr"})):
        assert {result.language for result in engine.sequential(clip[: 10 * RATE], options)} == found
