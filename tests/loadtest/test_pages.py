"""The figures of speech on Locust's own pages."""

import asyncio
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable

import pytest

from fleet.child import running
from loadtest.outcome import Ending, Outcome
from loadtest.pages import COLUMNS, rows
from loadtest.recorder import Tally
from loadtest.run import generator_spec
from tests.integration.processes import free_port


def test_rows_have_every_column(outcome: Callable[..., Outcome]) -> None:
    """
    RTFx, audio seconds per second, queue wait and shares, for people to read.
    """
    tally = Tally()
    for due_s in range(9):
        tally.add(outcome(due_s, 0.5, queue_ms=20.0))
    tally.add(outcome(8, ending=Ending.SHED))
    (row,) = rows({"all": tally})

    assert set(COLUMNS) <= set(row)
    assert (row["rtfx_p50"], row["queue_p95_ms"], row["shed_share"]) == (8.0, 20, "10.0%")


def test_rows_of_a_run_without_answers_are_empty_not_wrong() -> None:
    """
    A table can be drawn before the first answer.
    """
    assert rows({"all": Tally()})[0]["p95_ms"] is None


@pytest.mark.real
async def test_locusts_pages_have_the_tab() -> None:
    """
    The page offers the tab, and the figures that it asks for every two seconds carry the rows.
    """
    port = free_port()
    options = ["--web-host", "127.0.0.1", "--web-port", str(port), "--scenario", "mixed"]
    async with running(generator_spec("http://127.0.0.1:9", options, dict(os.environ))):
        page = await asyncio.to_thread(_fetch, f"http://127.0.0.1:{port}/")
        stats = await asyncio.to_thread(_fetch, f"http://127.0.0.1:{port}/stats/requests")

    assert "Speech" in page
    assert all(title.split(" (")[0] in page for title in COLUMNS.values())
    assert '"extended_stats": [{"key": "speech", "data": []}]' in stats


def _fetch(url: str, within_s: float = 40) -> str:
    deadline = time.monotonic() + within_s
    while True:
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                text: str = answer.read().decode()
                return text
        except (urllib.error.URLError, ConnectionError):
            assert time.monotonic() < deadline, f"{url} did not answer within {within_s} s"
            time.sleep(0.1)
