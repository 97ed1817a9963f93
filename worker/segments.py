"""What the model found in a window -> segments on the wire, with their times inside the clip and in order. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from fleet.wire import Segment, Word
from worker.fallback import Attempt
from worker.window import RATE, Piece, Window

FRAME = RATE // 100  # samples in a mel frame
REST_MIN = RATE // 10  # less speech than this behind the model's last timestamp is not worth a window


@dataclass(slots=True)
class Draft:
    """A segment while it is put together; times in seconds of the clip."""

    seek: int
    start: float
    end: float
    tokens: tuple[int, ...]
    text: str
    words: tuple[Word, ...] = ()


def whole(window: Window, attempt: Attempt) -> Draft:
    """One segment for the window, with the times of its speech."""
    return Draft(
        seek=window.start // FRAME,
        start=window.regions[0].speech_start / RATE,
        end=window.regions[-1].speech_end / RATE,
        tokens=attempt.tokens,
        text=attempt.text,
    )


def resume_at(window: Window, seek_frames: int) -> int | None:
    """The sample to go on at, where the model stopped before the speech did; always further than the window's start."""
    at = seek_frames * FRAME
    has_speech = any(region.speech_end - at > REST_MIN for region in window.regions)
    return at if window.start + REST_MIN < at < window.end and has_speech else None


def finished(draft: Draft, attempt: Attempt, piece: Piece) -> Segment:
    """The segment as it is answered."""
    start, end = _within(draft.start, draft.end, len(piece.samples) / RATE)
    words = None
    if piece.options.wants_words:
        words = tuple(ordered(draft.words, start, end) if piece.options.without_timestamps else draft.words)
    return Segment(
        id=0,
        seek=draft.seek,
        start=start,
        end=end,
        text=draft.text,
        tokens=draft.tokens,
        temperature=attempt.temperature,
        avg_logprob=attempt.avg_logprob,
        compression_ratio=attempt.compression_ratio,
        no_speech_prob=attempt.no_speech_prob,
        words=words,
    )


def ordered(words: Iterable[Word], start: float, end: float) -> Iterator[Word]:
    """Words inside start..end, none before the end of the one before; the outer two reach its ends."""
    line = list(words)
    last = start
    for number, word in enumerate(line):
        is_outer = number == len(line) - 1
        word_end = end if is_outer else min(max(last, word.end), end)
        yield Word(word.word, last if number == 0 else min(max(last, word.start), end), word_end, word.probability)
        last = word_end


def clamped(words: Iterable[Word], clip_s: float) -> tuple[Word, ...]:
    """Words inside the clip, none before the end of the one before."""
    last, kept = 0.0, []
    for word in words:
        start, last = _within(max(last, word.start), word.end, clip_s)
        kept.append(Word(word.word, start, last, word.probability))
    return tuple(kept)


def _within(start: float, end: float, clip_s: float) -> tuple[float, float]:
    start = min(max(0.0, start), clip_s)
    return start, min(max(start, end), clip_s)
