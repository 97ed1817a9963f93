"""
Seconds of audio that a body holds: from its header, else from its size (core: no clock, no I/O).

Bytes per second are learned for each container from clips that were transcribed. A guess wrong by a factor of e still
orders the queue better than counting requests does.
"""

from router.duration import BYTES_PER_S_LEAST, HEAD_BYTES, container_of, duration_s

BYTES_PER_S = {"wav": 32_000, "flac": 18_000, "mp3": 16_000, "mp4": 8_000, "ogg": 8_000, "webm": 8_000}
BYTES_PER_S_OTHER = 16_000
TYPES = {
    "audio/wav": "wav", "audio/x-wav": "wav", "audio/wave": "wav", "audio/flac": "flac", "audio/x-flac": "flac",
    "audio/mpeg": "mp3", "audio/mp3": "mp3", "audio/mp4": "mp4", "audio/x-m4a": "mp4", "video/mp4": "mp4",
    "audio/ogg": "ogg", "audio/opus": "ogg", "audio/webm": "webm", "video/webm": "webm",
}  # fmt: skip
LEARNING_SHARE = 0.1  # of the way, by factors: one film with a second of sound must not make all others look short


class Estimator:
    """Remembers the bytes per second of each container."""

    def __init__(self) -> None:
        self._bytes_per_s: dict[str, float] = dict(BYTES_PER_S)

    def audio_s(self, head: bytes, size_bytes: int, content_type: str | None = None) -> float:
        """Seconds in a file of `size_bytes` that begins with `head`, which may be empty."""
        exact = duration_s(head[:HEAD_BYTES], size_bytes) if head else None
        if exact is not None:
            return exact
        container = container_of(head) if head else TYPES.get(content_type or "", "other")
        return size_bytes / self._bytes_per_s.get(container, BYTES_PER_S_OTHER)

    def learn(self, head: bytes, size_bytes: int, audio_s: float) -> None:
        """A file of this kind and size was `audio_s` long."""
        if audio_s <= 0 or size_bytes <= 0:
            return
        container = container_of(head)
        before = self._bytes_per_s.get(container, BYTES_PER_S_OTHER)
        learned = max(BYTES_PER_S_LEAST, size_bytes / audio_s)  # hours of silence teach nothing
        self._bytes_per_s[container] = before * (learned / before) ** LEARNING_SHARE
