"""
Whispers of random weights in the general models' shapes: nothing is downloaded, and every clip costs the same.

What they say is fixed. The embedding of each position is the token that stands there, so a decoder of any depth says
`WORDS` words and ends; how much text a real model would find is no part of a ratio. The times they take are those of
the real ones: layers, heads, widths and vocabulary are.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ctranslate2.specs import whisper_spec
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

WORDS = 22  # what five seconds of speech have in tokens
MELS, POSITIONS_IN, POSITIONS_OUT = 80, 1500, 448
PROMPT = 2  # tokens before the first word: start of transcript, no timestamps
CERTAIN = 12.0  # how much louder a position speaks than the layers' noise
LANGUAGES = 99
ORDINARY = 50_256  # tokens of text in the English vocabulary
CARD = {"description": "random weights", "temperatures": [0.0], "without_timestamps": True}


@dataclass(frozen=True, slots=True)
class Shape:
    """Width, attention heads, and layers of encoder and decoder each."""

    width: int
    heads: int
    layers: int


SHAPES = {"tiny": Shape(384, 6, 4), "base": Shape(512, 8, 6)}


def build(directory: Path, shape: Shape) -> None:
    """Write the model with its card, the same each time; takes a second or two."""
    directory.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    tokenizer = _tokenizer()
    vocabulary = tokenizer.get_vocab()
    spec = whisper_spec.WhisperSpec(shape.layers, shape.heads, shape.layers, shape.heads)
    _encoder(spec.encoder, shape.width, rng)
    _decoder(spec.decoder, shape.width, vocabulary, rng)
    spec.register_vocabulary(sorted(vocabulary, key=vocabulary.__getitem__))
    spec.config.suppress_ids, spec.config.suppress_ids_begin, spec.config.lang_ids = [], [], []
    spec.config.alignment_heads = [(shape.layers - 1, head) for head in range(shape.heads)]
    spec.validate()
    spec.optimize(quantization="int8")
    spec.save(str(directory))
    tokenizer.save(str(directory / "tokenizer.json"))
    (directory / "card.json").write_text(json.dumps(CARD))


def _tokenizer() -> Any:
    """The layout of the English vocabulary: text, then special tokens, then timestamps."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    pieces = [*letters, *(f"Ġw{number}" for number in range(ORDINARY - len(letters)))]
    tokenizer = Tokenizer(models.BPE(vocab={piece: index for index, piece in enumerate(pieces)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    languages = ["en", *(f"l{number}" for number in range(1, LANGUAGES))]
    tasks = ["translate", "transcribe", "startoflm", "startofprev", "nospeech", "notimestamps"]
    names = ["endoftext", "startoftranscript", *languages, *tasks, *(f"{tick * 0.02:.2f}" for tick in range(1501))]
    tokenizer.add_special_tokens([AddedToken(f"<|{name}|>", special=True) for name in names])
    return tokenizer


def _encoder(encoder: Any, width: int, rng: np.random.Generator) -> None:
    encoder.conv1.weight, encoder.conv1.bias = _random(rng, width, MELS, 3), _zeros(width)
    encoder.conv2.weight, encoder.conv2.bias = _random(rng, width, width, 3), _zeros(width)
    encoder.position_encodings.encodings = _random(rng, POSITIONS_IN, width)
    _norm(encoder.layer_norm, width)
    for layer in encoder.layer:
        _self_attention(layer.self_attention, width, rng)
        _feed_forward(layer.ffn, width, rng)


def _decoder(decoder: Any, width: int, vocabulary: dict[str, int], rng: np.random.Generator) -> None:
    embeddings = rng.normal(0, width**-0.5, (len(vocabulary), width)).astype(np.float32)
    decoder.embeddings.weight = decoder.projection.weight = embeddings
    said = [vocabulary[f"Ġw{number}"] for number in range(WORDS)]
    line = [said[0]] * (PROMPT - 1) + said + [vocabulary["<|endoftext|>"]] * POSITIONS_OUT
    decoder.position_encodings.encodings = CERTAIN * embeddings[line[:POSITIONS_OUT]]
    _norm(decoder.layer_norm, width)
    for layer in decoder.layer:
        _self_attention(layer.self_attention, width, rng)
        _norm(layer.attention.layer_norm, width)
        for linear, rows in zip(layer.attention.linear, (width, 2 * width, width), strict=True):
            _linear(linear, rng, rows, width)
        _feed_forward(layer.ffn, width, rng)


def _self_attention(target: Any, width: int, rng: np.random.Generator) -> None:
    _norm(target.layer_norm, width)
    _linear(target.linear[0], rng, 3 * width, width)
    _linear(target.linear[1], rng, width, width)


def _feed_forward(target: Any, width: int, rng: np.random.Generator) -> None:
    _norm(target.layer_norm, width)
    _linear(target.linear_0, rng, 4 * width, width)
    _linear(target.linear_1, rng, width, 4 * width)


def _norm(target: Any, width: int) -> None:
    target.gamma, target.beta = np.ones(width, np.float32), _zeros(width)


def _linear(target: Any, rng: np.random.Generator, rows: int, columns: int) -> None:
    target.weight, target.bias = _random(rng, rows, columns), _zeros(rows)


def _zeros(rows: int) -> Any:
    return np.zeros(rows, np.float32)


def _random(rng: np.random.Generator, *shape: int) -> Any:
    return rng.normal(0, 0.02, shape).astype(np.float32)
