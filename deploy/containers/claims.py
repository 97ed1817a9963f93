"""What was checked, one line for each; the list of what did not hold is the exit code."""

from __future__ import annotations

problems: list[str] = []


def claim(what: str, holds: bool, detail: object = "") -> None:
    """Print it, with what was seen; remember it when it does not hold."""
    print(f"{'ok  ' if holds else 'FAIL'}  {what}{f'  ({detail})' if detail != '' else ''}", flush=True)
    if not holds:
        problems.append(what)
