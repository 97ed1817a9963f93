"""
The voice activity model: how likely each 32 ms of audio are speech. For workers a clip at a time, for live audio as it
comes. Costs a tenth of a millisecond of one CPU thread for each 32 ms.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from fleet import telemetry

Samples: TypeAlias = NDArray[np.float32]  # 16 kHz, -1..1

MODEL = "silero_vad_v6.onnx"  # faster-whisper brings it
CHUNK = 512  # samples behind one probability (32 ms)
CONTEXT = 64  # samples of the chunk before that the model wants to see
STATE = (1, 1, 128)


class Silero:
    """One session of the model for everybody; calls may run beside each other."""

    def __init__(self) -> None:
        telemetry.turn_off(os.environ)
        import onnxruntime  # noqa: PLC0415  half a second that only who listens should pay

        options = onnxruntime.SessionOptions()
        options.inter_op_num_threads = options.intra_op_num_threads = 1
        options.enable_cpu_mem_arena = False  # an hour's clip would be kept in the arena for ever
        options.log_severity_level = 4
        self.session = onnxruntime.InferenceSession(
            str(_assets() / MODEL), providers=["CPUExecutionProvider"], sess_options=options
        )


class Ear:
    """Listens to one stream. State: what the model remembers of it, and samples that do not fill a chunk yet."""

    def __init__(self, silero: Silero) -> None:
        self._silero = silero
        self._hidden, self._cell = np.zeros(STATE, np.float32), np.zeros(STATE, np.float32)
        self._before = np.zeros(CONTEXT, np.float32)
        self._rest = np.zeros(0, np.float32)

    def hear(self, samples: Samples) -> list[float]:
        """One number for each chunk that is full now; blocks for as long as the model computes."""
        samples = np.concatenate([self._rest, samples])
        whole = len(samples) - len(samples) % CHUNK
        self._rest = samples[whole:]
        if not whole:
            return []
        chunks = samples[:whole].reshape(-1, CHUNK)
        contexts = np.vstack([self._before, chunks[:-1, -CONTEXT:]])
        inputs = {"input": np.hstack([contexts, chunks]), "h": self._hidden, "c": self._cell}
        heard, self._hidden, self._cell = self._silero.session.run(None, inputs)
        self._before = chunks[-1, -CONTEXT:]
        return [float(each) for each in np.asarray(heard).ravel()]


def _assets() -> Path:
    """Found without importing the package, which only the engine does."""
    spec = find_spec("faster_whisper")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("faster_whisper")
    return Path(spec.origin).parent / "assets"
