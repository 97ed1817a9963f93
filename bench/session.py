"""What every measure is given: how long, which models and clips, and a bar to move."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.clips import Form


@dataclass(frozen=True, slots=True)
class Session:
    """One run of the benchmark."""

    turns: int
    turn_s: float
    is_quick: bool
    cores: int
    models: Mapping[str, Path]  # directory by name; built for this run, but for the embedded one
    wavs: tuple[Path, ...]  # of five seconds
    forms: tuple[Form, ...]  # the same clips, as requests
    trimmed: tuple[Form, ...]  # 2.9 to 4.4 s
    on_turn: Callable[[str], None]

    async def in_turns(self, sides: Mapping[str, Callable[[], Awaitable[float]]]) -> dict[str, list[float]]:
        """Measure the sides one after the other, round after round."""
        found: dict[str, list[float]] = {name: [] for name in sides}
        for _ in range(self.turns):
            for name, measure in sides.items():
                self.on_turn(name)
                found[name].append(await measure())
        return found
