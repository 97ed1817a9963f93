"""
How long a clip is, told from the first bytes of its container (core: no I/O).

A guess for the queue's order, never a promise: headers may lie, and the worker trusts none of them. Each reader takes
the head of the file and its size in bytes, and returns seconds, or None if it cannot tell. Field offsets are those of
RFC 9639 (FLAC), RFC 3533 and 7845 (Ogg, Opus), RFC 9559 (Matroska), ISO/IEC 14496-12 (MP4) and 11172-3 (MP3).
"""

import struct
from collections.abc import Callable

HEAD_BYTES = 64 * 1024
DURATION_MAX_S = 100 * 3600  # what claims more is not believed
BYTES_PER_S_LEAST = 500  # nor what would be thinner; speech codecs start at 600 (AMR 4.75 kbit/s) and 750 (Opus)

MP3_KBPS = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
MP3_KBPS_LOW = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
MP3_HZ = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}


def container_of(head: bytes) -> str:
    """The container by its magic number; `other` if it is none of those that are read here."""
    if head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE":
        return "wav"
    if head[4:8] == b"ftyp":
        return "mp4"
    for magic, name in ((b"fLaC", "flac"), (b"OggS", "ogg"), (b"\x1aE\xdf\xa3", "webm"), (b"ID3", "mp3")):
        if head.startswith(magic):
            return name
    return "mp3" if len(head) > 1 and _is_mp3_frame(head, 0) else "other"


def duration_s(head: bytes, size_bytes: int) -> float | None:
    """
    Seconds of audio, as the header has it; None for more than such a file can hold.

    Otherwise a few bytes that claim hours make everybody's expected wait hours, for as long as a worker has them.
    """
    reader = READERS.get(container_of(head))
    try:
        seconds = reader(head, size_bytes) if reader else None
    except (struct.error, IndexError, ZeroDivisionError, OverflowError, ValueError):
        return None
    longest_s = min(DURATION_MAX_S, size_bytes / BYTES_PER_S_LEAST)
    return seconds if seconds is not None and 0 <= seconds <= longest_s else None


def wav_s(head: bytes, size_bytes: int) -> float | None:
    """Bytes of the data chunk, as many as are there, over the byte rate of the fmt chunk."""
    at, bytes_per_s = 12, 0
    while at + 8 <= len(head):
        name, length = struct.unpack_from("<4sI", head, at)
        if name == b"fmt ":
            bytes_per_s = struct.unpack_from("<I", head, at + 16)[0]
        if name == b"data":
            return float(min(length, size_bytes - at - 8) / bytes_per_s)
        at += 8 + length + length % 2
    return None


def flac_s(head: bytes, _size_bytes: int) -> float | None:
    """STREAMINFO: 20 bits of sample rate, 36 bits of sample count; zero samples means not known."""
    fields = int.from_bytes(head[18:26], "big")
    hz, samples = fields >> 44, fields & (1 << 36) - 1
    return samples / hz if samples else None


def mp3_s(head: bytes, size_bytes: int) -> float | None:
    """Frames counted in a Xing or Info tag, else the first frame's bit rate for the whole file."""
    start = _after_id3(head)
    at = next((at for at in range(start, len(head) - 4) if _is_mp3_frame(head, at)), None)
    if at is None:
        return None
    version, rate, hz_index = head[at + 1] >> 3 & 3, head[at + 2] >> 4, head[at + 2] >> 2 & 3
    hz = MP3_HZ[version][hz_index]
    tag = max(head.find(b"Xing", at, at + 64), head.find(b"Info", at, at + 64))
    if tag > 0 and head[tag + 7] & 1:
        frames = struct.unpack_from(">I", head, tag + 8)[0]
        return float(frames * (1152 if version == 3 else 576) / hz)
    kbps = (MP3_KBPS if version == 3 else MP3_KBPS_LOW)[rate]
    return (size_bytes - at) * 8 / (kbps * 1000)


def _is_mp3_frame(head: bytes, at: int) -> bool:
    """Eleven bits of sync, a version that is not the reserved one, layer III."""
    return head[at] == 0xFF and head[at + 1] & 0xE6 == 0xE2 and head[at + 1] >> 3 & 3 in MP3_HZ


def _after_id3(head: bytes) -> int:
    if not head.startswith(b"ID3"):
        return 0
    length = sum((byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
    return 10 + length


def mp4_s(head: bytes, _size_bytes: int) -> float | None:
    """The movie header, where the file was written with it in front."""
    at = head.find(b"mvhd")
    if at < 0:
        return None
    if head[at + 4] == 1:
        scale, length = struct.unpack_from(">IQ", head, at + 24)
    else:
        scale, length = struct.unpack_from(">II", head, at + 16)
    return float(length / scale) or None


def ogg_s(head: bytes, size_bytes: int) -> float | None:
    """Time reached by the last page of the head, carried on to the file's end at the same bytes per second."""
    last = head.rfind(b"OggS")
    granule = struct.unpack_from("<q", head, last + 6)[0]
    vorbis = head.find(b"\x01vorbis")
    hz = 48_000 if b"OpusHead" in head[:512] else struct.unpack_from("<I", head, vorbis + 12)[0] if vorbis > 0 else 0
    if granule <= 0 or not hz:
        return None
    reached_bytes = size_bytes if size_bytes <= len(head) else last
    return float(granule / hz * size_bytes / reached_bytes)


def webm_s(head: bytes, _size_bytes: int) -> float | None:
    """The Duration element (a float of 4 or 8 bytes) times the timestamp scale; live recordings have none."""
    at = head.find(b"\x44\x89")
    if at < 0:
        return None
    form = {0x84: ">f", 0x88: ">d"}.get(head[at + 2])
    if form is None:
        return None
    scale_at = head.find(b"\x2a\xd7\xb1\x83")
    scale_ns = int.from_bytes(head[scale_at + 4 : scale_at + 7], "big") if scale_at > 0 else 1_000_000
    return float(struct.unpack_from(form, head, at + 3)[0] * scale_ns / 1e9)


READERS: dict[str, Callable[[bytes, int], float | None]] = {
    "wav": wav_s,
    "flac": flac_s,
    "mp3": mp3_s,
    "mp4": mp4_s,
    "ogg": ogg_s,
    "webm": webm_s,
}
