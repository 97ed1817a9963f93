"""Clips whose words are known."""

import wave
from collections import Counter
from io import BytesIO
from itertools import islice
from pathlib import Path
from random import Random

import pytest

from loadtest import clips


@pytest.fixture(scope="module")
def made() -> dict[str, list[clips.Clip]]:
    return clips.load(clips.SAMPLES, medium_s=20, long_s=40, seed=1)


def test_every_clip_is_as_long_as_it_says(made: dict[str, list[clips.Clip]]) -> None:
    """
    The audio seconds of the report are those in the files.
    """
    for clip in (clip for kind in made.values() for clip in kind):
        with wave.open(BytesIO(clip.wav)) as wav:
            assert wav.getnframes() / wav.getframerate() == pytest.approx(clip.audio_s, abs=0.01)


def test_longer_clips_say_what_their_parts_say(made: dict[str, list[clips.Clip]]) -> None:
    """
    A joined clip is cut from the samples, and its words are theirs in the same order.
    """
    texts = [clip.text for clip in made[clips.SHORT]]
    for clip in made[clips.LONG]:
        rest = clip.text
        while rest:
            part = next(text for text in sorted(texts, key=len, reverse=True) if rest.startswith(text))
            rest = rest.removeprefix(part).lstrip()
        assert clip.audio_s >= 40


def test_a_deck_has_exactly_the_shares_of_its_mix(made: dict[str, list[clips.Clip]]) -> None:
    """
    Any 20 calls in a row from the start of a deck hold one long clip, so that short runs can be compared.
    """
    dealt = clips.dealt(made, "mixed", Random(3))
    for _ in range(5):
        assert Counter(clip.kind for clip in islice(dealt, 20)) == {"short": 16, "medium": 3, "long": 1}


def test_the_same_seed_makes_the_same_clips(made: dict[str, list[clips.Clip]]) -> None:
    """
    Two processes that plan with one seed send the same bytes.
    """
    again = clips.load(clips.SAMPLES, medium_s=20, long_s=40, seed=1)
    other = clips.load(clips.SAMPLES, medium_s=20, long_s=40, seed=2)

    assert again == made
    assert other["long"] != made["long"]


def test_a_folder_without_clips_is_named(tmp_path: Path) -> None:
    """
    The message says which file is missing.
    """
    with pytest.raises(clips.NoClips, match=r"texts\.json"):
        clips.load(tmp_path, medium_s=20, long_s=40, seed=1)
