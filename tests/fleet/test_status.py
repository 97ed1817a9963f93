"""The table over a router's report, whatever the report leaves out."""

import asyncio
import io
import json
import sys

import pytest
from aiohttp import web
from rich.console import Console

from fleet import status

REPORT = {
    "router": {"state": "serving"},
    "fleet": {"workers": 2, "ready": 1, "slots": 2, "busy": 1},
    "queue": {"len": 3, "work_s": 12.3456},
    "totals": {"requests": 27, "ok": 18, "caller_error": 9, "refused": 0, "failed": 0},
    "workers": [
        {"id": "w1", "state": "ready", "slots": 1, "inflight": 1, "rtf": 0.0123, "lat_s": {"p50": 0.2}, "why": None},
        {"id": "w2", "state": "refused", "breaker": {"last_error": "refused 3 s ago"}},
    ],
}


def drawn(report):
    """The table as text."""
    out = io.StringIO()
    Console(file=out, width=200).print(status.table(report))
    return out.getvalue()


def test_table():
    """One line about the fleet, one row a worker, numbers short."""
    text = drawn(REPORT)
    assert "1 of 2 workers ready | 1 of 2 slots busy | 3 waiting, 12.3 s of work | requests: 27 (" in text
    assert "27 (18 ok, 9 wrong from the caller, 0 failed)\n" in text
    assert "1/1" in text
    assert "0.0123" in text
    assert "down " in text
    assert "refused " not in text.replace("last failure: refused", "")
    assert "last failure: refused 3 s ago" in text


@pytest.mark.parametrize(
    "report", [{}, {"workers": []}, {"workers": [{}]}, {"router": None, "workers": [{"lat_s": 3}]}]
)
def test_tolerant(report):
    """A report of another version is shown as far as it goes."""
    assert "worker" in drawn(report)


async def run(*arguments):
    """Exit code, stdout, stderr of the command."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "fleet.cli", "status", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def test_command(aiohttp_server, unused_tcp_port):
    """A table or the report itself; nobody there is exit code 1; another server is told apart."""

    async def report(request):
        return web.json_response(REPORT)

    async def other(request):
        return web.json_response([])

    app = web.Application()
    app.router.add_get("/lb-status", report)
    app.router.add_get("/other/lb-status", other)
    url = str((await aiohttp_server(app)).make_url("/"))

    code, out, _ = await run("--url", url)
    assert (code, "1 of 2 workers ready" in out) == (0, True)
    code, out, _ = await run("--url", url, "--json")
    assert json.loads(out) == REPORT
    code, _, err = await run("--url", f"{url}other/")
    assert (code, "is not a router" in err) == (1, True)
    code, _, err = await run("--url", f"http://127.0.0.1:{unused_tcp_port}")
    assert (code, "connection refused" in err, "--url" in err) == (1, True, False)
