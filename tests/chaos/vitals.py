"""What processes hold: memory, descriptors, threads, children, read from outside."""

from __future__ import annotations

import time
from dataclasses import dataclass
from statistics import median

import psutil


@dataclass(frozen=True, slots=True)
class Vitals:
    """One look at a service and everything it started."""

    at_s: float
    rss_mb: float
    fds: int
    threads: int
    children: int

    @classmethod
    def of(cls, pid: int, since: float = 0.0) -> Vitals:
        """Now; `fds` and `threads` are of the service itself, memory of all its processes together."""
        service = psutil.Process(pid)
        family = service.children(recursive=True)
        return cls(
            at_s=round(time.monotonic() - since, 1),
            rss_mb=round((_rss(service) + sum(map(_rss, family))) / 1e6, 2),
            fds=service.num_fds(),
            threads=service.num_threads(),
            children=len(family),
        )


def growth_pct(looks: list[Vitals], name: str, *, share: float = 1 / 6) -> float:
    """By how much the median of the last part is more than the median of the first, in percent."""
    count = max(1, round(len(looks) * share))
    first, last = (median(getattr(look, name) for look in part) for part in (looks[:count], looks[-count:]))
    return round(100 * (last / first - 1), 2)


def _rss(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0
