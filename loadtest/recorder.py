"""Writes down how each call ended, and keeps the running sums that Locust's pages show."""

import time
from collections import Counter, deque
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import IO

from loadtest.clips import Clip
from loadtest.outcome import Ending, Heading, Outcome, PhaseSpan, to_line
from loadtest.words import words_of

RECENT_S = 10.0


class Texts(StrEnum):
    """What an answer's words are held against."""

    KNOWN = "known"  # what is said in the clip
    SAME = "same"  # the first answer to the same clip: for engines that make words up
    OFF = "off"


class Checker:
    """Compares answers with what was said. State: the first answer to each clip."""

    def __init__(self, texts: Texts) -> None:
        self._texts = texts
        self._said: dict[str, list[str]] = {}

    def checked(self, outcome: Outcome, clip: Clip) -> Outcome:
        """The outcome with the number of words; with what was said and heard only where they differ."""
        if outcome.ending is not Ending.OK or self._texts is Texts.OFF:
            return replace(outcome, heard="")
        heard = words_of(outcome.heard)
        first = heard if self._texts is Texts.SAME else words_of(clip.text)
        said = self._said.setdefault(clip.name, first)
        if said == heard:
            return replace(outcome, words=len(said), heard="")
        return replace(outcome, words=len(said), said=" ".join(said), heard=" ".join(heard) or "(nothing)")


@dataclass(slots=True)
class Tally:
    """Running sums of one kind of clip, and its calls of the last ten seconds."""

    counts: Counter[str] = field(default_factory=Counter)
    recent: deque[Outcome] = field(default_factory=lambda: deque(maxlen=20_000))

    def add(self, outcome: Outcome) -> None:
        """Count one call."""
        self.counts[outcome.ending] += 1
        self.counts["differ"] += bool(outcome.heard)
        self.recent.append(outcome)
        while self.recent and self.recent[0].ended_s < outcome.ended_s - RECENT_S:
            self.recent.popleft()


class Recorder:
    """The only writer of a run's record. State: the open file and the sums."""

    def __init__(self, file: IO[str] | None, heading: Heading, checker: Checker) -> None:
        self._file, self._began_s, self._checker = file, heading.began_s, checker
        self.tallies: dict[str, Tally] = {}
        self._write(heading)

    def now_s(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self._began_s

    def add(self, outcome: Outcome, clip: Clip) -> Outcome:
        """Check the words, count and write it."""
        checked = self._checker.checked(outcome, clip)
        for kind in ("all", checked.kind):
            self.tallies.setdefault(kind, Tally()).add(checked)
        self._write(checked)
        return checked

    def phase_ended(self, span: PhaseSpan) -> None:
        """Write down a phase."""
        self._write(span)

    def close(self) -> None:
        """Finish the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _write(self, item: Heading | Outcome | PhaseSpan) -> None:
        if self._file is not None:
            self._file.write(to_line(item))
            if not isinstance(item, Outcome):
                self._file.flush()
