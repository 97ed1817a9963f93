"""
One run: Locust in a process of its own against one target, faults and CPU accounting beside it.

The generator writes its record as it goes; this side reads along, to know how far it is and when faults are due.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fleet.child import ChildSpec, running
from loadtest.faults import Fault, inject
from loadtest.outcome import Heading, Outcome, PhaseSpan, Record, from_line
from loadtest.target import Target
from loadtest.usage import BALANCER, GENERATOR, WORKERS, Meter, Sample

LOCUSTFILE = Path(__file__).with_name("locustfile.py")
POLL_S = 0.2
LAST_WORDS = 15


class GeneratorFailed(Exception):
    """The load generator ended without a whole record; the message has its last words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What a run left: its record, CPU samples (one before and one after each phase), and what was done to it."""

    record: Record
    samples: Sequence[Sample]
    faults: Sequence[Fault]


async def run(
    target: Target,
    options: Sequence[str],
    environ: dict[str, str],
    *,
    faults: Sequence[Fault] = (),
    on_progress: Callable[[float, Record], None] = lambda seconds, record: None,
) -> Ran:
    """Run it to its end; raises GeneratorFailed, in a group."""
    with tempfile.TemporaryDirectory(prefix="whisper-fleet-") as folder:
        record = Path(folder) / "record.jsonl"
        record.touch()
        generator = generator_spec(target.url, [*options, "--headless", "--record", str(record)], environ)
        parts = {
            GENERATOR: [generator],
            WORKERS: target.workers,
            BALANCER: [target.balancer] if target.balancer else [],
        }
        reader = RecordReader(record, Meter(parts), on_progress)
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(reader.follow())
            breaking = [group.create_task(_break(fault, target, reader)) for fault in faults]
            code, words = await _generate(generator)
            for task in (reading, *breaking):
                task.cancel()
        reader.read()
        if code != 0 or reader.record is None or not reader.record.phases:
            raise GeneratorFailed(f"the load generator ended with exit code {code}: " + " | ".join(words))
        return Ran(record=reader.record, samples=reader.meter.samples, faults=faults)


def generator_spec(url: str, options: Sequence[str], environ: dict[str, str]) -> ChildSpec:
    """How to start Locust; with its pages where `--headless` is not among the options."""
    command = (
        sys.executable,
        "-P",
        "-m",
        "locust",
        "-f",
        str(LOCUSTFILE),
        "--host",
        url,
        "--stop-timeout",
        "120",
        "--only-summary",
    )
    return ChildSpec(
        name=GENERATOR, command=(*command, "--exit-code-on-error", "0", *options), ready_url="", environ=environ
    )


class RecordReader:
    """Reads a record while it is being written. State: the part that was read, and the file's position."""

    def __init__(self, path: Path, meter: Meter, on_progress: Callable[[float, Record], None]) -> None:
        self.record: Record | None = None
        self.began = asyncio.Event()
        self.meter = meter
        self._on_progress = on_progress
        self._path, self._position, self._rest = path, 0, ""

    def now_s(self) -> float:
        """Seconds since the run began, on the clock that the generator uses too."""
        return time.monotonic() - self.record.heading.began_s if self.record else 0.0

    async def follow(self) -> None:
        """Read on until cancelled."""
        while True:
            self.read()
            await asyncio.sleep(POLL_S)

    def read(self) -> None:
        """Take in what was written since."""
        with self._path.open() as file:
            file.seek(self._position)
            text = self._rest + file.read()
            self._position = file.tell()
        *lines, self._rest = text.split("\n")
        for line in lines:
            self._take(from_line(line))
        if self.record is not None:
            self._on_progress(self.now_s(), self.record)

    def _take(self, item: Heading | PhaseSpan | Outcome) -> None:
        if isinstance(item, Heading):
            self.record = Record(item)
            self.began.set()
        if self.record is None:
            return
        if isinstance(item, Outcome):
            self.record.outcomes.append(item)
            return
        if isinstance(item, PhaseSpan):
            self.record.phases.append(item)
        self.meter.read(self.now_s())


async def _generate(spec: ChildSpec) -> tuple[int, list[str]]:
    words: list[str] = []
    async with running(spec) as child:
        code = await child.wait(words.append)
    return code, words[-LAST_WORDS:]


async def _break(fault: Fault, target: Target, reader: RecordReader) -> None:
    await reader.began.wait()
    await asyncio.sleep(max(0.0, fault.at_s - reader.now_s()))
    if fault.worker <= len(target.workers):
        await inject(fault, target.workers[fault.worker - 1])
