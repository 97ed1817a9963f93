"""
Takes the pictures in docs/ anew: `python -m tests.browser.pictures [FOLDER]`, some two minutes on two cores.

Real workers with the embedded model, kept busy with long clips; one is drained, one killed, one more request refused.
"""

from __future__ import annotations

import asyncio
import io
import sys
import wave
from pathlib import Path

import aiohttp
from playwright.async_api import Browser, Page, async_playwright

from tests.browser.conftest import CHROMIUM, FLAGS, SAMPLES
from tests.integration import processes
from tests.integration.processes import FORM, Service

DOCS = Path(__file__).parents[2] / "docs"
DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 400, "height": 800}
NAMES = ("ada-1", "ada-2", "ada-3", "bob-1", "bob-2", "bob-3")
KEY = "s3cret"
CLIENTS, MINUTES = 9, (4, 10, 20)


def clip(minutes: int) -> bytes:
    """Half a minute of digits, again and again."""
    with wave.open(str(SAMPLES / "half-minute.wav")) as source:
        parameters, frames = source.getparams(), source.readframes(source.getnframes())
    file = io.BytesIO()
    with wave.open(file, "wb") as target:
        target.setparams(parameters)
        target.writeframes(frames * 2 * minutes)
    return file.getvalue()


async def keep_asking(client: aiohttp.ClientSession, url: str, number: int) -> None:
    """One client: the next clip as soon as the last is answered, however."""
    body = clip(MINUTES[number % len(MINUTES)])
    while True:
        await processes.ask(client, url, body)


async def status_pictures(browser: Browser, folder: Path) -> None:
    workers = [processes.worker("spoken-digits", "--worker-id", name, "--cpu-threads", "1") for name in NAMES]
    router = processes.router(workers, "--admin-key", KEY)
    async with processes.up(*workers, router) as client, asyncio.TaskGroup() as group:
        asking = [group.create_task(keep_asking(client, router.url, number)) for number in range(CLIENTS)]
        await asyncio.sleep(45)
        headers = {"Authorization": f"Bearer {KEY}"}
        await client.post(f"{router.url}/admin/workers/{NAMES[3]}/drain", headers=headers)
        workers[4].process.kill()
        await asyncio.sleep(12)
        for name, viewport, scheme in (
            ("status", DESKTOP, "light"),
            ("status-dark", DESKTOP, "dark"),
            ("status-phone", PHONE, "light"),
        ):
            page = await browser.new_page(viewport=viewport, color_scheme=scheme, device_scale_factor=1.5)
            await page.goto(f"{router.url}/lb-status")
            await page.wait_for_timeout(2500)
            await page.screenshot(path=folder / f"{name}.png", full_page=viewport is DESKTOP)
            await page.close()
        for task in asking:
            task.cancel()


async def playground_pictures(browser: Browser, folder: Path) -> None:
    worker = processes.worker("spoken-digits")
    router = processes.router([worker])
    async with processes.up(worker, router):
        for name, viewport, scheme in (
            ("playground", DESKTOP, "light"),
            ("playground-dark", DESKTOP, "dark"),
            ("playground-phone", PHONE, "light"),
        ):
            page = await browser.new_page(viewport=viewport, color_scheme=scheme, device_scale_factor=1.5)
            await page.goto(router.url)
            if name == "playground":
                await page.screenshot(path=folder / "playground-empty.png")
            await page.set_input_files("#file", SAMPLES / "half-minute.wav")
            await page.locator("#exports").wait_for(timeout=60_000)
            await page.locator("#segments button").nth(2).click()
            await page.wait_for_timeout(900)
            await page.screenshot(path=folder / f"{name}.png", full_page=True)
            await page.close()


async def main(folder: Path) -> None:
    async with async_playwright() as playwright:
        flags = [*FLAGS, f"--use-file-for-fake-audio-capture={SAMPLES / 'phone-number-george.wav'}%noloop"]
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        await playground_pictures(browser, folder)
        await status_pictures(browser, folder)
        await browser.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]) if len(sys.argv) > 1 else DOCS))
