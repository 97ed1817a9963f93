"""The status page as an operator sees it."""

import re
import time

import pytest
from playwright.async_api import expect

from tests.browser.conftest import SAMPLES, holds
from tests.integration import processes

pytestmark = [pytest.mark.real, pytest.mark.asyncio(loop_scope="session")]

DOWN_WITHIN_S = 3  # from the kill to the word on the page


def state(page, worker):
    return page.locator(f'tr[data-worker="{worker}"] .state')


def scripted(name, port=None):
    return processes.worker("fake:0.05", "--worker-id", name, port=port)


async def test_a_killed_worker_is_down_within_three_seconds_and_returns(open_page):
    """
    Nobody has to reload; the row says what, and the event log when.
    """
    one, two = scripted("left"), scripted("right")
    router = processes.router([one, two])
    async with processes.up(one, two, router):
        page = await open_page(router.url, "/lb-status")
        await expect(state(page, "left")).to_have_text("● ready")

        one.stop()
        killed_at = time.monotonic()
        await holds(page, """document.querySelector('tr[data-worker="left"] .state').textContent == "✕ down" """)
        assert time.monotonic() - killed_at < DOWN_WITHIN_S
        await expect(page.locator("tr.bad small", has_text="refuses connections")).to_be_visible()
        await expect(page.locator(".events li").first).to_have_text(re.compile(r"left down was ready"))

        again = scripted("left", port=one.port)
        try:
            await expect(state(page, "left")).to_have_text("● ready")
            await expect(page.locator(".events li", has_text="restarted").first).to_be_visible()
            await expect(page.locator(".events")).not_to_contain_text("refused")
        finally:
            again.stop()


async def test_a_router_that_is_gone_is_told_and_so_is_its_return(open_page):
    """
    What stands there is said to be old; nobody has to reload when the router is back.
    """
    worker = scripted("left")
    router = processes.router([worker])
    async with processes.up(worker, router):
        page = await open_page(router.url, "/lb-status")
        await expect(state(page, "left")).to_have_text("● ready")
        router.stop()
        await expect(page.locator("#trouble")).to_contain_text("has not answered since")

        again = processes.router([worker], port=router.port)
        try:
            await expect(page.locator("#trouble")).to_be_hidden(timeout=30_000)
            await expect(state(page, "left")).to_have_text("● ready")
        finally:
            again.stop()


async def test_draining_asks_for_the_admin_key_and_says_why_not(open_page):
    """
    A wrong key is explained, the right one is asked for once; the row shows what came of it.
    """
    worker = scripted("left")
    router = processes.router([worker], "--admin-key", "s3cret")
    async with processes.up(worker, router):
        page = await open_page(router.url, "/lb-status")

        await page.get_by_role("button", name="Drain").click()
        await page.locator("#ask input").fill("wrong")
        await page.get_by_role("button", name="Go on").click()
        await expect(page.locator("#trouble")).to_contain_text("Could not drain left")

        await page.get_by_role("button", name="Drain").click()
        await page.locator("#ask input").fill("s3cret")
        await page.keyboard.press("Enter")
        await expect(state(page, "left")).to_have_text("▽ draining")
        await page.get_by_role("button", name="Undrain").click()
        await expect(state(page, "left")).to_have_text("● ready")


async def test_without_an_admin_key_no_button_leads_nowhere(open_page, digits_url):
    """
    It cannot be pressed, and the page says what would have to be set.
    """
    page = await open_page(digits_url, "/lb-status")
    drain = page.get_by_role("button", name="Drain")

    await expect(drain).to_be_disabled()
    assert "ADMIN_KEY" in await drain.get_attribute("title")
    await expect(page.get_by_text("set ADMIN_KEY on the router")).to_be_visible()


async def test_the_filter_stays_while_the_page_goes_on(open_page):
    """
    What is typed hides the other rows, keeps the focus, and outlives refreshes.
    """
    workers = [scripted("left"), scripted("right")]
    router = processes.router(workers)
    async with processes.up(*workers, router):
        page = await open_page(router.url, "/lb-status")
        await page.locator("#filter").press_sequentially("left")
        stamp = await page.text_content("#stamp")
        await expect(page.locator("#stamp")).not_to_have_text(stamp)

        await expect(page.locator("tr[data-worker]:visible")).to_have_count(1)
        assert await page.evaluate("document.activeElement.id") == "filter"


async def test_on_a_phone_workers_in_trouble_come_first(open_page):
    """
    Whoever is not ready stands above those that are; in a wide window the rows keep their places.
    """
    workers = [scripted(name) for name in ("one", "two", "three")]
    router = processes.router(workers)
    async with processes.up(*workers, router):
        page = await open_page(router.url, "/lb-status", viewport={"width": 400, "height": 800})
        await expect(state(page, "three")).to_have_text("● ready")
        workers[2].stop()
        await expect(state(page, "three")).to_have_text("✕ down")

        assert await downwards(page) == ["three", "one", "two"]
        await page.set_viewport_size({"width": 1280, "height": 800})
        assert await downwards(page) == ["one", "two", "three"]


async def downwards(page):
    """The workers' names as the window shows them."""
    rows = await page.locator("tr[data-worker]").all()
    tops = {await row.get_attribute("data-worker"): (await row.bounding_box())["y"] for row in rows}
    return sorted(tops, key=tops.__getitem__)


async def test_the_table_needs_no_javascript(open_page, digits_url):
    """
    A text browser sees the fleet; what only a script could do is not offered.
    """
    page = await open_page(digits_url, "/lb-status", java_script_enabled=False)

    await expect(page.locator("h1")).to_have_text("Load Balancer Status")
    await expect(page.locator("tr[data-worker]")).to_have_count(1)
    await expect(page.get_by_role("button")).to_have_count(0)


async def test_with_keys_on_the_page_asks_for_one(open_page):
    """
    Nothing is shown before; afterwards the page is live, and the playground of the same tab knows the key too.
    """
    worker = scripted("left")
    router = processes.router([worker], "--api-key", "s3cret")
    async with processes.up(worker, router):
        page = await open_page(router.url, "/lb-status")
        await page.get_by_label("API key").fill("wrong")
        await page.get_by_role("button", name="Show").click()
        await expect(page.locator("#trouble")).to_contain_text("not accepted")
        await page.get_by_label("API key").fill("s3cret")
        await page.get_by_role("button", name="Show").click()
        await expect(page.locator("tr[data-worker]")).to_have_count(1)

        await page.goto(router.url)
        await expect(page.get_by_label("API key")).to_have_value("s3cret")


@pytest.mark.parametrize("path", ["/", "/lb-status"])
async def test_a_phone_needs_no_sideways_scrolling(open_page, digits_url, path):
    """
    400 pixels are enough.
    """
    page = await open_page(digits_url, path, viewport={"width": 400, "height": 800})
    if path == "/":
        await page.set_input_files("#file", SAMPLES / "half-minute.wav")
        await expect(page.locator("#exports")).to_be_visible()

    assert await page.evaluate("document.documentElement.scrollWidth") <= 400
