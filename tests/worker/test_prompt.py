"""What stands before a window's text."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer

from tests.worker import random_whisper
from worker.prompt import HOTWORD_TOKENS_MAX, Prompts
from worker.window import DecodeOptions, Piece, Region, Window

pytestmark = pytest.mark.real

SPECIAL = (
    "<|startoftranscript|> a b",
    "<|endoftext|>",
    "w1 <|nospeech|>",
    "<|startofprev|><|0.00|>",
    "<|notimestamps|>",
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> WhisperModel:
    path: Path = tmp_path_factory.mktemp("random-whisper")
    random_whisper.build(path)
    return WhisperModel(str(path), device="cpu", compute_type="int8", cpu_threads=1)


@pytest.fixture
def tokenizer(model) -> Tokenizer:
    return Tokenizer(model.hf_tokenizer, False)


@pytest.fixture
def prompts(model, tokenizer) -> Prompts:
    return Prompts(model, lambda language, task: tokenizer)


def piece(*, is_first: bool = True, **options: str) -> Piece:
    window = Window(0, 16_000, (Region(0, 16_000, 0, 16_000),), is_first=is_first)
    return Piece(np.zeros(16_000, np.float32), window, DecodeOptions(language="en", **options))


@pytest.mark.parametrize("field", ["prompt", "hotwords"])
@pytest.mark.parametrize("text", SPECIAL)
def test_what_a_caller_writes_is_text(prompts, tokenizer, text: str, field: str):
    """A special token among it would move Whisper's own, and CTranslate2 refuses the whole call for that."""
    tokens = prompts.of(piece(**{field: text}), "en")

    assert tokens[0] == tokenizer.sot_prev
    assert tokens.index(tokenizer.sot) == len(tokens) - 1
    assert all(token < tokenizer.eot for token in tokens[1:-1])


def test_only_the_first_window_has_the_prompt_and_all_have_the_hotwords(prompts):
    """As faster-whisper does it."""
    first = prompts.of(piece(prompt="w1 w2", hotwords="w3"), "en")
    later = prompts.of(piece(is_first=False, prompt="w1 w2", hotwords="w3"), "en")

    assert later == prompts.of(piece(hotwords="w3"), "en")
    assert len(first) > len(later)


def test_a_prompt_is_tokenised_once(model, prompts, monkeypatch: pytest.MonkeyPatch):
    """Under the batcher's lock every waiting request is asked for its prompt at every call."""
    made, get_prompt = [], model.get_prompt
    monkeypatch.setattr(model, "get_prompt", lambda *given, **more: made.append(1) or get_prompt(*given, **more))
    one = piece(prompt="w1 " * 1000, hotwords="w2 " * 1000)

    asked = [prompts.of(replace(one), "en") for _ in range(100)]

    assert len(made) == 1
    asked[0].append(0)
    assert asked[0] != asked[1] == prompts.of(one, "en")  # nobody's list is another's


def test_as_many_hotwords_as_there_is_room_for(model, prompts):
    """The first ones; none is none."""
    fitting = prompts.hotwords(DecodeOptions(hotwords="w1 " * 1000))
    assert fitting is not None
    assert len(model.hf_tokenizer.encode(f" {fitting.strip()}", add_special_tokens=False).ids) <= HOTWORD_TOKENS_MAX
    assert prompts.hotwords(DecodeOptions(hotwords="w1")) == "w1"
    assert prompts.hotwords(DecodeOptions()) is None
