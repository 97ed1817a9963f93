"""`whisper-fleet status`: what /lb-status says, as a table in the terminal; `--watch` keeps it up to date."""

import argparse
import asyncio
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import aiohttp
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from fleet import remote
from fleet.figure import figure
from fleet.options import Parser

EXIT_OK, EXIT_FAILED = 0, 1
ANSWER_TIMEOUT_S = 5
COLOURS = {"ready": "green", "loading": "yellow", "warming": "yellow", "draining": "yellow", "half-open": "yellow"}

# how the router counts ends, in words
ENDS = {
    "ok": "{} ok",
    "caller_error": "{} wrong from the caller",
    "refused": "{} refused",
    "failed": "{} failed",
    "client_cancel": "{} given up by the caller",
    "deadline": "{} too late",
}
ALWAYS = ("ok", "failed")
NOTE = "note"  # the column that is there only if it has something to say
WIDE = 120  # columns of a terminal that has room for everything, and of a pipe

Report = Mapping[str, Any]


def main(argv: Sequence[str] | None = None) -> int:
    """Show the fleet; 1 if it cannot be asked."""
    options = _parser().parse_args(argv)
    try:
        return asyncio.run(_watch(options) if options.watch else _once(options))
    except remote.RemoteError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_FAILED
    except KeyboardInterrupt:
        return EXIT_OK


def _parser() -> Parser:
    parser = Parser(prog="whisper-fleet status", description="What a running fleet is doing.")
    parser.add_argument("--watch", action="store_true", help="keep showing it until Ctrl-C (default: once)")
    parser.add_argument("--interval", type=float, default=2, metavar="S", help="of --watch, in seconds (default: 2)")
    parser.add_argument("--json", action="store_true", help="print the report itself (default: a table)")
    remote.add_options(parser)
    return parser


async def _once(options: argparse.Namespace) -> int:
    async with remote.session(options.url, options.key, ANSWER_TIMEOUT_S) as http:
        report = await fetch(http, options.url)
    if options.json:
        print(json.dumps(report, indent=2))
    else:
        console = Console(width=None if sys.stdout.isatty() else WIDE)
        console.print(table(report, console.width))
    return EXIT_OK


async def _watch(options: argparse.Namespace) -> int:
    async with remote.session(options.url, options.key, ANSWER_TIMEOUT_S) as http:
        shown: RenderableType = Text("asking ...")
        with Live(shown, auto_refresh=False, screen=sys.stdout.isatty()) as live:
            while True:
                try:
                    shown = table(await fetch(http, options.url), live.console.width)
                except remote.RemoteError as error:
                    shown = Text(str(error), style="red")
                live.update(shown, refresh=True)
                await asyncio.sleep(options.interval)


async def fetch(http: aiohttp.ClientSession, url: str) -> Report:
    """The router's report; raises RemoteError."""
    try:
        async with http.get("lb-status", headers={"Accept": "application/json"}) as response:
            report = json.loads(await remote.body_of(response))
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise remote.explained(error, url) from error
    if not isinstance(report, dict):
        raise remote.RemoteError(f"{url} is not a router of a fleet")
    return report


def table(report: Report, width: int = WIDE) -> RenderableType:
    """One line about the fleet, one row a worker, as many columns as fit. What a report leaves out stays blank."""
    workers = report.get("workers", ())
    columns = [column for column in COLUMNS if width >= WIDE or not column.is_extra]
    columns = [column for column in columns if column.title != NOTE or any(map(column.read, workers))]
    rows = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        rows.add_column(column.title, justify=column.justify, no_wrap=column.title != NOTE)
    for worker in workers:
        rows.add_row(*[_cell(column, worker) for column in columns])
    return Group(Text(summary(report)), "", rows)


def summary(report: Report) -> str:
    """`router serving | 2 of 2 workers ready | 1 of 2 slots busy | 0 waiting | requests: 12 (11 ok ...)`."""
    parts = [
        f"router {_at(report, 'router.state')}",
        f"{_at(report, 'fleet.ready')} of {_at(report, 'fleet.workers')} workers ready",
        f"{_at(report, 'fleet.busy')} of {_at(report, 'fleet.slots')} slots busy",
        f"{_at(report, 'queue.len')} waiting, {_at(report, 'queue.work_s')} s of work",
        f"requests: {_at(report, 'totals.requests')} ({_ends(report)})",
    ]
    return " | ".join(parts)


def _ends(report: Report) -> str:
    """How requests ended, so that a caller's mistake is not taken for a failure; rare ends only if there are any."""
    counts = {name: _at(report, f"totals.{name}") for name in ENDS}
    return ", ".join(
        ENDS[name].format(count) for name, count in counts.items() if count not in ("", "0") or name in ALWAYS
    )


def _cell(column: "Column", worker: Report) -> Text:
    value = column.read(worker)
    return Text(value, style=COLOURS.get(value, "red") if column.title == "state" else "")


def _at(report: Any, path: str) -> str:
    """The value at a dotted path, short; empty where there is none."""
    for name in path.split("."):
        report = report.get(name) if isinstance(report, Mapping) else None
    if isinstance(report, float):
        return figure(report)
    return "" if report is None else str(report)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the table; an extra one needs a wide terminal."""

    title: str
    read: Callable[[Report], str]
    justify: Literal["left", "right"] = "right"
    is_extra: bool = False


def _path(path: str) -> Callable[[Report], str]:
    return lambda worker: _at(worker, path)


def _last_failure(worker: Report) -> str:
    """Of a worker that is well again."""
    said = _at(worker, "breaker.last_error")
    return f"last failure: {said}" if said else ""


COLUMNS = (
    Column("worker", _path("id"), "left"),
    Column("state", lambda worker: _at(worker, "state").replace("refused", "down"), "left"),  # as the page calls it
    Column("model", _path("model"), "left"),
    Column("device", _path("device"), "left", is_extra=True),
    Column("busy", lambda worker: f"{_at(worker, 'inflight')}/{_at(worker, 'slots')}"),
    Column("work s", _path("mine_work_s"), is_extra=True),
    Column("rtf", _path("rtf")),
    Column("requests", _path("total")),
    Column("errors", _path("err")),
    Column("p50 s", _path("lat_s.p50")),
    Column("p95 s", _path("lat_s.p95")),
    Column("share %", _path("share_pct"), is_extra=True),
    Column(NOTE, lambda worker: _at(worker, "why") or _last_failure(worker), "left"),
)
