"""
What decides which text comes out of a clip, as one short name: weights, decoding settings, card.

Workers with the same recipe give the same answers, so that an answer of one may stand for an answer of another. What
makes a worker faster or busier is no part of it.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from worker.settings import WorkerSettings
from worker.window import EngineFacts

EDGE_BYTES = 1 << 20  # of a file that is gigabytes: trained weights differ everywhere

SHAPING = (  # the settings that change a text
    "beam_size",
    "language",
    "temperature_fallback",
    "condition_on_previous_text",
    "compression_ratio_threshold",
    "log_prob_threshold",
    "no_speech_threshold",
    "repetition_penalty",
    "no_repeat_ngram_size",
    "without_timestamps",
    "vad_filter",
    "vad_threshold",
    "min_speech_duration_ms",
    "max_speech_duration_s",
    "min_silence_duration_ms",
    "speech_pad_ms",
    "audio_context",
)


def recipe_of(settings: WorkerSettings, facts: EngineFacts) -> str:
    """Sixteen hexadecimal digits, the same on every machine and after every restart."""
    chosen = [getattr(settings, name) for name in SHAPING]
    return hashlib.blake2b(repr((chosen, facts.card, facts.weights)).encode(), digest_size=8).hexdigest()


def weights_of(directory: Path) -> str:
    """A name for a model's bytes: their number, and a hash of the first and last megabyte."""
    path = directory / "model.bin"
    size_bytes = path.stat().st_size
    with path.open("rb") as weights:
        state = hashlib.blake2b(weights.read(EDGE_BYTES), digest_size=8)
        weights.seek(max(0, size_bytes - EDGE_BYTES))
        state.update(weights.read())
    return f"{size_bytes}-{state.hexdigest()}"
