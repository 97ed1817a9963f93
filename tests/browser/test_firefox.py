"""The pages in Firefox: what a user does there, by pointer and keys; its console stays silent."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.browser.conftest import SAMPLES, SPOKEN
from tests.browser.firefox import Firefox, launched
from tests.integration import processes
from tests.programs import missing
from tests.router.scripted import scripted_fleet

pytestmark = [pytest.mark.real, pytest.mark.asyncio(loop_scope="session")]

PROGRAM = shutil.which("firefox-esr") or shutil.which("firefox")
TEXT = next(e["text"] for e in json.loads((SAMPLES / "texts.json").read_text()) if e["file"] == SPOKEN.name)
SAID = "[...document.querySelectorAll('#segments button > span')].map((said) => said.textContent).join(' ')"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def running() -> AsyncIterator[Firefox]:
    """One browser for all tests of this file."""
    if PROGRAM is None:
        pytest.skip(missing("firefox", "firefox-esr"))
    async with launched(PROGRAM) as browser:
        yield browser


@pytest.fixture
def firefox(running) -> Iterator[Firefox]:
    """It; the test fails at its end if a page complained of anything: an error, or what the page's policy forbids."""
    running.complaints.clear()
    yield running
    assert running.complaints == []


async def test_a_clip_is_transcribed_played_and_saved(firefox, digits_url):
    """
    The right digits; a pressed segment is lit, and the player stops; the file that is saved holds them.
    """
    tab = await firefox.open(digits_url)
    await tab.choose("#file", SPOKEN)
    await tab.holds("!document.getElementById('exports').hidden")
    assert await tab.value(SAID) == TEXT

    await tab.click("#segments li:nth-child(2) button")
    await tab.holds("document.querySelector('#segments li:nth-child(2) [aria-current=true]')")
    await tab.holds("document.getElementById('player').paused")

    await tab.click("#exports [data-format=srt]")
    file = firefox.downloads / f"{SPOKEN.stem}.srt"
    assert TEXT.split()[0] in await written(file)


async def written(file: Path) -> str:
    """What a download holds, once it is there."""
    async with asyncio.timeout(20):
        while not file.exists() or not file.stat().st_size:  # noqa: ASYNC110, ASYNC240  a file has no event
            await asyncio.sleep(0.05)
    return file.read_text()  # noqa: ASYNC240  a few hundred bytes


async def test_a_typed_key_opens_a_live_session(firefox):
    """
    As a sub-protocol of the WebSocket, past the page's own policy.
    """
    async with scripted_fleet(1, api_key="s3cret") as fleet:
        tab = await firefox.open(fleet.url)
        await tab.holds("!document.getElementById('keyfield').hidden")
        await tab.click("#key")
        await tab.type("s3cret")
        opened = """(async () => {
          const { Realtime } = await import("/static/realtime.js");
          const session = new Realtime({ onTurns() {}, onTrouble() {}, onLost() {} });
          await session.open("");
          session.close();
          return true;
        })()"""
        assert await tab.value(opened)


async def test_the_status_page_follows_a_worker_that_dies(firefox):
    """
    By server-sent events, in a tab that nobody reloads.
    """
    workers = [processes.worker("fake:0.05", "--worker-id", name) for name in ("left", "right")]
    router = processes.router(workers)
    async with processes.up(*workers, router):
        tab = await firefox.open(f"{router.url}/lb-status")
        state = "document.querySelector('tr[data-worker=left] .state').textContent"
        await tab.holds(f"{state} === '● ready'")
        workers[0].stop()
        await tab.holds(f"{state} === '✕ down'")
