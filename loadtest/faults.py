"""
Faults on a timeline: `kill:1@20`, `stall:2@20+5`, `slow:1@30+10`, `drain:2@40`, with commas between.

Seconds count from the run's start, as the report's time axis does. Which process is the worker's is found by its
minder, among this process's own children, so that nothing else can be hit.
"""

import asyncio
import re
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import psutil

from fleet.child import MINDER, ChildSpec
from fleet.settings import SettingError

DUTY_S = 0.2  # a slowed worker is held for three quarters of every such span
DEFAULT_LENGTH_S = 2.0

FORM = re.compile(
    r"(?P<kind>kill|stall|slow|drain):(?P<worker>[1-9]\d*)@(?P<at>\d+(?:\.\d+)?)(?:\+(?P<length>\d+(?:\.\d+)?))?"
)


class FaultKind(StrEnum):
    """What is done to a worker."""

    KILL = "kill"  # SIGKILL; the supervisor starts it again
    STALL = "stall"  # stopped for a while: it keeps its connections and answers nothing
    SLOW = "slow"  # runs a quarter of the time for a while
    DRAIN = "drain"  # SIGTERM: finishes what it has and ends; the supervisor starts it again


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. `worker` counts from 1; `length_s` is that of stalls and slowness."""

    kind: FaultKind
    worker: int
    at_s: float
    length_s: float

    def __str__(self) -> str:
        """As it is shown on the time axis."""
        length = f" for {self.length_s:g} s" if self.kind in (FaultKind.STALL, FaultKind.SLOW) else ""
        return f"{self.kind} worker {self.worker}{length}"


def parsed(texts: Sequence[str]) -> list[Fault]:
    """The timeline in order; raises SettingError."""
    return sorted((_parsed(text) for text in texts), key=lambda fault: fault.at_s)


async def inject(fault: Fault, spec: ChildSpec) -> None:
    """Do it; returns when it is over. A stopped worker goes on again however this ends."""
    process = service_of(spec)
    if process is None:
        return
    if fault.kind is FaultKind.KILL:
        process.kill()
    elif fault.kind is FaultKind.DRAIN:
        process.terminate()
    elif fault.kind is FaultKind.STALL:
        await _hold(process, fault.length_s)
    else:
        for _ in range(max(1, round(fault.length_s / DUTY_S))):
            await _hold(process, DUTY_S * 3 / 4)
            await asyncio.sleep(DUTY_S / 4)


def service_of(spec: ChildSpec) -> psutil.Process | None:
    """The service behind its minder; by the minder's command line, for nginx rewrites its own."""
    command = list(spec.command)
    for process in psutil.Process().children(recursive=True):
        try:
            line = process.cmdline()
            if str(MINDER) in line and line[-len(command) :] == command:
                return next(iter(process.children()), None)
        except psutil.Error:
            continue
    return None


async def _hold(process: psutil.Process, length_s: float) -> None:
    try:
        process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(length_s)
    except psutil.NoSuchProcess:
        return
    finally:
        if process.is_running():
            process.send_signal(signal.SIGCONT)


def _parsed(text: str) -> Fault:
    found = FORM.fullmatch(text)
    if found is None:
        raise SettingError(
            f"FAULTS takes kill, stall, slow or drain:WORKER@SECOND[+LENGTH], such as stall:2@30+5; not {text!r}."
        )
    length_s = float(found["length"] or DEFAULT_LENGTH_S)
    return Fault(FaultKind(found["kind"]), int(found["worker"]), float(found["at"]), length_s)
