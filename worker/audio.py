"""
Bytes -> 16 kHz mono float32, told by the bytes and never by a file name.

Every format but plain WAV goes through FFmpeg behind whitelists. Without them a two-line text upload makes FFmpeg open
local files (concat scripts), bind sockets (SDP) or decode gigabytes of cover art. Packets are decoded one by one,
because the usual loop ends without a word at the first damaged one. Rate, channels and length are checked while
decoding: headers only claim. What comes through `stream` runs in a child that may die (`sandbox`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any

import av
import av.error
import av.logging
import numpy as np

from fleet.errors import BadAudio
from worker import wav
from worker.clip import AudioLimits, Clip, check_layout, check_length, finished
from worker.window import RATE, Samples

# fmt: off
FORMATS = ("wav", "w64", "aiff", "mp3", "flac", "ogg", "mov", "matroska", "aac", "amr", "caf", "au", "mpegts")
CODECS = (
    "pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be", "pcm_s32le", "pcm_f32le", "pcm_f64le", "pcm_u8", "pcm_mulaw",
    "pcm_alaw", "mp3float", "mp3", "flac", "opus", "libopus", "vorbis", "aac", "alac", "amrnb", "amrwb",
)
# fmt: on
OPTIONS = {
    "protocol_whitelist": "pipe",
    "format_whitelist": ",".join(FORMATS),
    "codec_whitelist": ",".join(CODECS),
}
MAGIC = (b"fLaC", b"OggS", b"\x1aE\xdf\xa3")  # of containers that, where they cannot be opened, are damaged
DECLARED_LOSS_MIN_S = 0.15  # codecs pad and trim by less
CORRUPT_SHARE = 0.5  # less decoded than this share of what was declared: refuse rather than answer with a part
DAMAGED = "The audio file is damaged."
SECONDS_A_BYTE_MAX = 1.0  # silence takes four bytes a second at the least: who claims more than this lies
GUESSED_DURATIONS = ("mp3", "aac", "wav", "w64", "au")  # no length, or one that streaming writers make up


def decode(source: IO[bytes], limits: AudioLimits) -> Clip:
    """The clip in the source, decoded in this process; blocks. Raises BadAudio with a code that says what is wrong."""
    source.seek(0)
    header = wav.read_header(source)
    if header is not None:
        return wav.decode(source, header, limits)
    blocks: list[Samples] = []
    return finished(blocks, limits, stream(source, limits, blocks.append))


def stream(source: IO[bytes], limits: AudioLimits, keep: Callable[[Samples], None]) -> tuple[str, ...]:
    """Hand on the samples as they are decoded by FFmpeg; returns what was lost on the way. Raises BadAudio."""
    source.seek(0)
    start = source.read(16)
    if not start:
        raise BadAudio("The file is empty.", code="audio_empty")
    source.seek(0)
    try:
        return _stream(source, limits, keep)
    except av.error.FFmpegError as error:
        is_known = start.startswith(MAGIC) or start[4:8] == b"ftyp"
        raise BadAudio(DAMAGED if is_known else None, code="audio_corrupt" if is_known else None) from error


@dataclass(slots=True)
class _Decoding:
    """One file on its way through FFmpeg."""

    limits: AudioLimits
    keep: Callable[[Samples], None]
    damaged_packets: int = 0
    seconds: float = 0.0
    _resampler: Any = None
    _layout: tuple[Any, ...] = ()

    def take(self, frame: Any) -> None:
        """Mix down and resample one frame; the stream may change its layout on the way."""
        check_layout(frame.sample_rate, frame.layout.nb_channels)
        layout = (frame.sample_rate, frame.layout.name, frame.format.name)
        if layout != self._layout:
            self.flush()
            self._resampler, self._layout = av.AudioResampler(format="flt", layout="mono", rate=RATE), layout
        self.seconds += frame.samples / frame.sample_rate
        check_length(self.seconds, self.limits)
        frame.pts = None  # gaps in the stream's clock are not filled: they are how damage looks
        self._keep(self._resampler.resample(frame))

    def flush(self) -> None:
        """Take what the resampler still holds."""
        if self._resampler is not None:
            self._keep(self._resampler.resample(None))

    def _keep(self, resampled: list[Any]) -> None:
        for block in resampled:
            self.keep(block.to_ndarray().reshape(-1).astype(np.float32, copy=False))


def _stream(source: IO[bytes], limits: AudioLimits, keep: Callable[[Samples], None]) -> tuple[str, ...]:
    with av.open(source, mode="r", options=OPTIONS, metadata_errors="replace") as container:
        stream = next(iter(container.streams.audio), None)
        if stream is None:
            raise BadAudio("The file has no audio in it.", code="audio_no_stream")
        codec = stream.codec_context
        if codec is None or codec.name not in CODECS:
            raise BadAudio
        check_layout(codec.sample_rate, codec.channels)
        decoding = _Decoding(limits, keep)
        for frame in _frames(container, stream, decoding):
            decoding.take(frame)
        decoding.flush()
        declared_s = _declared_s(container, stream)
    return _losses(decoding, declared_s)


def _frames(container: Any, stream: Any, decoding: _Decoding) -> Iterator[Any]:
    """Every frame that can be had; damaged packets are counted and passed over."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
            if packet is None:
                return
            frames = packet.decode()
        except av.error.EOFError:
            return
        except av.error.FFmpegError:
            decoding.damaged_packets += 1
            if decoding.damaged_packets > 100_000:
                return
            continue
        yield from frames


def _declared_s(container: Any, stream: Any) -> float | None:
    """The length that the container's header claims, where it is more than a guess."""
    if container.format.name in GUESSED_DURATIONS:
        return None
    declared_s = container.duration / av.time_base if container.duration else 0.0
    if stream.duration and stream.time_base:
        declared_s = float(stream.duration * stream.time_base)
    return declared_s if 0 < declared_s < container.size * SECONDS_A_BYTE_MAX else None


def _losses(decoding: _Decoding, declared_s: float | None) -> tuple[str, ...]:
    """Nothing, or one warning; raises BadAudio where most of the clip is lost."""
    lost_s = (declared_s or 0.0) - decoding.seconds
    if not decoding.damaged_packets and lost_s < DECLARED_LOSS_MIN_S:
        return ()
    if declared_s and decoding.seconds < declared_s * CORRUPT_SHARE:
        raise BadAudio(DAMAGED, code="audio_corrupt")
    declared = f"; declared={declared_s:.2f}" if declared_s else ""
    return (f"truncated{declared}; decoded={decoding.seconds:.2f}",)
