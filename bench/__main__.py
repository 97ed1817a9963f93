"""`whisper-fleet bench [options]`: measure, show, write BENCHMARKS.md."""

from __future__ import annotations

import asyncio
import os
import shlex
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from bench import clips, models, report
from bench.bars import QUICK_SLACK, Bar
from bench.ceiling import ceiling, scaling
from bench.clips import NoSamples
from bench.crowd import crowd
from bench.live import live
from bench.load import Refused
from bench.order import order
from bench.overhead import memory, overhead
from bench.session import Session
from bench.settings import MEASURES, BenchSettings
from bench.stand import EMBEDDED, DidNotStart
from bench.windows import batching, context
from fleet import settings
from fleet.plan import usable_cores
from fleet.serve import EXIT_OK, EXIT_STARTUP, StartupError

EXIT_MISSED = 1
CLIP_S = 5.0
EMBEDDED_NAME = "spoken-digits"


@dataclass(frozen=True, slots=True)
class Step:
    """One measure, and how many turns it takes for each round; 0: not in a quick run."""

    measure: Callable[[Session], Awaitable[list[Bar]]]
    quick: int
    full: int


STEPS = {
    "overhead": Step(overhead, 5, 5),
    "crowd": Step(crowd, 1, 1),
    "live": Step(live, 0, 1),
    "batching": Step(batching, 4, 4),
    "context": Step(context, 2, 6),
    "ceiling": Step(ceiling, 3, 9),
    "scaling": Step(scaling, 0, 4),
    "memory": Step(memory, 0, 1),
    "order": Step(order, 0, 1),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Measure; 1 when a measure fails, or --strict or --quick finds a bar missed, 3 when something cannot start."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    code = EXIT_OK
    try:
        wanted = settings.load(BenchSettings, os.environ, arguments, prog="whisper-fleet bench")
        code = asyncio.run(_run(wanted, shlex.join(["whisper-fleet", "bench", *arguments])))
    except* (settings.SettingError, StartupError, NoSamples) as group:
        print(f"error: {_first(group)}", file=sys.stderr)  # noqa: T201  a terminal command
        code = EXIT_STARTUP
    return code


async def _run(wanted: BenchSettings, command: str) -> int:
    names, file = chosen(wanted), written_to(wanted)
    began, others = time.monotonic(), await asyncio.to_thread(_others)
    bars: list[Bar] = []
    failed: list[str] = []  # one measure that fails does not cost the others
    columns = TextColumn("{task.description:<44}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %")
    with (
        TemporaryDirectory(prefix="whisper-fleet-bench-") as folder,
        Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True)) as progress,
    ):
        task = progress.add_task("building models of random weights", total=_turns(names, wanted))
        session = await asyncio.to_thread(_session, wanted, Path(folder), _mover(progress, task))
        for name in names:
            try:
                bars += await STEPS[name].measure(session)
            except* (DidNotStart, Refused, ValueError) as group:
                failed.append(f"{name}: {_first(group)}")
        progress.update(task, description="done", completed=progress.tasks[0].total)
    run = report.Run(
        command=command,
        made_at=datetime.now(UTC).strftime("%Y-%m-%d"),
        took_s=time.monotonic() - began,
        turns=wanted.turns,
        turn_s=wanted.turn_s,
        cores=session.cores,
        others=others,
    )
    _show(bars)
    if file is not None:
        _write(bars, run, file)
    for why in failed:
        print(f"error: {why}", file=sys.stderr)  # noqa: T201
    slack = QUICK_SLACK if wanted.quick and not wanted.strict else 1.0
    is_judged = wanted.quick or wanted.strict
    return EXIT_MISSED if failed or (is_judged and not all(bar.is_met(slack) for bar in bars)) else EXIT_OK


def chosen(wanted: BenchSettings) -> list[str]:
    """The measures, in order; raises SettingError for one that is not known."""
    unknown = set(wanted.only) - set(MEASURES)
    if unknown:
        raise settings.SettingError(f"ONLY knows {', '.join(MEASURES)}; not {', '.join(sorted(unknown))}.")
    return [
        name for name in MEASURES if (name in wanted.only if wanted.only else not wanted.quick or STEPS[name].quick)
    ]


def written_to(wanted: BenchSettings) -> Path | None:
    """The file, if there is to be one; raises SettingError now for what would fail after ten minutes."""
    if wanted.file is None:
        return None
    file = Path(wanted.file)
    if file.is_dir() or not os.access(file.parent, os.W_OK):
        raise settings.SettingError(f"OUT: {file} cannot be written; name a file in a folder that is there.")
    return file


def _turns(names: Sequence[str], wanted: BenchSettings) -> int:
    return wanted.turns * sum(STEPS[name].quick if wanted.quick else STEPS[name].full for name in names)


def _mover(progress: Progress, task: TaskID) -> Callable[[str], None]:
    """Told when a turn begins: the turns before it are done."""
    begun = 0

    def on_turn(name: str) -> None:
        nonlocal begun
        progress.update(task, description=name, completed=begun)
        begun += 1

    return on_turn


def _session(wanted: BenchSettings, folder: Path, on_turn: Callable[[str], None]) -> Session:
    """Models and clips, made before anything is timed."""
    shapes = {} if wanted.quick else models.SHAPES
    for name, shape in shapes.items():
        models.build(folder / name, shape)
    long_clips = clips.clips(CLIP_S)
    wavs = tuple(folder / f"{number}.wav" for number in range(len(long_clips)))
    for path, clip in zip(wavs, long_clips, strict=True):
        path.write_bytes(clip)
    return Session(
        turns=wanted.turns,
        turn_s=wanted.turn_s,
        is_quick=wanted.quick,
        cores=len(usable_cores()),
        models={EMBEDDED_NAME: EMBEDDED / EMBEDDED_NAME} | {name: folder / name for name in shapes},
        wavs=wavs,
        forms=tuple(clips.forms(long_clips)),
        trimmed=tuple(clips.forms(clips.trimmed())),
        on_turn=on_turn,
    )


def _show(bars: Sequence[Bar]) -> None:
    table = Table("what", "required", "measured", "figures", box=None, pad_edge=False)
    for bar in bars:
        style = "" if bar.is_met() else "yellow"
        table.add_row(bar.what.replace("`", ""), bar.required, bar.shown, bar.detail, style=style)
    Console(width=None if sys.stdout.isatty() else 200).print(table)


def _write(bars: Sequence[Bar], run: report.Run, file: Path) -> None:
    from bench import plot  # noqa: PLC0415  matplotlib takes its time; not for --help

    picture = file.with_suffix(".png")
    plot.draw(bars, picture)
    file.write_text(report.markdown(bars, run, report.machine(run.cores), picture.name))
    print(f"Written: {file}, {picture}")  # noqa: T201


def _others() -> float:
    """Cores that are busy before anything of ours has started."""
    return float(psutil.cpu_percent(interval=1.0)) / 100 * len(usable_cores())


def _first(group: BaseExceptionGroup[Exception]) -> BaseException:
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first


if __name__ == "__main__":
    sys.exit(main())
