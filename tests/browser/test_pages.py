"""Pages without a life of their own: the API's, and those of who lost the way."""

import pytest

from tests.router.scripted import scripted_fleet

pytestmark = [pytest.mark.real, pytest.mark.asyncio(loop_scope="session")]
LOST = ("Failed to load resource",)


@pytest.mark.parametrize("path", ["/docs", "/foo", "/v1/audio/transcription", "/v1/audio/transcriptions"])
async def test_nothing_lies_beyond_the_edge_of_a_phone(open_page, path):
    """
    Long lines of code scroll by themselves, and only on the API's page is there any; its tables need no scrolling.
    """
    async with scripted_fleet(1) as fleet:
        page = await open_page(fleet.url, path, viewport={"width": 400, "height": 800}, complains_of=LOST)
        assert await page.evaluate("document.documentElement.scrollWidth") <= 400
        assert await page.evaluate("document.querySelectorAll('pre').length > 0") == (path == "/docs")
        assert await page.evaluate(
            "[...document.querySelectorAll('.wide')].every((at) => at.scrollWidth <= at.clientWidth)"
        )


async def test_who_lost_the_way_gets_there(open_page):
    """
    What was meant is one press away, from there the page that says how to call it is another.
    """
    async with scripted_fleet(1) as fleet:
        page = await open_page(fleet.url, "/v1/audio/transcription", complains_of=LOST)
        await page.get_by_role("link", name="/v1/audio/transcriptions").click()
        await page.get_by_role("link", name="The API's page").click()
        assert await page.inner_text("h1") == "whisper-fleet API"
