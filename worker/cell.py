"""One decode child as the worker sees it: a file in, samples out, and no trust in what comes back."""

from __future__ import annotations

import json
import logging
import math
import socket
import time
from typing import Any

import numpy as np

from fleet.errors import BadAudio
from worker.clip import AudioLimits, Clip, finished
from worker.inmate import BLOCK_SAMPLES, DONE, FIGURES, HEAD, JOB, REFUSED, SAMPLES, SPEED_MIN, STALL_S
from worker.window import RATE, Samples

TALK_BYTES_MAX = 4096  # of a message that is not sound
OVERSHOOT_S = 1.0  # a child stops within a frame of the limit; one that goes on is not ours any more
SAMPLE_BYTES = 4

access = logging.getLogger("worker.decode")


class CellBroken(Exception):
    """The child died, hung, or said something that no child of ours says; it must be replaced."""


class CellGone(CellBroken):
    """It ended before it was done: by this file, or by somebody's hand."""


class Cell:
    """The line to one child. Not thread-safe: one file at a time."""

    def __init__(self, line: socket.socket, pid: int, *, stall_s: float = STALL_S) -> None:
        self.pid = pid
        self.files = 0
        self._line = line
        self._stall_s = stall_s

    def close(self) -> None:
        """Hang up; a child that still listens ends by itself."""
        self._line.close()

    def decode(self, descriptor: int, limits: AudioLimits) -> Clip:
        """The clip in the open file; blocks. Raises BadAudio for the file's fault, CellBroken for the child's end."""
        self.files += 1
        try:
            socket.send_fds(self._line, [JOB.pack(limits.min_s, limits.max_s)], [descriptor])
            return self._noted(limits)
        except ConnectionError as error:
            raise CellGone from error
        except (OSError, ValueError) as error:  # TimeoutError is an OSError, a JSON error a ValueError
            raise CellBroken from error

    def _noted(self, limits: AudioLimits) -> Clip:
        """Receive, and log the file for the child, which cannot; the request's id is in the context."""
        figures: dict[str, float] = {}
        try:
            clip = self._receive(limits, figures)
        except BadAudio as refusal:
            access.info("refused", extra={"child": self.pid, "code": refusal.code} | figures)
            raise
        access.info("decoded", extra={"child": self.pid, "audio_s": round(clip.duration_s, 2)} | figures)
        return clip

    def _receive(self, limits: AudioLimits, figures: dict[str, float]) -> Clip:
        blocks: list[Samples] = []
        seconds, began = 0.0, time.monotonic()
        while True:
            until = began + self._stall_s + seconds / SPEED_MIN
            kind, size = HEAD.unpack(self._exactly(bytearray(HEAD.size), until))
            if kind == FIGURES and not figures:
                figures |= _figures(self._talk(size, until))
                continue
            if kind != SAMPLES:
                return _result(kind, self._talk(size, until), blocks, limits)
            if size % SAMPLE_BYTES or not 0 < size <= BLOCK_SAMPLES * SAMPLE_BYTES:
                raise CellBroken
            block = np.empty(size // SAMPLE_BYTES, np.float32)
            self._exactly(block.data.cast("B"), until)
            blocks.append(block)
            seconds += block.size / RATE
            if seconds > limits.max_s + OVERSHOOT_S:
                raise CellBroken

    def _talk(self, size: int, until: float) -> Any:
        if size > TALK_BYTES_MAX:
            raise CellBroken
        return json.loads(self._exactly(bytearray(size), until))

    def _exactly(self, into: Any, until: float) -> Any:
        """Fill the buffer; raises OSError when the child is gone or the time is up."""
        view, filled = memoryview(into), 0
        while filled < len(view):
            self._line.settimeout(max(0.001, until - time.monotonic()))
            count = self._line.recv_into(view[filled:])
            if not count:
                raise ConnectionError("the child ended")
            filled += count
        return into


def _result(kind: bytes, value: Any, blocks: list[Samples], limits: AudioLimits) -> Clip:
    """The clip or the refusal, as far as it can have come from our own code: it ends up in headers and bodies."""
    if not isinstance(value, list) or not all(_is_plain(text) for text in value):
        raise CellBroken
    if kind == DONE:
        return finished(blocks, limits, tuple(value))
    if kind != REFUSED or len(value) != 2 or not value[0].startswith("audio_"):
        raise CellBroken
    raise BadAudio(value[1], code=value[0])


def _figures(value: Any) -> dict[str, float]:
    """What the file cost; a child that is not ours any more may say anything."""
    is_list = isinstance(value, list) and len(value) == 2
    if not is_list or not all(isinstance(one, int | float) and math.isfinite(one) for one in value):
        raise CellBroken
    return {name: round(1000 * one, 1) for name, one in zip(("took_ms", "cpu_ms"), value, strict=True)}


def _is_plain(text: Any) -> bool:
    return isinstance(text, str) and text.isascii() and text.isprintable()
