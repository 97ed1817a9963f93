"""The voice activity model: how likely each 32 ms of a clip are speech. Runs on one CPU thread, beside the engine."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnxruntime

from worker.speech import CHUNK
from worker.window import Samples

MODEL = "silero_vad_v6.onnx"  # faster-whisper brings it
CONTEXT = 64  # samples of the chunk before that the model wants to see
STATE = (1, 1, 128)
STEP = 2000 * CHUNK  # samples between two looks at whether anybody still waits (64 s, 0.15 s of compute)


class Silero:
    """One session for all clips; calls may run beside each other."""

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.inter_op_num_threads = options.intra_op_num_threads = 1
        options.enable_cpu_mem_arena = False  # an hour's clip would be kept in the arena for ever
        options.log_severity_level = 4
        self._session = onnxruntime.InferenceSession(
            str(_assets() / MODEL), providers=["CPUExecutionProvider"], sess_options=options
        )

    def probabilities(self, samples: Samples, is_cancelled: Callable[[], bool]) -> list[float]:
        """One number for each chunk; ends early when cancelled. Its memory is carried from step to step."""
        hidden, cell = np.zeros(STATE, np.float32), np.zeros(STATE, np.float32)
        before = np.zeros(CONTEXT, np.float32)
        found: list[float] = []
        for start in range(0, len(samples), STEP):
            if is_cancelled():
                break
            step = samples[start : start + STEP]
            chunks = np.pad(step, (0, -len(step) % CHUNK)).reshape(-1, CHUNK)
            contexts = np.vstack([before, chunks[:-1, -CONTEXT:]])
            inputs = {"input": np.hstack([contexts, chunks]), "h": hidden, "c": cell}
            heard, hidden, cell = self._session.run(None, inputs)
            found += np.asarray(heard).ravel().tolist()
            before = chunks[-1, -CONTEXT:]
        return found


def _assets() -> Path:
    """Found without importing the package, which only the engine does."""
    spec = find_spec("faster_whisper")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("faster_whisper")
    return Path(spec.origin).parent / "assets"
