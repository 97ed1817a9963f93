"""
`whisper-fleet size`: how many workers a number of callers needs (core: no I/O but the printing of the answer).

A fleet is a queue with c servers: calls arrive independently of each other, wait in one line, and are served by the
first free worker. Erlang's delay formula says how likely a call is to wait at all, and for longer than t (A. K. Erlang,
1917; L. Kleinrock, Queueing Systems I, 1975, section 3.5, M/M/m):

    a = calls a second x seconds of work a call                          (workers kept busy)
    B(0) = 1,  B(k) = a B(k-1) / (k + a B(k-1))                          (Erlang B, by recursion)
    C = B(c) / (1 - (a/c) (1 - B(c)))                                    (a call finds every worker busy)
    P(wait > t) = C exp(-(c - a) t / work)

It takes service times to vary as much as an exponential distribution does. Clips of about one length vary less and wait
less, so the answer is on the safe side; an hour-long file among them varies more.
"""

import math
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from fleet.settings import SettingError, load, setting

WINDOW_S = 30.0  # Whisper encodes so much at a time, however little of it is speech
WORKERS_MOST = 10_000
EXIT_USAGE = 2


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds of one core: for each window of at most 30 s, and for each second of audio."""

    window_s: float
    audio_s: float

    def work_s(self, clip_s: float) -> float:
        """Seconds of work for one clip."""
        return self.window_s * math.ceil(clip_s / WINDOW_S) + self.audio_s * clip_s


# BENCHMARKS.md: whole fleets of one-thread workers on an AMD EPYC, over HTTP, clips of 5 s. What a window costs beside
# what audio costs is the difference that AUDIO_CONTEXT=auto makes there.
MEASURED = {
    "spoken-digits": Measured(0.0, 0.0058),
    "tiny": Measured(0.43, 0.024),
    "base": Measured(0.79, 0.04),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeSettings:
    """How many workers and cores a number of callers needs."""

    callers: int = setting(10, "people who talk at the same time", unit="callers", least=1, most=1_000_000)
    talk: float = setting(0.5, "share of the time that each of them really talks", unit="ratio", least=0.001, most=1)
    clip_s: float = setting(5, "length of the clips that their speech is sent in", unit="s", least=0.1, most=14_400)
    model: str = setting("base", f"one that was measured: {', '.join(MEASURED)}; for another give --rtf")
    rtf: float | None = setting(
        None,
        "seconds of work a second of audio, of one worker; whisper-fleet status shows a running one's; unset: the "
        "model's measured work on one core",
        unit="ratio",
        least=0.00001,
        most=1000,
    )
    threads: int = setting(1, "cores a worker has; with more than one give --rtf", unit="cores", least=1, most=256)
    wait_s: float = setting(1, "a wait for a worker that is just bearable", unit="s", least=0, most=3600)
    late: float = setting(0.05, "share of the clips that may wait longer", unit="ratio", least=0.000001, most=0.99)
    spare: int = setting(1, "workers that may be down while all this still holds", unit="workers", least=0, most=1000)
    core_price: float | None = setting(None, "what a core costs an hour, in any currency", least=0)

    @property
    def work_s(self) -> float:
        """Seconds of one worker's time for a clip; raises SettingError for a model that nobody measured."""
        if self.rtf is not None:
            return self.rtf * self.clip_s
        if self.model not in MEASURED:
            raise SettingError(f"MODEL {self.model} was not measured ({', '.join(MEASURED)} were): give its RTF.")
        if self.threads > 1:
            raise SettingError("THREADS above 1 needs RTF: what was measured is one thread on one core.")
        return MEASURED[self.model].work_s(self.clip_s)


@dataclass(frozen=True, slots=True)
class Load:
    """Calls a second, and seconds of work each."""

    calls_per_s: float
    work_s: float

    @property
    def busy(self) -> float:
        """Workers kept busy on average, in Erlangs."""
        return self.calls_per_s * self.work_s

    def share_waiting(self, workers: int, longer_than_s: float = 0.0) -> float:
        """Share of the calls that wait longer; 1 where the line grows for ever."""
        if workers <= self.busy:
            return 1.0
        return erlang_c(workers, self.busy) * math.exp(-(workers - self.busy) * longer_than_s / self.work_s)

    def mean_wait_s(self, workers: int) -> float:
        """Seconds, over all calls."""
        if workers <= self.busy:
            return math.inf
        return erlang_c(workers, self.busy) * self.work_s / (workers - self.busy)

    def workers_for(self, wait_s: float, late: float) -> int:
        """The fewest workers with which no more than `late` of the calls wait longer than `wait_s`."""
        for workers in range(math.floor(self.busy) + 1, WORKERS_MOST + 1):
            if self.share_waiting(workers, wait_s) <= late:
                return workers
        raise SettingError(f"That load needs more than {WORKERS_MOST} workers.")


def erlang_c(servers: int, busy: float) -> float:
    """The share of calls that find every server busy, for `busy` < `servers`."""
    blocked = 1.0
    for server in range(1, servers + 1):
        blocked = busy * blocked / (server + busy * blocked)
    return blocked / (1 - busy / servers * (1 - blocked))


def main(argv: Sequence[str] | None = None) -> int:
    """Print the answer; 2 for a question that has none."""
    try:
        wanted = load(SizeSettings, os.environ, sys.argv[1:] if argv is None else argv, prog="whisper-fleet size")
        print("\n".join(answer(wanted)))
    except SettingError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_USAGE
    return 0


def answer(wanted: SizeSettings) -> list[str]:
    """What a person wants to know, line by line; raises SettingError."""
    audio_s = wanted.callers * wanted.talk
    load_ = Load(audio_s / wanted.clip_s, wanted.work_s)
    workers = load_.workers_for(wanted.wait_s, wanted.late)
    cores = (workers + wanted.spare) * wanted.threads
    source = "as given" if wanted.rtf is not None else f"{wanted.model}, measured on one core of an AMD EPYC"
    lines = [
        f"load       {audio_s:.3g} s of speech a second, in clips of {wanted.clip_s:g} s:"
        f" {load_.calls_per_s:.3g} a second",
        f"work       {load_.work_s:.3g} s for a clip ({source}): keeps {load_.busy:.3g} workers busy",
        f"workers    {workers}: busy {load_.busy / workers:.0%} of the time; {load_.share_waiting(workers):.1%} of the"
        f" clips wait, {load_.share_waiting(workers, wanted.wait_s):.1%} longer than {wanted.wait_s:g} s;"
        f" mean {load_.mean_wait_s(workers):.2g} s",
        f"to have    {workers + wanted.spare} workers, {cores} cores: {wanted.spare} may be down",
    ]
    if wanted.core_price is not None:
        price = cores * wanted.core_price
        lines.append(f"price      {price:.4g} an hour, {price / audio_s:.3g} for each hour of speech")
    return lines
