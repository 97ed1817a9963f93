"""Files that mean harm, each made here: no file of anybody else's is needed to be attacked with."""

import io
import struct
import zlib
from typing import Any

import av
import numpy as np

from tests.worker import clips as make

SOUND = make.wav(make.tone(2))


def mp3() -> bytes:
    """Two seconds of a tone."""
    return make.encoded(SOUND, "mp3", "libmp3lame")


def riff(fmt: bytes, data: bytes = bytes(32_000), *, fmt_claim: int | None = None) -> bytes:
    """A WAV whose `fmt ` chunk is what it is given."""
    claim = len(fmt) if fmt_claim is None else fmt_claim
    body = b"WAVEfmt " + struct.pack("<I", claim) + fmt + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


def fmt(tag: int = 1, channels: int = 1, rate: int = 16_000, align: int = 2, bits: int = 16) -> bytes:
    """A `fmt ` chunk's content."""
    return struct.pack("<HHIIHH", tag, channels, rate, rate * align & 0xFFFFFFFF, align, bits)


def silence(container: str, codec: str, seconds: int, rate: int) -> bytes:
    """Digital silence, which some codecs shrink ten-thousandfold."""
    out = io.BytesIO()
    with av.open(out, "w", format=container) as target:
        stream: Any = target.add_stream(codec, rate=rate, layout="mono")
        wanted = stream.codec_context.format.name
        for _ in range(seconds):
            kind = "<f4" if wanted.startswith("flt") else "<i2"
            frame = av.AudioFrame.from_ndarray(np.zeros((1, rate), kind), format=wanted, layout="mono")
            frame.sample_rate = rate
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    return out.getvalue()


def lying_flac(*, samples: int | None = None, rate: int | None = None) -> bytes:
    """FLAC whose STREAMINFO claims another number of samples (36 bits) or rate (20 bits)."""
    data = bytearray(make.encoded(SOUND, "flac", "flac"))
    at = 8 + 10  # after the marker and the block's head: sizes of blocks and frames, then rate
    word = int.from_bytes(data[at : at + 8])
    if samples is not None:
        word = word >> 36 << 36 | samples
    if rate is not None:
        word = rate << 44 | word & (1 << 44) - 1
    data[at : at + 8] = word.to_bytes(8)
    return bytes(data)


def png(side: int) -> bytes:
    """A black picture, one bit a dot."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    dots = zlib.compress(bytes((side // 8 + 1) * side), 1)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", dots) + chunk(b"IEND", b"")


def id3(frames: bytes, claim: int | None = None) -> bytes:
    """An ID3v2.3 tag, which may claim another size."""
    size = len(frames) if claim is None else claim
    return b"ID3\x03\x00\x00" + bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0)) + frames


def id3_frame(name: bytes, body: bytes, flags: int = 0) -> bytes:
    """One frame of it."""
    return name + struct.pack(">IH", len(body), flags) + body


def with_cover(side: int) -> bytes:
    """MP3 with a picture."""
    return id3(id3_frame(b"APIC", b"\0image/png\0\3\0" + png(side))) + mp3()


def with_packed_tag(size: int) -> bytes:
    """MP3 with a tag that unpacks to so many bytes (flag 0x80: zlib)."""
    return id3(id3_frame(b"TXXX", struct.pack(">I", size) + zlib.compress(bytes(size)), 0x80)) + mp3()


def film(*, with_sound: bool) -> bytes:
    """A second of pictures, and of sound."""
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as target:
        video: Any = target.add_stream("mpeg4", rate=5)
        video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
        audio: Any = target.add_stream("aac", rate=16_000, layout="mono") if with_sound else None
        for _ in range(5):
            target.mux(video.encode(av.VideoFrame(64, 64, "yuv420p")))
        target.mux(video.encode(None))
        if audio is not None:
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 16_000), "<f4"), format="fltp", layout="mono")
            frame.sample_rate = 16_000
            target.mux(audio.encode(frame))
            target.mux(audio.encode(None))
    return out.getvalue()


def damaged(data: bytes, size: int = 3_000) -> bytes:
    """The middle is overwritten."""
    at = len(data) // 2
    return data[:at] + b"\x55" * size + data[at + size :]
