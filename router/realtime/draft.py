"""
Text of a turn that still goes on: guesses in, text that will not change out. Pure; times are seconds, passed in.

A guess at speech that is cut off is wrong at its end, rarely before: only words on which two guesses in a row agree
are shown. What was shown is never taken back; where the final text differs all the same, the completed event says so.
"""

from __future__ import annotations

import re
from itertools import takewhile

# Scripts without spaces between words are compared letter by letter: Thai, Lao, kana, Chinese.
UNSPACED = "\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
WORD = re.compile(rf"\s*(?:[{UNSPACED}]|[^\s{UNSPACED}]+)")


class Draft:
    """One turn's text. State: the last guess, and what was shown."""

    def __init__(self) -> None:
        self._last: list[str] = []
        self.shown = ""

    def guess(self, text: str) -> str:
        """Take a guess at the turn so far; gives what may be shown in addition."""
        words = WORD.findall(text.strip())
        agreed = "".join(
            one for one, _ in takewhile(lambda pair: pair[0] == pair[1], zip(words, self._last, strict=False))
        )
        self._last = words
        return self._more(agreed)

    def finish(self, text: str) -> str:
        """The final text; gives what it adds, nothing if it does not begin with what was shown."""
        return self._more(text)

    def _more(self, text: str) -> str:
        if not text.startswith(self.shown):
            return ""
        more, self.shown = text[len(self.shown) :], text
        return more


class Pace:
    """How often a turn is guessed at. State: when the last guess began and whether it still runs."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._due_at = 0.0
        self._began_at = 0.0
        self.is_running = False

    def is_due(self, now: float) -> bool:
        """One at a time, and not sooner than the last one's own length after its end: half of a slot at most."""
        return not self.is_running and now >= self._due_at

    def begin(self, now: float) -> None:
        """A guess begins."""
        self._began_at, self.is_running = now, True

    def end(self, now: float) -> None:
        """It has ended, however."""
        self.is_running = False
        self._due_at = max(self._began_at + self._every_s, now + (now - self._began_at))
