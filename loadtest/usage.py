"""CPU seconds of each part of a run: a generator that shares the cores with the fleet is part of the result."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import psutil

from fleet.child import ChildSpec
from loadtest.faults import service_of

GENERATOR, BALANCER, WORKERS, OTHERS = "generator", "balancer", "workers", "others"


@dataclass(frozen=True, slots=True)
class Sample:
    """CPU seconds used up to a moment, by part."""

    at_s: float
    cpu_s: Mapping[str, float]


@dataclass(slots=True)
class Meter:
    """Reads the CPU clocks of processes and all that they started. State: the samples so far."""

    parts: Mapping[str, Sequence[ChildSpec]]
    samples: list[Sample] = field(default_factory=list)

    def read(self, at_s: float) -> None:
        """Take a sample."""
        cpu_s = {part: sum(_cpu_s(spec) for spec in specs) for part, specs in self.parts.items()}
        cpu_s[OTHERS] = _machine_cpu_s() - sum(cpu_s.values())
        self.samples.append(Sample(at_s, cpu_s))


def cores_used(before: Sample, after: Sample) -> dict[str, float]:
    """Cores that each part kept busy between two samples; a process that ended in between takes its share with it."""
    length_s = max(0.001, after.at_s - before.at_s)
    return {part: max(0.0, after.cpu_s[part] - before.cpu_s[part]) / length_s for part in after.cpu_s}


def _machine_cpu_s() -> float:
    """What all processes of this machine used since it started."""
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0))


def _cpu_s(spec: ChildSpec) -> float:
    process = service_of(spec)
    if process is None:
        return 0.0
    total = 0.0
    for each in (process, *_family(process)):
        try:
            times = each.cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system
    return total


def _family(process: psutil.Process) -> list[psutil.Process]:
    try:
        return list(process.children(recursive=True))
    except psutil.Error:
        return []
