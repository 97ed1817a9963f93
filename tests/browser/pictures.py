"""
Takes the pictures in docs/ anew: `python -m tests.browser.pictures [FOLDER]`, two minutes on two cores.

Real workers with the embedded model and clips of some minutes each; of six workers one is drained, one killed.
"""

from __future__ import annotations

import asyncio
import io
import re
import sys
import wave
from pathlib import Path

import aiohttp
from PIL import Image
from playwright.async_api import Browser, Page, async_playwright
from playwright.async_api import TimeoutError as TooLate

from tests.browser.conftest import CHROMIUM, FLAGS, SAMPLES, holds
from tests.integration import processes

DOCS = Path(__file__).parents[2] / "docs"
DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 400, "height": 800}
LOOKS = {"": (DESKTOP, "light"), "-dark": (DESKTOP, "dark"), "-phone": (PHONE, "light")}
COLOURS = 256  # enough for flat pages; a third of the size
NAMES = ("desk-1", "desk-2", "desk-3", "rack-1", "rack-2", "rack-3")
TALLEST = 2250  # pixels
KEY = "s3cret"
CLIENTS, MINUTES = 9, (4, 10, 20)
BUSY_S, AFTER_S = 60, 10
SPEAKS_WITHIN_MS = 20_000
LOUD_WITHIN_S = 3  # a digit, or the meter looks broken


async def main(folder: Path) -> None:
    async with async_playwright() as playwright:
        flags = [*FLAGS, f"--use-file-for-fake-audio-capture={SAMPLES / 'phone-number-george.wav'}%noloop"]
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        await take_playground(browser, folder)
        await take_status(browser, folder)
        await browser.close()


async def take_playground(browser: Browser, folder: Path) -> None:
    """A clip that plays, by three looks; and somebody who speaks."""
    workers = [processes.worker("spoken-digits", "--worker-id", name, "--cpu-threads", "1") for name in NAMES[:3]]
    router = processes.router(workers)
    async with processes.up(*workers, router) as client:
        await processes.shows(client, router.url, lambda status: status["fleet"]["ready"] == len(workers))
        for look in LOOKS:
            page = await opened(browser, router.url, look)
            await page.set_input_files("#file", SAMPLES / "half-minute.wav")
            await page.locator("#exports").wait_for(timeout=SPEAKS_WITHIN_MS)
            await page.locator("#segments button").nth(2).click()
            await page.wait_for_timeout(900)
            await take(page, folder / f"playground{look}.png")
        while not await take_live(browser, router.url, folder / "playground-live.png"):  # noqa: ASYNC110  a loop of tries
            await asyncio.sleep(1)  # the machine was too busy for text before a sentence's end


async def take_live(browser: Browser, url: str, path: Path) -> bool:
    """Two sentences and the beginning of a third; whether it was seen."""
    page = await opened(browser, url, "")
    await page.get_by_role("button", name="Live").click()
    guess = page.locator("#segments li:nth-child(n + 3).open span", has_text=re.compile(r"\w"))
    try:
        await guess.wait_for(timeout=SPEAKS_WITHIN_MS)
        await holds(page, "document.getElementById('level').value > 0.35", LOUD_WITHIN_S)
    except (TooLate, TimeoutError):
        await page.close()
        return False
    await take(page, path)
    return True


async def take_status(browser: Browser, folder: Path) -> None:
    """A busy fleet that has lost a worker while another one drains."""
    workers = [processes.worker("spoken-digits", "--worker-id", name, "--cpu-threads", "1") for name in NAMES]
    router = processes.router(workers, "--admin-key", KEY)
    async with processes.up(*workers, router) as client, asyncio.TaskGroup() as group:
        asking = [group.create_task(keep_asking(client, router.url, number)) for number in range(CLIENTS)]
        await asyncio.sleep(BUSY_S)
        admin = {"Authorization": f"Bearer {KEY}"}
        await client.post(f"{router.url}/admin/workers/{NAMES[3]}/drain", headers=admin)
        workers[4].process.kill()
        await asyncio.sleep(AFTER_S)
        for look in LOOKS:
            page = await opened(browser, f"{router.url}/lb-status", look)
            await page.wait_for_timeout(2500)
            await take(page, folder / f"status{look}.png")
        for task in asking:
            task.cancel()


async def keep_asking(client: aiohttp.ClientSession, url: str, number: int) -> None:
    """One client: the next clip as soon as the last is answered, however."""
    body = clip(MINUTES[number % len(MINUTES)])
    while True:
        await processes.ask(client, url, body)


def clip(minutes: int) -> bytes:
    """Digits, again and again, for about so long."""
    with wave.open(str(SAMPLES / "half-minute.wav")) as source:
        parameters, frames = source.getparams(), source.readframes(source.getnframes())
    file = io.BytesIO()
    with wave.open(file, "wb") as target:
        target.setparams(parameters)
        target.writeframes(frames * 2 * minutes)
    return file.getvalue()


async def opened(browser: Browser, url: str, look: str) -> Page:
    """A window at a page."""
    viewport, scheme = LOOKS[look]
    page = await browser.new_page(viewport=viewport, color_scheme=scheme, device_scale_factor=1.5)
    await page.goto(url)
    return page


async def take(page: Page, path: Path) -> None:
    """The whole page, or as much as a reader looks at; the window is closed."""
    picture = Image.open(io.BytesIO(await page.screenshot(full_page=True)))
    picture = picture.crop((0, 0, picture.width, min(picture.height, TALLEST)))
    picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
    await page.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]) if len(sys.argv) > 1 else DOCS))
