"""What was said against what was heard, in words (pure)."""

import re
from collections.abc import Sequence

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def words_of(text: str) -> list[str]:
    """Lower case, no punctuation, digits spelled out: models write "7-3-1", "731" or "Seven, three, one."."""
    spelled = re.sub(r"\d", lambda digit: f" {DIGITS[int(digit[0])]} ", text.lower())
    return re.findall(r"[^\W_]+(?:'[^\W_]+)*", spelled)


def word_errors(said: Sequence[str], heard: Sequence[str]) -> int:
    """Least number of words put in, left out or changed (Levenshtein's distance over words)."""
    if said == heard:
        return 0
    row = list(range(len(heard) + 1))
    for index, word in enumerate(said, start=1):
        diagonal, row[0] = row[0], index
        for column, other in enumerate(heard, start=1):
            diagonal, row[column] = row[column], min(row[column] + 1, row[column - 1] + 1, diagonal + (word != other))
    return row[-1]
