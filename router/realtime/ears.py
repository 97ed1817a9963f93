"""The threads that listen: decoding, resampling and voice activity of all sessions, off the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol, TypeVar

from fleet.errors import NotFound
from router.realtime.config import Encoding

if TYPE_CHECKING:
    from fleet.silero import Ear, Silero
    from router.realtime.pcm import Decoder

NEEDED = ("numpy", "soxr", "onnxruntime", "faster_whisper")  # the last for the file of the Silero model
PIECE_BYTES = 1 << 16  # 1.4 s of PCM: who sends a minute at once does not keep the others waiting
FULL_SCALE = 32_768

Result = TypeVar("Result")


class Hearing(Protocol):
    """One session's ear."""

    async def hear(self, data: bytes) -> tuple[bytes, list[float]]:
        """Samples as 16 kHz PCM, and the probability of speech of each chunk that is complete now."""

    async def finish(self) -> tuple[bytes, list[float]]:
        """What was held back; audio that follows is a new stream."""


class Ears:
    """
    The model and the threads, for all sessions. State: the model, once somebody listens.

    A session has one call in flight at a time, so what waits for a thread is bounded by the number of sessions.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ears")
        self._silero: Silero | None = None

    def check(self) -> None:
        """Raise NotFound if what this needs is not installed."""
        if missing := [name for name in NEEDED if find_spec(name) is None]:
            raise NotFound(f"Live audio needs {', '.join(missing)}: install whisper-fleet[realtime].")

    async def open(self, encoding: Encoding) -> Hearing:
        """An ear for one session; the first one loads the model."""
        return await self.run(lambda: self._open(encoding))

    async def run(self, work: Callable[[], Result]) -> Result:
        """Do it in the thread."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _open(self, encoding: Encoding) -> OneEar:
        from fleet.silero import Ear, Silero  # noqa: PLC0415  numpy and the runtime: 40 MB that only sessions need
        from router.realtime.pcm import Decoder  # noqa: PLC0415

        self._silero = self._silero or Silero()
        return OneEar(self, Decoder(encoding), Ear(self._silero))


class OneEar:
    """Hears one session. State: what decoder and model remember."""

    def __init__(self, ears: Ears, decoder: Decoder, ear: Ear) -> None:
        self._ears = ears
        self._decoder = decoder
        self._ear = ear

    async def hear(self, data: bytes) -> tuple[bytes, list[float]]:
        """See Hearing."""
        return await self._ears.run(lambda: self._hear(data))

    async def finish(self) -> tuple[bytes, list[float]]:
        """See Hearing."""
        return await self._ears.run(lambda: self._hear(None))

    def _hear(self, data: bytes | None) -> tuple[bytes, list[float]]:
        import numpy as np  # noqa: PLC0415

        samples = self._decoder.finish() if data is None else self._decoder.feed(data)
        return samples.tobytes(), self._ear.hear(samples.astype(np.float32) / np.float32(FULL_SCALE))
