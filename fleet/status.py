"""`whisper-fleet status`: what /lb-status says, as a table in the terminal; `--watch` keeps it up to date."""

import argparse
import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from fleet import remote

EXIT_OK, EXIT_FAILED = 0, 1
ANSWER_TIMEOUT_S = 5
COLOURS = {"ready": "green", "loading": "yellow", "warming": "yellow", "draining": "yellow", "half-open": "yellow"}

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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="whisper-fleet status", description="What a running fleet is doing.")
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
        Console().print(table(report))
    return EXIT_OK


async def _watch(options: argparse.Namespace) -> int:
    async with remote.session(options.url, options.key, ANSWER_TIMEOUT_S) as http:
        shown: RenderableType = Text("asking ...")
        with Live(shown, auto_refresh=False, screen=sys.stdout.isatty()) as live:
            while True:
                try:
                    shown = table(await fetch(http, options.url))
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


def table(report: Report) -> RenderableType:
    """One line about the fleet, one row a worker. What a report leaves out stays blank."""
    rows = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("worker", "state", "model", "device"):
        rows.add_column(name)
    for name in ("busy", "work s", "rtf", "requests", "errors", "p50 s", "p95 s", "share %"):
        rows.add_column(name, justify="right")
    rows.add_column("why")
    for worker in report.get("workers", ()):
        rows.add_row(*_row(worker))
    return Group(Text(summary(report)), "", rows)


def summary(report: Report) -> str:
    """`router serving | 2 of 2 workers ready | 1 of 2 slots busy | 0 waiting | 12 requests, 12 ok`."""
    parts = [
        f"router {_at(report, 'router.state')}",
        f"{_at(report, 'fleet.ready')} of {_at(report, 'fleet.workers')} workers ready",
        f"{_at(report, 'fleet.busy')} of {_at(report, 'fleet.slots')} slots busy",
        f"{_at(report, 'queue.len')} waiting, {_at(report, 'queue.work_s')} s of work",
        f"{_at(report, 'totals.requests')} requests, {_at(report, 'totals.ok')} ok",
    ]
    return " | ".join(parts)


def _row(worker: Report) -> list[RenderableType]:
    state = _at(worker, "state")
    return [
        _at(worker, "id"),
        Text(state, style=COLOURS.get(state, "red")),
        _at(worker, "model"),
        _at(worker, "device"),
        f"{_at(worker, 'inflight')}/{_at(worker, 'slots')}",
        _at(worker, "mine_work_s"),
        _at(worker, "rtf"),
        _at(worker, "total"),
        _at(worker, "err"),
        _at(worker, "lat_s.p50"),
        _at(worker, "lat_s.p95"),
        _at(worker, "share_pct"),
        _at(worker, "why") or _at(worker, "breaker.last_error"),
    ]


def _at(report: Any, path: str) -> str:
    """The value at a dotted path, short; empty where there is none."""
    for name in path.split("."):
        report = report.get(name) if isinstance(report, Mapping) else None
    if isinstance(report, float):
        return f"{report:.3g}" if abs(report) < 1000 else f"{report:.0f}"
    return "" if report is None else str(report)
