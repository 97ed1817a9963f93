"""Text while somebody speaks: the playground's Live button, with a fake microphone that plays a clip."""

import asyncio
import json
import math
import sys
from asyncio.subprocess import PIPE

import numpy as np
import pytest
import soundfile
import soxr
from aiohttp import web
from playwright.async_api import Page, expect

from tests.browser.conftest import SAMPLES, SPOKEN
from tests.router.scripted import scripted_fleet, stamped

pytestmark = [pytest.mark.real, pytest.mark.asyncio(loop_scope="session")]

TEXT = next(e["text"] for e in json.loads((SAMPLES / "texts.json").read_text()) if e["file"] == SPOKEN.name)
SPOKEN_WITHIN_S = 60


async def final_text(page: Page) -> str:
    return " ".join(await page.locator("#segments li:not(.open) button > span").all_text_contents())


async def go_live(page: Page) -> None:
    await page.get_by_role("button", name="Live").click()
    await expect(page.get_by_role("button", name="Stop")).to_be_visible()


async def test_what_the_microphone_hears_live_is_on_the_page(open_page, digits_url):
    """
    The right digits, sentence by sentence; then a clip like any other, to hear and to save.
    """
    page = await open_page(digits_url)
    await go_live(page)

    said = page.locator("#segments li:not(.open) button > span")
    async with asyncio.timeout(SPOKEN_WITHIN_S):
        while await final_text(page) != TEXT:  # noqa: ASYNC110  the page has no event for it
            await asyncio.sleep(0.1)
    await page.get_by_role("button", name="Stop").click()
    await expect(page.locator("#exports")).to_be_visible()

    assert await final_text(page) == TEXT
    assert "after a pause" in await page.inner_text("#facts")
    await said.nth(1).click()
    await expect(page.locator("#segments button").nth(1)).to_have_attribute("aria-current", "true")
    await expect(page.get_by_role("button", name="srt")).to_be_enabled()


def one_word_more_each_time():
    words = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta"]

    async def behave(worker, _):
        return web.json_response({"text": " ".join(words[: worker.requests])}, headers=stamped(worker))

    return behave


async def test_the_python_of_the_page_hears_the_same(open_page, digits_url):
    """
    As it stands there while Live is on, fed as the command above it would feed it.
    """
    page = await open_page(digits_url)
    await go_live(page)
    command, program = await page.text_content("#curl"), await page.text_content("#python")
    await page.get_by_role("button", name="Stop").click()
    await expect(page.locator("#exports")).to_be_visible()

    assert "-r 24000" in command
    samples, rate = soundfile.read(SPOKEN, dtype="float32")
    pcm = (np.pad(soxr.resample(samples, rate, 24_000), (0, 24_000)) * 32767).astype("<i2").tobytes()
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdin=PIPE, stdout=PIPE)
    process.stdin.write(pcm)
    heard = ""
    try:
        async with asyncio.timeout(SPOKEN_WITHIN_S):
            while len(heard) < len(TEXT):
                line = (await process.stdout.readline()).decode()
                assert line, f"the program ended after {heard!r}"
                heard = f"{heard} {line}".strip()
    finally:
        process.kill()
        await process.wait()
    assert heard == TEXT


async def test_text_appears_while_somebody_speaks(open_page):
    """
    Words on which guesses agree, before the sentence ends; told to end it, by keyboard, the page has it whole. On a
    phone nothing lies beyond the edge.
    """
    async with scripted_fleet(1) as fleet:
        fleet.workers[0].behaviour = one_word_more_each_time()
        page = await open_page(fleet.url, viewport={"width": 400, "height": 800})
        await page.get_by_role("button", name="Live").focus()
        await page.keyboard.press("Enter")

        await expect(page.locator("#segments .open span").first).to_contain_text("alpha")
        assert await page.evaluate("document.documentElement.scrollWidth") <= 400
        await page.get_by_role("button", name="End the sentence").focus()
        await page.keyboard.press("Enter")
        whole = page.locator("#segments li:not(.open) button > span").first
        await expect(whole).to_contain_text("alpha beta gamma")
        await page.get_by_role("button", name="Stop").focus()
        await page.keyboard.press("Enter")
        await expect(page.locator("#exports")).to_be_visible()
        await expect(page.locator("#segments .open")).to_have_count(0)
        await expect(page.get_by_role("button", name="Live")).to_be_enabled()


