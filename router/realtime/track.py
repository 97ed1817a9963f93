"""The audio of a session that is still needed, by its place in the session. Pure; positions are samples."""

from __future__ import annotations

import io
import wave

WIDTH = 2  # bytes a sample
RATE = 16_000


class Track:
    """16 kHz 16-bit mono. State: the bytes that are kept, and the position of the first of them."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self.start = 0

    def __repr__(self) -> str:
        return f"<Track {self.start}..{self.end}>"

    @property
    def end(self) -> int:
        """Where the next sample goes."""
        return self.start + len(self._kept) // WIDTH

    @property
    def kept_s(self) -> float:
        """Seconds that are held in memory."""
        return len(self._kept) / WIDTH / RATE

    def append(self, pcm: bytes) -> None:
        """Whole samples."""
        self._kept += pcm

    def forget_before(self, position: int) -> None:
        """Nobody will ask for what lies before."""
        position = min(max(position, self.start), self.end)
        del self._kept[: (position - self.start) * WIDTH]
        self.start = position

    def cut(self, start: int, end: int) -> bytes:
        """A stretch as PCM; what is forgotten or not there yet is left out."""
        start, end = max(start, self.start), min(end, self.end)
        return bytes(self._kept[(start - self.start) * WIDTH : max(0, end - self.start) * WIDTH])


def wav(pcm: bytes) -> bytes:
    """PCM as a file."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(WIDTH)
        writer.setframerate(RATE)
        writer.writeframes(pcm)
    return file.getvalue()
