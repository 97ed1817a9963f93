"""What the model found in a window -> segments on the wire, with their times inside the clip and in order. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

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


def end_of(drafts: Sequence[Draft]) -> float:
    """When the last word ends; without words, the last segment."""
    return next((word.end for draft in reversed(drafts) for word in reversed(draft.words)), drafts[-1].end)


def resume_at(window: Window, seek_frames: int) -> int | None:
    """The sample to go on at, where the model stopped before the speech did; always further than the window's start."""
    at = seek_frames * FRAME
    has_speech = any(region.speech_end - at > REST_MIN for region in window.regions)
    return at if window.start + REST_MIN < at < window.end and has_speech else None


def finished(draft: Draft, attempt: Attempt, piece: Piece) -> Segment:
    """The segment as it is answered: inside its window, whatever times the model made up for the padding behind it."""
    window, options = piece.window, piece.options
    start, end = _within(draft.start, draft.end, window.start / RATE, window.end / RATE)
    words = None
    if options.wants_words:
        words = clamped(_stretched(draft.words, start, end) if options.without_timestamps else draft.words, start, end)
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


def following(segment: Segment, before: Sequence[Segment]) -> Segment:
    """
    The next one of a clip: numbered, and neither it nor a word of it starts before the one before it ended.

    A space at its end is dropped: the transcript has none at its own end, and streamed parts add up to it.
    """
    earliest = before[-1].end if before else 0.0
    start = max(segment.start, earliest)
    end = max(segment.end, start)
    words = segment.words
    if words is not None and start > segment.start:
        words = clamped(words, start, end)
    return replace(segment, id=len(before), start=start, end=end, text=segment.text.rstrip(), words=words)


def clamped(words: Iterable[Word], start: float, end: float) -> tuple[Word, ...]:
    """Words inside start..end, none before the end of the one before."""
    last, kept = start, []
    for word in words:
        word_start, last = _within(word.start, word.end, last, end)
        kept.append(Word(word.word, word_start, last, word.probability))
    return tuple(kept)


def _stretched(words: Sequence[Word], start: float, end: float) -> Iterator[Word]:
    """The outer two reach the ends."""
    for number, word in enumerate(words):
        yield Word(
            word.word,
            start if number == 0 else word.start,
            end if number == len(words) - 1 else word.end,
            word.probability,
        )


def _within(start: float, end: float, least: float, most: float) -> tuple[float, float]:
    start = min(max(least, start), most)
    return start, min(max(start, end), most)
