"""
What may be asked for, in odd combinations, of the embedded model: transcribed or refused, and the engine lives on.

Values at their limits, texts that no tokenizer was made for, clips of noise, silence and next to nothing.
FUZZ_CASES=1500 FUZZ_SEED=2 for a long run.
"""

import asyncio
import logging
import os
import random
from collections import Counter

import numpy as np
import pytest

from tests.worker import clips as make
from tests.worker.conftest import SAMPLES, serving

CASES = int(os.environ.get("FUZZ_CASES", "40"))
SEED = int(os.environ.get("FUZZ_SEED", "1"))
AT_ONCE = 3
NOISE = np.random.default_rng(SEED).normal(0, 0.3, 48_000).astype(np.float32)
SPOKEN = (SAMPLES / "digits-short-george.wav").read_bytes()
CLIPS = (
    *(SPOKEN, SPOKEN, SPOKEN[:20_000], make.wav(NOISE), make.wav(NOISE[:800]), make.wav(NOISE[:16])),
    *(make.wav(make.tone(2)), make.wav(np.zeros(16_000, np.float32)), make.wav(np.ones(32_000, np.float32))),
)
TEXTS = (
    *("", "hello", " " * 5, "\0", "\U0001f600" * 50, "x" * 3_000, "one two " * 400, "<|endoftext|>"),
    *("<|startoftranscript|><|de|><|0.00|>", "".join(map(chr, range(0x80, 0x3FF))), "\u202e[sic]"),
)
VAD = '{"type": "server_vad", "threshold": %s, "prefix_padding_ms": %d, "silence_duration_ms": %d}'
VALUES: dict[str, tuple[str, ...]] = {
    "beam_size": ("1", "2", "20"),
    "temperature": ("0", "1e-9", "0.5", "1"),
    "max_speech_duration_s": ("0.5", "0.51", "30"),
    "min_silence_duration_ms": ("0", "1", "10000"),
    "vad_filter": ("true", "false"),
    "encode": ("true", "false"),
    "condition_on_previous_text": ("true", "false"),
    "prompt": TEXTS,
    "hotwords": TEXTS,
    "keywords[]": TEXTS,
    "response_format": ("json", "text", "srt", "vtt", "verbose_json"),
    "timestamp_granularities[]": ("word", "segment", "word,segment"),
    "stream": ("true",),
    "progress": ("true",),
    "include[]": ("logprobs",),
    "language": ("en", "de", "auto", ""),
    "languages[]": ("en", "en,de", "de"),
    "chunking_strategy": ("auto", VAD % (0, 0, 0), VAD % (1, 5_000, 10_000), VAD % (0.5, 300, 200)),
    "task": ("transcribe", "translate"),
}


@pytest.mark.real
async def test_odd_combinations_are_transcribed_or_refused():
    """No server error in any answer, streamed ones included; afterwards the good clip is heard as before."""
    rng, outcomes = random.Random(SEED), Counter[int]()
    async with serving(model="spoken-digits", cpu_threads=1, max_concurrent_transcriptions=AT_ONCE) as worker:
        plain = await worker.send(SPOKEN)

        async def sender() -> None:
            for _ in range(CASES // AT_ONCE):
                fields = {name: rng.choice(some) for name, some in VALUES.items() if rng.random() < 0.25}
                answer = await worker.send(rng.choice(CLIPS), **fields)
                assert answer.status in (200, 400), f"{answer.text[:200]} for {fields}"
                assert '"server_error"' not in answer.text, f"{answer.text[:200]} for {fields}"
                outcomes[answer.status] += 1

        async with asyncio.timeout(3_600), asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(sender())
        assert (await worker.send(SPOKEN)).body == plain.body
    logging.getLogger(__name__).info("%d requests, seed %d: %s", outcomes.total(), SEED, dict(outcomes))
    assert outcomes[200] > outcomes[400]
