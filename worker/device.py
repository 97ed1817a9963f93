"""What a model call's error says of the device that it ran on: it is full, it is lost, or it is well. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from worker.window import EngineBroken, EngineFull

FULL = ("out of memory", "alloc_failed")  # CUDA's words and cuBLAS's (CUBLAS_STATUS_..); the device is well
LOST = ("cuda", "cublas", "cudnn")  # what CTranslate2's errors name when the device is gone


@contextmanager
def device_watched() -> Iterator[None]:
    """Tell a full and a lost device from other errors: after the one a smaller call passes, after the other none."""
    try:
        yield
    except RuntimeError as error:
        message = str(error).lower()
        if any(word in message for word in FULL):
            raise EngineFull(str(error)) from error
        if any(word in message for word in LOST):
            raise EngineBroken(str(error)) from error
        raise
