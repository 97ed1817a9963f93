"""
Plain PCM WAV, read by hand: the one format that is simple enough to be parsed in this process.

Sixteen-bit integers and 32-bit floats; everything else is left to the decoder for all formats. Sizes in the header
are claims: streaming writers put in 0 or 4 GB, so the data ends where the bytes do.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

import numpy as np
import soxr

from worker.clip import AudioLimits, Clip, check_layout, check_length, finished
from worker.window import RATE, Samples

PCM, FLOAT = 1, 3
DTYPES = {(PCM, 16): "<i2", (FLOAT, 32): "<f4"}
SCALES = {"<i2": 1 / 32768, "<f4": 1.0}
CHUNKS_MAX = 64  # before the data; a real file has three or four
BLOCK_BYTES = 1 << 20
UNKNOWN_SIZES = (0, 0xFFFFFFFF)


@dataclass(frozen=True, slots=True)
class WavHeader:
    """What the samples look like, and how many bytes of them are claimed (None: as many as there are)."""

    dtype: str
    rate_hz: int
    channels: int
    data_bytes: int | None


BARE = WavHeader("<i2", RATE, channels=1, data_bytes=None)


def read_header(source: IO[bytes]) -> WavHeader | None:
    """The header, with the source left at the first sample; None for anything but plain PCM WAV."""
    start = source.read(12)
    if len(start) < 12 or start[:4] != b"RIFF" or start[8:] != b"WAVE":
        return None
    form: tuple[int, int, int, int] | None = None
    for _ in range(CHUNKS_MAX):
        head = source.read(8)
        if len(head) < 8:
            return None
        name, size = head[:4], struct.unpack("<I", head[4:])[0]
        if name == b"data":
            return _header(form, size)
        if name == b"fmt ":
            form = _format(source.read(size)) if 16 <= size <= 64 else None
        else:
            source.seek(size, 1)
        source.seek(size % 2, 1)
    return None


def decode_raw(source: IO[bytes], limits: AudioLimits) -> Clip:
    """Samples that a caller calls bare, behind a header or not; raises BadAudio."""
    source.seek(0)
    header = read_header(source)
    if header is None:
        source.seek(0)
    return decode(source, header or BARE, limits)


def decode(source: IO[bytes], header: WavHeader, limits: AudioLimits) -> Clip:
    """The samples after the header, mixed down and resampled; raises BadAudio."""
    check_layout(header.rate_hz, header.channels)
    blocks, seconds = [], 0.0
    resample = None if header.rate_hz == RATE else soxr.ResampleStream(header.rate_hz, RATE, 1, dtype="float32")
    for block in _blocks(source, header):
        seconds += len(block) / header.rate_hz
        check_length(seconds, limits)
        blocks.append(block if resample is None else resample.resample_chunk(block))
    if resample is not None:
        blocks.append(resample.resample_chunk(np.zeros(0, np.float32), last=True))
    return finished(blocks, limits)


def _format(body: bytes) -> tuple[int, int, int, int] | None:
    """(format tag, channels, rate, bits); the extensible tag is replaced by the one that it wraps."""
    if len(body) < 16:
        return None
    tag, channels, rate_hz, _, _, bits = struct.unpack("<HHIIHH", body[:16])
    if tag == 0xFFFE and len(body) >= 26:
        tag = struct.unpack("<H", body[24:26])[0]
    return tag, channels, rate_hz, bits


def _header(form: tuple[int, int, int, int] | None, size: int) -> WavHeader | None:
    if form is None:
        return None
    tag, channels, rate_hz, bits = form
    if (tag, bits) not in DTYPES:
        return None
    return WavHeader(DTYPES[tag, bits], rate_hz, channels, None if size in UNKNOWN_SIZES else size)


def _blocks(source: IO[bytes], header: WavHeader) -> Iterator[Samples]:
    """Mono float32, about a megabyte of file at a time; half a sample at the end is dropped."""
    frame_bytes = np.dtype(header.dtype).itemsize * header.channels
    left = header.data_bytes
    while True:
        wanted = BLOCK_BYTES // frame_bytes * frame_bytes
        data = source.read(wanted if left is None else min(wanted, left))
        left = None if left is None else left - len(data)
        whole = len(data) // frame_bytes * frame_bytes
        if not whole:
            return
        frames = np.frombuffer(data[:whole], header.dtype).reshape(-1, header.channels)
        samples = frames.astype(np.float32) * np.float32(SCALES[header.dtype])
        yield samples[:, 0] if header.channels == 1 else np.asarray(samples.mean(axis=1), np.float32)
