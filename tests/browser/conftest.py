"""A real Chromium, driven by Playwright; whoever has none skips these tests and is told so."""

import asyncio
import shutil
import wave
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright, expect

from tests.integration import processes
from tests.programs import missing

SAMPLES = Path(__file__).parents[2] / "samples"
SPOKEN = SAMPLES / "phone-number-george.wav"  # what the fake microphone hears
LEAD_S = 1.5  # silence before it: the page needs a moment to start recording
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    "--no-sandbox",  # Chromium has none to offer to root, which is who runs CI in a container
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)
expect.set_options(timeout=60_000)  # milliseconds; a worker that starts again is waited for too, beside other programs


@pytest.fixture(scope="session")
def spoken(tmp_path_factory) -> Path:
    """The microphone's clip, with silence before and after."""
    path = tmp_path_factory.mktemp("microphone") / "spoken.wav"
    with wave.open(str(SPOKEN)) as source, wave.open(str(path), "wb") as target:
        target.setparams(source.getparams())
        silence = bytes(round(LEAD_S * source.getframerate()) * source.getsampwidth())
        target.writeframes(silence + source.readframes(source.getnframes()) + silence)
    return path


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser(spoken) -> AsyncIterator[Browser]:
    """One browser for all tests; each opens windows of its own."""
    if CHROMIUM is None:
        pytest.skip(missing("chromium", "chromium"))
    async with async_playwright() as playwright:
        flags = [*FLAGS, f"--use-file-for-fake-audio-capture={spoken}%noloop"]
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield browser
        await browser.close()


async def holds(page: Page, expression: str, within_s: float = 30) -> None:
    """Wait until JavaScript says yes; Playwright's own way would need a policy that lets strings run."""
    async with asyncio.timeout(within_s):
        while not await page.evaluate(expression):  # noqa: ASYNC110  the page has no event for it
            await asyncio.sleep(0.02)


class Watch:
    """What went wrong in a window: complaints of the console, uncaught errors, requests to anywhere else."""

    def __init__(self, page: Page, origin: str, provoked: tuple[str, ...]) -> None:
        self.origin = origin
        self._provoked = ("Failed to load resource", *provoked)
        self.complaints: list[str] = []
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.complaints.append(f"uncaught: {error}"))
        page.on("request", self._asked)

    def _said(self, message) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(self._provoked):
            self.complaints.append(f"console: {message.text}")

    def _asked(self, request) -> None:
        if not request.url.startswith((f"{self.origin}/", f"blob:{self.origin}/")):
            self.complaints.append(f"went elsewhere: {request.url}")


@pytest_asyncio.fixture(loop_scope="session")
async def open_page(browser):
    """
    `await open_page(url, path, **context options)`: a window; fails at the end if it complained of anything.

    `complains_of`: how complaints begin that the test itself provokes.
    """
    contexts, watches = [], []

    async def open_one(url: str, path: str = "/", complains_of: tuple[str, ...] = (), **options) -> Page:
        context = await browser.new_context(**({"viewport": {"width": 1280, "height": 900}} | options))
        contexts.append(context)
        page = await context.new_page()
        watches.append(Watch(page, url, complains_of))
        await page.goto(url + path)
        return page

    yield open_one
    for context in contexts:
        await context.close()
    assert [complaint for watch in watches for complaint in watch.complaints] == []


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def digits_url() -> AsyncIterator[str]:
    """A router before one worker with the embedded model."""
    worker = processes.worker("spoken-digits", "--cpu-threads", "1")  # two spin for each other on a busy machine
    router = processes.router([worker])
    async with processes.up(worker, router):
        yield router.url