@pytest.mark.parametrize(
    ("settings", "needed", "said"),
    [
        ({}, ("no_such_package",), "install whisper-fleet[realtime]"),
        ({"realtime_sessions": 0}, (), "switched off"),
        ({"api_key": "s3cret"}, (), "key"),
    ],
)
async def test_what_keeps_it_from_starting_is_said(open_page, monkeypatch, settings, needed, said):
    """
    A browser tells a page nothing of a refused handshake; the page finds out.
    """
    monkeypatch.setattr("router.realtime.ears.NEEDED", needed)
    async with scripted_fleet(1, **settings) as fleet:
        page = await open_page(fleet.url, complains_of=("WebSocket connection to",))
        await page.get_by_role("button", name="Live").click()

        await expect(page.locator("#trouble")).to_contain_text(said)
        await expect(page.get_by_role("button", name="Live")).to_be_enabled()
        assert await page.get_by_label("API key").is_visible() == ("api_key" in settings)


async def test_the_key_goes_along_as_a_sub_protocol(open_page):
    """
    What the key field holds opens the session; a language that nobody knows is refused in words.
    """
    async with scripted_fleet(1, api_key="s3cret") as fleet:
        page = await open_page(fleet.url)
        await page.get_by_label("API key").fill("s3cret")
        await go_live(page)
        await page.get_by_role("button", name="Stop").click()
        await expect(page.locator("#player")).to_be_visible()
        await expect(page.locator("#trouble")).to_be_hidden()

        await page.get_by_label("Language").fill("Klingonish")
        await page.get_by_role("button", name="Live").click()
        await expect(page.locator("#trouble")).to_contain_text("language")


async def test_a_router_that_goes_says_goodbye(open_page):
    """
    The page stops listening, says why, and keeps what was recorded.
    """
    async with scripted_fleet(1) as fleet:
        page = await open_page(fleet.url)
        await go_live(page)
        await fleet.service.realtime.drain()

        await expect(page.locator("#trouble")).to_contain_text("shutting down")
        await expect(page.locator("#player")).to_be_visible()
        await expect(page.get_by_role("button", name="Live")).to_be_enabled()


@pytest.mark.parametrize("rate", [16_000, 44_100])
async def test_samples_at_any_rate_become_24_khz(open_page, digits_url, rate):
    """
    A tone stays that tone at its strength, in blocks of any size; one that 24 kHz cannot hold is gone.
    """
    page = await open_page(digits_url)
    measure = """async ([rate, hz]) => {
      const { Resampler } = await import("/static/resample.js");
      const resampler = new Resampler(rate, 24000);
      const made = [];
      for (let at = 0; at < rate; at += 128) {
        const block = Float32Array.from({ length: 128 }, (_, n) => Math.sin((2 * Math.PI * hz * (at + n)) / rate));
        made.push(...resampler.take(block));
      }
      return made;
    }"""
    tone = await page.evaluate(measure, [rate, 1000])
    settled = tone[1000:23000]

    assert abs(len(tone) - 24_000) < 200
    wanted = [math.sin(2 * math.pi * 1000 * (1000 + at) / 24_000) for at in range(len(settled))]
    assert max(abs(one - other) for one, other in zip(settled, wanted, strict=True)) < 0.01
    if rate > 40_000:
        too_high = await page.evaluate(measure, [rate, 16_000])
        assert max(map(abs, too_high[1000:23000])) < 0.01
