"""Clips in other formats, made from the samples, and files that only look like clips."""

import io
import struct
from typing import Any

import av
import numpy as np


def encoded(clip: bytes, container: str, codec: str, rate: int = 16_000, layout: str = "mono", **options: str) -> bytes:
    """The clip in another container and codec."""
    out = io.BytesIO()
    with av.open(io.BytesIO(clip)) as source, av.open(out, "w", format=container, options=options) as target:
        stream: Any = target.add_stream(codec, rate=rate, layout=layout)
        resampler = av.AudioResampler(format=stream.codec_context.format, layout=layout, rate=rate)
        for frame in [*source.decode(audio=0), None]:
            for part in resampler.resample(frame):
                target.mux(stream.encode(part))
        target.mux(stream.encode(None))
    return out.getvalue()


def wav(samples: np.ndarray, rate: int = 16_000, channels: int = 1, *, tag: int = 1, data_bytes: int | None = None):
    """A RIFF file by hand, so that its header can lie."""
    data = samples.tobytes()
    size = samples.dtype.itemsize
    form = struct.pack("<HHIIHH", tag, channels, rate, rate * channels * size & 0xFFFFFFFF, channels * size, size * 8)
    head = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data"
    body = head + struct.pack("<I", len(data) if data_bytes is None else data_bytes) + data
    return b"RIFF" + struct.pack("<I", len(body) & 0xFFFFFFFF) + body


def tone(seconds: float, rate: int = 16_000, hertz: float = 440) -> np.ndarray:
    """A sine of 16-bit samples."""
    return (np.sin(np.arange(round(seconds * rate)) * 2 * np.pi * hertz / rate) * 10_000).astype("<i2")


def silent_flac(seconds: int, rate: int = 16_000) -> bytes:
    """Digital silence: some fourteen kilobytes an hour."""
    out = io.BytesIO()
    with av.open(out, "w", format="flac") as target:
        stream: Any = target.add_stream("flac", rate=rate, layout="mono")
        for _ in range(seconds):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, rate), "<i2"), format="s16", layout="mono")
            frame.sample_rate = rate
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    return out.getvalue()


def video_only() -> bytes:
    """A film without a sound."""
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as target:
        stream: Any = target.add_stream("mpeg4", rate=5)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for _ in range(5):
            target.mux(stream.encode(av.VideoFrame(64, 64, "yuv420p")))
        target.mux(stream.encode(None))
    return out.getvalue()


def repeated(clip: bytes, times: int) -> bytes:
    """A longer clip: the same 16 kHz samples again and again."""
    return wav(np.tile(np.frombuffer(clip[44:], "<i2"), times))
