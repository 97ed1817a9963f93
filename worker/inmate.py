"""
The decode child: reads files it is handed as descriptors, writes samples back, and may do nothing else.

It has no log of its own, for it cannot write one: it hands its figures over, and the worker logs them under its number.

It is forked from a server that holds no secret, works in a folder that does not exist any more, and cannot write a
byte to a file, dump core, open more than a few descriptors or take more memory or time than a clip needs. A file that
breaks FFmpeg breaks this process and no other.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import socket
import struct
import time
from typing import IO

import numpy as np

from fleet.errors import BadAudio
from worker import audio
from worker.clip import AudioLimits
from worker.window import Samples

JOB = struct.Struct("<dd")  # least and greatest length of the clip, in seconds; the file's descriptor comes along
HEAD = struct.Struct("<cI")  # kind of message, bytes that follow
SAMPLES, FIGURES, REFUSED, DONE = b"S", b"F", b"E", b"D"
BLOCK_SAMPLES = 64 * 1024  # samples in one message, or little more: a system call for four seconds of audio

MEMORY_BYTES_MAX = 1 << 30  # address space; decoding an hour of anything takes under 200 MB
DESCRIPTORS_MAX = 16
STALL_S = 15.0  # to the first samples, and whatever a slow disk adds
SPEED_MIN = 20.0  # seconds of audio a second: the slowest codec on one old core does several times that


class Out:
    """Collects small blocks of samples into messages."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._blocks: list[Samples] = []
        self._count = 0

    def keep(self, block: Samples) -> None:
        """Take a block; send when there is enough."""
        self._blocks.append(block)
        self._count += block.size
        if self._count >= BLOCK_SAMPLES:
            self.flush()

    def flush(self) -> None:
        """Send what is there."""
        if self._count:
            samples = np.concatenate(self._blocks)
            for start in range(0, samples.size, BLOCK_SAMPLES):
                self._send(SAMPLES, samples[start : start + BLOCK_SAMPLES].data.cast("B"))
        self._blocks, self._count = [], 0

    def say(self, kind: bytes, value: object) -> None:
        """Send a message that is not sound."""
        self._send(kind, json.dumps(value).encode())

    def _send(self, kind: bytes, data: bytes | memoryview) -> None:
        self._line.sendall(HEAD.pack(kind, len(data)))
        self._line.sendall(data)


def serve(line: socket.socket) -> None:
    """Decode one file after the other until the line is closed."""
    restrict()
    while True:
        message, descriptors, _, _ = socket.recv_fds(line, JOB.size, 1)
        if len(message) < JOB.size or not descriptors:
            return
        least_s, most_s = JOB.unpack(message)
        limit_cpu(STALL_S + most_s / SPEED_MIN)
        with open(descriptors[0], "rb") as source:  # noqa: PTH123  a descriptor, no path
            answer(source, AudioLimits(min_s=least_s, max_s=most_s), Out(line))


def answer(source: IO[bytes], limits: AudioLimits, out: Out) -> None:
    """The samples and what was lost, or why not; before that, seconds on the clock and on the CPU."""
    began, burnt = time.monotonic(), time.process_time()
    kind = DONE
    try:
        verdict = audio.stream(source, limits, out.keep)
        out.flush()
    except BadAudio as refusal:
        kind, verdict = REFUSED, (refusal.code, refusal.message)
    out.say(FIGURES, [time.monotonic() - began, time.process_time() - burnt])
    out.say(kind, verdict)


def restrict() -> None:
    """Give up what decoding does not need; there is no way back."""
    for what, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, DESCRIPTORS_MAX),
        (resource.RLIMIT_AS, MEMORY_BYTES_MAX),
    ):
        with contextlib.suppress(ValueError, OSError):  # some systems do not have them all
            resource.setrlimit(what, (most, most))


def limit_cpu(seconds: float) -> None:
    """So many seconds of compute from now on, for the file that comes next; not more than the process may have."""
    used = sum(os.times()[:2])
    most = resource.getrlimit(resource.RLIMIT_CPU)[1]
    wanted = int(used + seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (wanted if most == resource.RLIM_INFINITY else min(wanted, most), most))
