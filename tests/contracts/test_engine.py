"""What every engine promises, held against the real one and the scripted one."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fleet.fields import TranscriptionRequest
from fleet.wire import Segment
from worker import audio
from worker.clip import AudioLimits
from worker.decoding import decode_options
from worker.engine import WhisperEngine
from worker.fake import ScriptedEngine
from worker.settings import WorkerSettings
from worker.window import RATE, WINDOW_S, DecodeOptions, Engine, Piece, Samples

CLIP = Path(__file__).parents[2] / "samples" / "half-minute.wav"

pytestmark = pytest.mark.real


def still_wanted() -> bool:
    return False


@pytest.fixture(scope="module", params=["spoken-digits", "fake:0"])
def engine(request: pytest.FixtureRequest) -> Engine:
    settings = WorkerSettings(model=request.param, cpu_threads=1)
    made: Engine = ScriptedEngine(settings.model, 0) if settings.scripted_s is not None else WhisperEngine(settings)
    made.load()
    return made


@pytest.fixture(scope="module")
def clip() -> Samples:
    with CLIP.open("rb") as file:
        return audio.decode(file, AudioLimits()).samples


def options_for(engine: Engine, **request: object) -> DecodeOptions:
    return decode_options(TranscriptionRequest(**request), WorkerSettings(), engine.facts)


def transcribed(engine: Engine, clip: Samples, options: DecodeOptions) -> list[Segment]:
    pieces = [Piece(clip, window, options) for window in engine.plan(clip, options, still_wanted)]
    return [segment for piece in pieces for one in engine.run([piece], still_wanted) for segment in one.segments]


def text(segments: Sequence[Segment]) -> str:
    return "".join(segment.text for segment in segments)


def test_facts_are_known_once_loaded(engine: Engine):
    """Model, device and languages."""
    assert engine.facts.device == engine.device == "cpu"
    assert "en" in engine.facts.languages


def test_windows_are_ordered_inside_the_clip_and_fit_the_model(engine: Engine, clip: Samples):
    """Only the first is the first; none is longer than 30 s."""
    windows = engine.plan(clip, options_for(engine), still_wanted)
    assert [window.is_first for window in windows] == [True] + [False] * (len(windows) - 1)
    last = 0
    for window in windows:
        assert last <= window.start < window.end <= len(clip)
        assert window.end - window.start <= WINDOW_S * RATE
        last = window.end


def test_segments_are_ordered_inside_the_clip(engine: Engine, clip: Samples):
    """Start, end and words, of every segment."""
    last = 0.0
    for segment in transcribed(engine, clip, options_for(engine, wants_words=True)):
        assert last <= segment.start <= segment.end <= len(clip) / RATE
        last = segment.end
        at = segment.start
        assert segment.words is not None
        assert "".join(word.word for word in segment.words).split() == segment.text.split()
        for word in segment.words:
            assert at <= word.start <= word.end <= segment.end
            at = word.end


def test_words_last_for_a_while(engine: Engine, clip: Samples):
    """Aligned by the wrong attention heads, half of the words here begin and end at once."""
    segments = transcribed(engine, clip, options_for(engine, wants_words=True))
    words = [word for segment in segments for word in segment.words or ()]
    assert words
    assert sum(word.start == word.end for word in words) <= len(words) / 20  # processors round differently


def test_words_only_when_asked(engine: Engine, clip: Samples):
    """Alignment costs; nobody pays who does not ask."""
    assert all(segment.words is None for segment in transcribed(engine, clip, options_for(engine)))


def test_the_same_text_every_time_and_in_company(engine: Engine, clip: Samples):
    """Windows that share a call say what they say alone."""
    options = options_for(engine)
    pieces = [Piece(clip, window, options) for window in engine.plan(clip, options, still_wanted)]
    alone = {piece.window.start: text(engine.run([piece], still_wanted)[0].segments) for piece in pieces}
    keys = {engine.key(piece) for piece in pieces}
    for key in keys:
        sharing = [piece for piece in pieces if engine.key(piece) == key]
        for piece, result in zip(sharing, engine.run(sharing, still_wanted), strict=True):
            assert text(result.segments) == alone[piece.window.start]


def test_no_audio_is_no_windows(engine: Engine):
    """Nothing in, nothing out, no error."""
    assert engine.plan(np.zeros(0, np.float32), options_for(engine), still_wanted) == []


def test_sequential_gives_segments_step_by_step(engine: Engine, clip: Samples):
    """The other way through the engine has segments too, in order."""
    options = replace(options_for(engine), condition_on_previous_text=True)
    found = [segment for result in engine.sequential(clip[: 5 * RATE], options) for segment in result.segments]
    assert found
    assert all(segment.end <= 5.0 for segment in found)
