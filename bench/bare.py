"""
The ceiling: the model called in a loop by nothing but itself, on audio that is decoded already.

`python -m bench.bare MODEL_DIRECTORY auto|full`: reads WAV files' names from its first line of input and then, for each
further line with a number of seconds, transcribes one after the other for so long and answers with a line of JSON. The
end of its input is its own: it cannot outlive who measures. Like the engine of a worker it calls CTranslate2 itself.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
import wave
from pathlib import Path
from typing import Any

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import numpy as np  # noqa: E402
from faster_whisper import WhisperModel  # noqa: E402
from faster_whisper.tokenizer import Tokenizer  # noqa: E402

FRAMES_MAX = 3000  # mel frames of 10 ms in Whisper's window of 30 s


class BareLoop:
    """One model on one thread, decoding as its card says and as a worker would."""

    def __init__(self, directory: Path, context: str) -> None:
        self._model: Any = WhisperModel(str(directory), device="cpu", compute_type="int8", cpu_threads=1)
        path = directory / "card.json"
        card = json.loads(path.read_text()) if path.is_file() else {}
        self._beam_size = card.get("beam_size", 5)
        self._step = card.get("audio_context_step_frames", 50) if context == "auto" else FRAMES_MAX
        self._tokenizer = Tokenizer(self._model.hf_tokenizer, self._model.model.is_multilingual, "transcribe", "en")
        self._prompt = self._model.get_prompt(
            self._tokenizer, [], without_timestamps=card.get("without_timestamps", False)
        )

    def transcribe(self, samples: Any) -> str:
        """Features, encoder, decoder: nothing else."""
        features = self._model.feature_extractor(samples)[:, : len(samples) // 160]
        frames = min(FRAMES_MAX, math.ceil(features.shape[1] / self._step) * self._step)
        encoded = self._model.encode(np.pad(features, ((0, 0), (0, frames - features.shape[1]))))
        found = self._model.model.generate(
            encoded,
            [self._prompt],
            beam_size=self._beam_size,
            max_length=self._model.max_length,
            return_scores=True,
            return_no_speech_prob=True,
            suppress_tokens=[],
            max_initial_timestamp_index=50,
        )
        text: str = self._tokenizer.decode(list(found[0].sequences_ids[0]))
        return text


def samples_of(path: str) -> Any:
    """The samples of a 16-bit WAV file as the model wants them."""
    with wave.open(path) as clip:
        return np.frombuffer(clip.readframes(clip.getnframes()), "<i2").astype(np.float32) / np.float32(32768)


def main(argv: list[str]) -> int:
    """Answer rounds until the input ends."""
    loop = BareLoop(Path(argv[0]), argv[1])
    clips = [samples_of(path) for path in json.loads(sys.stdin.readline())]
    texts = [loop.transcribe(clip) for clip in clips]
    _say({"texts": texts})
    for line in sys.stdin:
        began, done = time.monotonic(), 0
        while time.monotonic() < began + float(line):
            loop.transcribe(clips[done % len(clips)])
            done += 1
        _say({"per_s": done / (time.monotonic() - began)})
    return 0


def _say(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
