"""From clip to segments."""

import io
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from fleet.fields import parse_request
from worker import fake
from worker.batcher import Batcher
from worker.clip import AudioLimits, Clip
from worker.decoding import decode_options
from worker.settings import WorkerSettings
from worker.transcribe import Progress, Transcriber


class NothingHeard(fake.ScriptedEngine):
    """An engine whose voice activity detection finds silence; a model call is a failure."""

    def plan(self, samples, options, is_cancelled):
        return []

    def run(self, pieces, is_cancelled):
        raise AssertionError("silence cost a model call")


@pytest.fixture
def transcriber_of():
    """Transcribers, stopped at the end."""
    stops = []

    def build(engine):
        batcher = Batcher(engine, windows_per_call=1)
        batcher.start()
        made = Transcriber(engine, batcher, fake.decode, limits=AudioLimits(), threads=1)
        stops.extend([made.close, batcher.stop])
        return made

    yield build
    for stop in stops:
        stop()


def options():
    facts = fake.ScriptedEngine("fake", 0.0).facts
    return decode_options(parse_request([]), WorkerSettings(), facts)


async def test_silence_costs_no_model_call_and_gives_empty_text(transcriber_of):
    """Never an error, never an invention."""
    progress = Progress()
    transcriber = transcriber_of(NothingHeard("fake", 0.0))
    clip = Clip(np.zeros(32_000, np.float32))

    assert [one async for one in transcriber.segments(clip, options(), progress)] == []
    assert progress.transcript("m").text == ""


class HeardLate(fake.ScriptedEngine):
    """Hears a language in the first window, where nothing is said; the later ones are told it."""

    def run(self, pieces, is_cancelled):
        return [
            replace(result, segments=(), language="de", language_probability=0.4)
            if piece.window.is_first
            else replace(result, language="de")
            for piece, result in zip(pieces, super().run(pieces, is_cancelled), strict=True)
        ]


async def test_the_language_is_as_sure_as_it_was_when_it_was_heard(transcriber_of):
    """Not as sure as the windows after it, which did not ask."""
    progress = Progress()
    transcriber = transcriber_of(HeardLate("fake", 0.0))
    clip = Clip(np.zeros(32_000, np.float32))

    assert [one async for one in transcriber.segments(clip, replace(options(), language=None), progress)]
    assert (progress.language, progress.language_probability) == ("de", 0.4)


async def test_the_transcript_is_what_was_streamed(transcriber_of):
    """Ids from 0, times that never go back, the decoded length."""
    progress = Progress()
    transcriber = transcriber_of(fake.ScriptedEngine("fake", 0.0))
    clip = await transcriber.decode(io.BytesIO(bytes(range(256)) * 500), progress)

    streamed = [one async for one in transcriber.segments(clip, options(), progress)]

    transcript = progress.transcript("m")
    assert transcript.segments == tuple(streamed)
    assert [one.id for one in streamed] == [0, 1, 2]
    assert all(first.end <= second.start for first, second in pairwise(streamed))
    assert transcript.duration_s == 4.0
