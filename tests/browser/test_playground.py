"""The playground as a newcomer meets it."""

import asyncio
import io
import json
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import aiohttp
import pytest
from playwright.async_api import expect

from tests.browser.conftest import LEAD_S, SAMPLES, SPOKEN, holds
from tests.router.scripted import scripted_fleet

pytestmark = [pytest.mark.real, pytest.mark.asyncio(loop_scope="session")]

CLIP = SAMPLES / "phone-number-george.wav"
ENTRIES = {entry["file"]: entry for entry in json.loads((SAMPLES / "texts.json").read_text())}


async def transcript_of(page):
    """The segments' words, once there are any."""
    await expect(page.locator("#segments button").first).to_be_visible()
    return " ".join(await page.locator("#segments button > span").all_text_contents())


async def saved(page, form):
    """The text of the file that a `Save as` button gives."""
    async with page.expect_download() as download:
        await page.get_by_role("button", name=form, exact=True).click()
    return Path(await (await download.value).path()).read_text()  # noqa: ASYNC240  a few hundred bytes


async def test_upload_transcript_and_export(open_page, digits_url):
    """
    The right digits, how it went, and the same subtitles that the server itself would have written.
    """
    page = await open_page(digits_url)
    await page.set_input_files("#file", CLIP)

    assert await transcript_of(page) == ENTRIES[CLIP.name]["text"]
    facts = await page.inner_text("#facts")
    assert all(name in facts for name in ("Language", "Took", "Queue", "Decode", "Engine", "Worker"))
    for form in ("srt", "vtt"):
        data = {"file": io.BytesIO(CLIP.read_bytes()), "response_format": form}
        url = f"{digits_url}/v1/audio/transcriptions"
        async with aiohttp.ClientSession() as client, client.post(url, data=data) as answer:
            assert await saved(page, form) == await answer.text()
    assert json.loads(await saved(page, "json"))["text"] == ENTRIES[CLIP.name]["text"]
    assert (await saved(page, "txt")).strip() == ENTRIES[CLIP.name]["text"]


async def test_a_newcomer_without_a_file_or_a_microphone_can_try_it(open_page, digits_url):
    """
    One press, and digits are on the page.
    """
    page = await open_page(digits_url)
    await page.get_by_role("button", name="Try a sample").click()

    assert await transcript_of(page) == "five seven nine zero one"


async def test_the_same_file_can_be_sent_again(open_page, digits_url):
    """
    Chosen once more, or by the button with other options: each time there is a request of its own.
    """
    page = await open_page(digits_url)
    asked = page.locator("#facts div", has_text="Request").locator("dd")
    seen = []
    for send_again in (
        lambda: page.set_input_files("#file", CLIP),
        lambda: page.set_input_files("#file", CLIP),
        page.get_by_role("button", name="Send again").click,
    ):
        assert await page.input_value("#file") == ""
        await page.get_by_label("Language").fill("en" if len(seen) == 2 else "")
        await send_again()
        await expect(asked).not_to_have_text(seen[-1] if seen else "")
        seen.append(await asked.text_content())

    assert len(set(seen)) == 3
    assert await transcript_of(page) == ENTRIES[CLIP.name]["text"]
    assert "language=en" in await page.text_content("#curl")


async def test_a_pressed_segment_is_played_and_lit(open_page, digits_url):
    """
    By keyboard too: focus it, press Enter, hear it; at its end the player stops.
    """
    page = await open_page(digits_url)
    await page.set_input_files("#file", CLIP)
    await transcript_of(page)
    second = page.locator("#segments button").nth(1)

    await second.focus()
    await page.keyboard.press("Enter")
    await expect(second).to_have_attribute("aria-current", "true")
    await expect(second.locator(".said")).to_have_count(1)
    assert await page.evaluate("document.getElementById('player').currentTime") > 2.5
    await holds(page, "document.getElementById('player').paused")


async def test_what_the_page_says_to_type_does_the_same(open_page, digits_url):
    """
    Its curl and its Python, as they stand there, beside the clip.
    """
    page = await open_page(digits_url)
    await page.set_input_files("#file", CLIP)
    await transcript_of(page)
    for program, name in (("bash", "#curl"), (sys.executable, "#python")):
        assert ENTRIES[CLIP.name]["text"] in await typed(program, await page.text_content(name), SAMPLES)


