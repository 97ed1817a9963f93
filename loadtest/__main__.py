"""`whisper-fleet loadtest [SCENARIO] [options]`: run, show, write the report; the exit code says how it went."""

import asyncio
import json
import os
import platform
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from rich.console import Console

from fleet import settings
from fleet.child import running
from fleet.serve import EXIT_OK, EXIT_STARTUP, StartupError
from fleet.supervise import ServiceFailed
from loadtest import clips, faults
from loadtest.clips import NoClips
from loadtest.report import Report, report_of, table, to_json
from loadtest.run import GeneratorFailed, generator_spec
from loadtest.scale import Leg, options_of, stops, target_of, tour
from loadtest.scenarios import SCENARIOS
from loadtest.settings import LoadtestSettings

EXIT_FAILED, EXIT_USAGE = 1, 2
UI_PORT = 8089
CI = "ci"  # a minute: scaling of the balancer with an engine that sleeps, then real words from the real model


def main(argv: Sequence[str] | None = None) -> int:
    """Run a scenario; 0 when it ran (and, with --strict, met what was asked), 1 when not, 3 when it cannot start."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    scenario = _taken(arguments)
    if scenario not in (*SCENARIOS, CI):
        return _fail(f"{scenario!r} is not a scenario; there are: {', '.join((*SCENARIOS, CI))}", EXIT_USAGE)
    code = EXIT_OK
    try:
        wanted = settings.load(LoadtestSettings, os.environ, arguments, prog="whisper-fleet loadtest [SCENARIO]")
        _check(wanted)
        code = asyncio.run(_pages(scenario, wanted) if wanted.ui else _run(scenario, wanted, arguments))
    except* (settings.SettingError, StartupError, ServiceFailed, GeneratorFailed, NoClips) as group:
        code = _fail(str(_first(group)), EXIT_STARTUP)
    return code


def _taken(arguments: list[str]) -> str:
    """The scenario, taken off: it stands first, or last where it cannot be an option's value."""
    if arguments and not arguments[0].startswith("-"):
        return arguments.pop(0)
    if len(arguments) > 1 and arguments[-1] in (*SCENARIOS, CI) and not arguments[-2].startswith("-"):
        return arguments.pop()
    return "scaling"


def _check(wanted: LoadtestSettings) -> None:
    """Whatever is wrong with the settings is said before a fleet is started for them."""
    wanted.sizes()
    wanted.balancers()
    faults.parsed(wanted.faults)
    clips.load(Path(wanted.samples), medium_s=wanted.medium_s, long_s=wanted.long_s, seed=wanted.seed)


async def _run(scenario: str, wanted: LoadtestSettings, arguments: Sequence[str]) -> int:
    console = Console(stderr=True)
    legs: list[Leg] = []
    for name, each in _parts(scenario, wanted):
        legs += await tour(name, each, console)
    report = report_of(
        legs,
        made_at=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        command=shlex.join(["whisper-fleet", "loadtest", scenario, *arguments]),
        machine=machine(),
        wrong_above=wanted.wrong_above,
        least_efficiency=wanted.least_efficiency,
    )
    _show(report, write(report, Path(wanted.out)))
    return EXIT_FAILED if report.complaints and (wanted.strict or scenario == CI) else EXIT_OK


def _parts(scenario: str, wanted: LoadtestSettings) -> list[tuple[str, LoadtestSettings]]:
    if scenario != CI:
        return [(scenario, wanted)]
    short = replace(wanted, workers=("1", "2"), step_s=min(wanted.step_s, 2.5))
    return [("scaling", replace(short, model="fake:0.05")), ("mixed", replace(short, workers=("2",), long_s=60))]


async def _pages(scenario: str, wanted: LoadtestSettings) -> int:
    """Locust's own pages in front of the largest fleet, until Ctrl-C."""
    stop = stops("scaling" if scenario == CI else scenario, wanted)[-1]
    async with target_of(stop, wanted) as target:
        options = [*options_of(stop, wanted, wanted.capacity), "--web-host", "127.0.0.1", "--web-port", str(UI_PORT)]
        print(f"Locust's pages: http://127.0.0.1:{UI_PORT}  (target {target.url}; Ctrl-C stops)")  # noqa: T201
        async with running(generator_spec(target.url, options, dict(os.environ))) as child:
            return await child.wait(lambda line: print(line, file=sys.stderr))  # noqa: T201


def write(report: Report, folder: Path) -> Path:
    """report.json, report.html and the plots; the page's path."""
    from loadtest import page, plots  # noqa: PLC0415  matplotlib takes its time; not for --help

    folder.mkdir(parents=True, exist_ok=True)
    drawn = plots.plots_of(report)
    (folder / "report.json").write_text(json.dumps(to_json(report), indent=1) + "\n")
    for name, (_, plot) in drawn.items():
        (folder / f"{name}.png").write_bytes(plots.png(plot, plots.WIDE))
    html = folder / "report.html"
    html.write_text(page.page(report, drawn))
    return html


def machine() -> dict[str, str]:
    """What the figures were measured on and with."""
    names = ("whisper-fleet", "locust", "aiohttp", "ctranslate2", "faster-whisper")
    return {
        "cores": str(os.cpu_count()),
        "processor": _processor(),
        "system": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        **{name: text for name in names if (text := _version(name))},
    }


def _show(report: Report, html: Path) -> None:
    console = Console(width=None if sys.stdout.isatty() else 200)
    console.print(table(report))
    for point in report.scaling:
        plural = "s" * (point.workers != 1)
        what = f"{point.workers} worker{plural} behind {point.balancer}: {point.requests_per_s:.2f} right answers/s"
        console.print(f"{what}, {point.audio_s_per_s:.0f} audio s/s, {point.efficiency:.3f} of ideal", highlight=False)
    for text in (*report.warnings, *report.complaints):
        console.print(f"! {text}", style="yellow", highlight=False, markup=False)
    console.print(f"Report: {html}  (report.json and the plots beside it)", highlight=False)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()


def _version(name: str) -> str:
    try:
        return version(name)
    except ModuleNotFoundError:
        return ""


def _first(group: BaseExceptionGroup[Exception]) -> BaseException:
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first


def _fail(message: str, code: int) -> int:
    print(f"error: {message}", file=sys.stderr)  # noqa: T201  a terminal command
    return code


if __name__ == "__main__":
    sys.exit(main())
