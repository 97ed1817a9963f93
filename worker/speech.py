"""
Where the speech is: probabilities -> regions -> windows. Pure.

The rules are those of Silero's own post-processing: hysteresis between two thresholds, a silence must last to end a
region, a region that grows too long is cut at its last short silence. Both ends are kept with and without padding:
the model hears the padded region, the transcript shows the bare one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from fleet.silero import CHUNK
from worker.window import RATE, WINDOW_S, Region, VadOptions, Window

SHORT_SILENCE = RATE * 98 // 1000  # a region that must be cut is cut at a silence of this length
HYSTERESIS = 0.15  # speech ends at this much less than it starts with
SPEECH_END_MIN = 0.01


def regions(probabilities: Sequence[float], length: int, options: VadOptions) -> list[Region]:
    """The clip's speech, in order and without overlaps. `length` is the clip's number of samples."""
    finder = _Finder(options)
    for index, probability in enumerate(probabilities):
        finder.take(index * CHUNK, probability)
    return _padded(finder.finish(length), length, RATE * options.speech_pad_ms // 1000)


def windows(found: Sequence[Region], *, merge: bool) -> list[Window]:
    """A window for each region, or, merged, as few as hold them all in contiguous spans of at most 30 s."""
    groups: list[list[Region]] = []
    for region in found:
        fits = groups and region.end - groups[-1][0].start <= WINDOW_S * RATE
        if merge and fits:
            groups[-1].append(region)
        else:
            groups.append([region])
    return [
        Window(group[0].start, group[-1].end, tuple(group), is_first=number == 0) for number, group in enumerate(groups)
    ]


@dataclass(slots=True)
class _Finder:
    """Turns probabilities into (start, end) pairs, one chunk at a time."""

    options: VadOptions
    start: int | None = None  # of the speech that goes on
    quiet_since: int | None = None
    cut_end: int | None = None  # where the last short silence in this speech began ..
    cut_resume: int | None = None  # .. and where speech went on after it
    found: list[tuple[int, int]] = field(default_factory=list)

    def take(self, position: int, probability: float) -> None:
        if probability >= self.options.threshold:
            self._speech(position)
        if self.start is not None and position - self.start > self._longest:
            self._cut(position)
        if self.start is not None and probability < max(self.options.threshold - HYSTERESIS, SPEECH_END_MIN):
            self._quiet(position)

    def finish(self, length: int) -> list[tuple[int, int]]:
        self._close(length)
        return self.found

    @property
    def _longest(self) -> float:
        """Samples of speech, so that it fits with its padding; what is cut shorter than speech must be is dropped."""
        padding_s = 2 * self.options.speech_pad_ms / 1000
        longest = RATE * (min(self.options.max_speech_s, WINDOW_S) - padding_s) - CHUNK
        return max(RATE * self.options.min_speech_ms / 1000 + CHUNK, longest)

    def _speech(self, position: int) -> None:
        if self.start is None:
            self.start = position
        elif self.quiet_since is not None and self.cut_end == self.quiet_since:
            self.cut_resume = position
        self.quiet_since = None

    def _quiet(self, position: int) -> None:
        if self.quiet_since is None:
            self.quiet_since = position
        silence = position - self.quiet_since
        if silence > SHORT_SILENCE:
            self.cut_end, self.cut_resume = self.quiet_since, None
        if silence >= RATE * self.options.min_silence_ms / 1000:
            self._close(self.quiet_since)

    def _cut(self, position: int) -> None:
        resume, quiet_since = self.cut_resume, self.quiet_since
        if self.cut_end is None:
            self._close(position)
            self.start = position
            return
        self._close(self.cut_end)
        self.start, self.quiet_since = resume, quiet_since if resume is not None else None

    def _close(self, end: int) -> None:
        if self.start is not None and end - self.start > RATE * self.options.min_speech_ms / 1000:
            self.found.append((self.start, end))
        self.start = self.quiet_since = self.cut_end = self.cut_resume = None


def _padded(found: Sequence[tuple[int, int]], length: int, pad: int) -> list[Region]:
    """Padding on both sides; two regions that would overlap share the silence between them."""
    padded = []
    for number, (start, end) in enumerate(found):
        before = found[number - 1][1] if number else -start  # the clip's start is nobody's: all of it may be taken
        after = found[number + 1][0] if number + 1 < len(found) else 2 * length - end
        padded.append(
            Region(
                start=start - min(pad, (start - before) // 2),
                end=end + min(pad, (after - end) // 2),
                speech_start=start,
                speech_end=min(end, length),
            )
        )
    return padded