async def test_what_it_says_to_type_for_the_sample_needs_no_file(open_page, digits_url, tmp_path):
    """
    Typed in an empty folder; a phone shows every letter of it.
    """
    page = await open_page(digits_url, viewport={"width": 400, "height": 800})
    await page.get_by_role("button", name="Try a sample").click()
    await transcript_of(page)
    await page.get_by_text("The same from a terminal").click()
    assert await page.evaluate(
        "[...document.querySelectorAll('pre')].every((pre) => pre.scrollWidth <= pre.clientWidth)"
    )

    for program, name in (("bash", "#curl"), (sys.executable, "#python")):
        said = await typed(program, await page.text_content(name), tmp_path)
        assert "five seven nine zero one" in said


async def typed(program, text, folder):
    """What a program prints that is given some text."""
    process = await asyncio.create_subprocess_exec(program, "-c", text, cwd=folder, stdout=PIPE, stderr=PIPE)
    async with asyncio.timeout(60):
        said, complained = await process.communicate()
    assert process.returncode == 0, complained.decode()
    return said.decode()


async def test_text_comes_as_it_is_decoded(open_page, digits_url):
    """
    Streamed, without times: subtitles are not offered, text is.
    """
    page = await open_page(digits_url)
    await page.get_by_label("Show text as it comes").check()
    await page.set_input_files("#file", CLIP)

    await expect(page.locator("#text")).to_have_text(ENTRIES[CLIP.name]["text"])
    await expect(page.get_by_role("button", name="srt")).to_be_disabled()
    await expect(page.get_by_role("button", name="txt")).to_be_enabled()
    assert "-F stream=true" in await page.text_content("#curl")


async def test_what_the_microphone_hears_is_transcribed(open_page, digits_url):
    """
    Record, see the level move, stop: the digits that were spoken are on the page.
    """
    page = await open_page(digits_url)
    await page.get_by_role("button", name="Record").click()
    await holds(page, "document.getElementById('level').value > 0.1")
    await page.wait_for_timeout(1000 * (ENTRIES[SPOKEN.name]["duration_s"] + LEAD_S / 2))  # as long as it speaks
    await page.get_by_role("button", name="Stop").click()

    assert await transcript_of(page) == ENTRIES[SPOKEN.name]["text"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("NotAllowedError", "Allow it"),
        ("NotFoundError", "No microphone"),
        ("OverconstrainedError", "No microphone"),
        ("AbortError", "AbortError"),
    ],
)
async def test_a_refused_microphone_is_explained(open_page, digits_url, name, said):
    """
    What to do, not the name of an exception; and the page goes on.
    """
    page = await open_page(digits_url)
    refuse = f"async () => {{ throw new DOMException('', '{name}') }}"
    await page.evaluate(f"void (navigator.mediaDevices.getUserMedia = {refuse})")
    await page.get_by_role("button", name="Record").click()

    await expect(page.locator("#trouble")).to_contain_text(said)
    await expect(page.get_by_role("button", name="Record")).to_be_enabled()


async def test_a_microphone_that_stays_silent_for_ever_is_explained(open_page, digits_url):
    """
    Firefox without speakers suspends what would process the sound, and tells nobody.
    """
    page = await open_page(digits_url)
    await page.evaluate("""() => {
      const Playing = AudioContext;
      window.AudioContext = class extends Playing {
        constructor() { super(); this.suspend(); }
      };
    }""")
    await page.get_by_role("button", name="Live").click()

    await expect(page.locator("#trouble")).to_contain_text("audio did not start", timeout=20_000)
    await expect(page.get_by_role("button", name="Live")).to_be_enabled()
    await expect(page.locator("#listening")).to_be_hidden()


async def test_a_key_counts_as_soon_as_it_is_typed(open_page):
    """
    Not only when its field has been left, which a dropped file does not wait for.
    """
    async with scripted_fleet(1, api_key="s3cret") as fleet:
        page = await open_page(fleet.url)
        await page.get_by_label("API key").press_sequentially("s3cret")
        await page.set_input_files("#file", CLIP)

        await expect(page.locator("#exports")).to_be_visible()


async def test_what_is_no_audio_is_explained(open_page, digits_url):
    """
    The file's name and the server's own sentence, without brackets and quotes; no player for what nobody can play.
    """
    page = await open_page(digits_url)
    await page.set_input_files("#file", {"name": "a.wav", "mimeType": "audio/wav", "buffer": b"not audio at all"})

    await expect(page.locator("#trouble")).to_contain_text("a.wav: Invalid file format.")
    await expect(page.locator("#trouble")).to_contain_text("flac, m4a, mp3")
    await expect(page.locator("#player")).to_be_hidden()
    await expect(page.locator("#exports")).to_be_hidden()


async def test_the_embedded_model_says_what_it_is_for(open_page, digits_url):
    """
    And what to do for a general one.
    """
    page = await open_page(digits_url)

    await expect(page.locator("#note")).to_contain_text("digits only")
    await expect(page.locator("#note")).to_contain_text("MODEL=base make run")
