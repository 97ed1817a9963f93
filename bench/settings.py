"""How long to measure, what, and where to write it."""

from __future__ import annotations

from dataclasses import dataclass

from fleet.settings import setting

MEASURES = ("overhead", "crowd", "live", "batching", "context", "ceiling", "scaling", "memory", "order")


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchSettings:
    """Measure this machine's fleet against bare engine loops, and write BENCHMARKS.md with a picture."""

    quick: bool = setting(False, "half a minute, shows what is broken, writes nothing unless OUT is given")
    only: tuple[str, ...] = setting((), f"measure only these, with commas, of {', '.join(MEASURES)}")
    rounds: int | None = setting(None, "turns of each side of a ratio; unset: 3, quick 1", least=1, most=100)
    round_s: float | None = setting(None, "length of a turn; unset: 8, quick 1.5", unit="s", least=0.5)
    out: str | None = setting(None, "file to write; unset: BENCHMARKS.md, quick none")
    strict: bool = setting(False, "fail where a bar is missed; quick fails only far beyond it")

    @property
    def turns(self) -> int:
        """How often each side of a ratio is measured."""
        return self.rounds or (1 if self.quick else 3)

    @property
    def turn_s(self) -> float:
        """How long each time."""
        return self.round_s or (1.5 if self.quick else 8.0)

    @property
    def file(self) -> str | None:
        """Where the figures go; None: to the terminal only."""
        return self.out or (None if self.quick else "BENCHMARKS.md")
