"""A model's card."""

import json
from pathlib import Path

import pytest

from fleet.serve import StartupError
from worker.card import ModelCard, read_card
from worker.models.catalogue import EMBEDDED


def test_without_a_card_a_model_is_a_general_whisper(tmp_path: Path):
    """The defaults are those of a general model."""
    assert read_card(tmp_path) == ModelCard()


def test_unknown_keys_are_left_out(tmp_path: Path):
    """A newer card can be read by an older worker."""
    (tmp_path / "card.json").write_text(json.dumps({"beam_size": 2, "temperatures": [0, 0.5], "moon": "full"}))
    assert read_card(tmp_path) == ModelCard(beam_size=2, temperatures=(0.0, 0.5))


@pytest.mark.parametrize(
    "text",
    [
        *("{", "[1]", '{"temperatures": 3}', '{"temperatures": []}', '{"temperatures": ["warm"]}'),
        *('{"max_speech_s": "30"}', '{"beam_size": 2.5}', '{"beam_size": true}', '{"merge_regions": 1}'),
    ],
)
def test_a_broken_card_is_one_sentence(tmp_path: Path, text: str):
    """The operator is told which file; no traceback."""
    (tmp_path / "card.json").write_text(text)
    with pytest.raises(StartupError, match=r"card\.json"):
        read_card(tmp_path)


def test_the_embedded_model_says_what_it_is_for():
    """Its card keeps it to one window a region and to digits."""
    card = read_card(EMBEDDED / "spoken-digits")
    assert not card.merge_regions
    assert "digits" in card.description
