"""Pages of other origins call if CORS_ORIGINS names them, and in no other case."""

import pytest

from tests.router.scripted import form, scripted_fleet

PAGE = "https://app.example"
ASKS = {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,x-stainless-os,content-type",
}
PATH = "/v1/audio/transcriptions"


async def asked(fleet, method="OPTIONS", path=PATH, **headers):
    async with fleet.client.request(method, fleet.url + path, headers=headers) as response:
        return response.status, response.headers


async def test_a_page_that_is_named_may_ask_without_a_key_and_then_call_with_one():
    """
    The browser's question has no key; the call has, and its answer can be read with the headers that tell of it.
    """
    async with scripted_fleet(1, cors_origins=(f"{PAGE}/", "https://other.example"), api_key="s3cret") as fleet:
        status, headers = await asked(fleet, Origin=PAGE, **ASKS)
        assert (status, headers["Access-Control-Allow-Origin"]) == (204, PAGE)
        assert "POST" in headers["Access-Control-Allow-Methods"]
        assert headers["Access-Control-Allow-Headers"] == ASKS["Access-Control-Request-Headers"]

        key = {"Authorization": "Bearer s3cret", "Origin": PAGE}
        for stream in ("false", "true"):
            async with fleet.client.post(fleet.url + PATH, data=form(b"RIFF", stream=stream), headers=key) as response:
                assert response.status == 200
                assert response.headers["Access-Control-Allow-Origin"] == PAGE
                assert "X-Request-Id" in response.headers["Access-Control-Expose-Headers"]
                assert "Access-Control-Allow-Credentials" not in response.headers

        status, headers = await asked(fleet, "GET", "/v1/models", Origin=PAGE)
        assert (status, headers["Access-Control-Allow-Origin"]) == (401, PAGE)  # the page may know why


@pytest.mark.parametrize(
    ("origins", "origin"),
    [((), PAGE), ((PAGE,), "https://app.example.evil"), ((PAGE,), "null"), ((PAGE,), "http://app.example")],
)
async def test_other_pages_may_not(origins, origin):
    """
    Without the header no browser shows a page its answer, nor sends a request that needs asking.
    """
    async with scripted_fleet(1, cors_origins=origins) as fleet:
        for method, path in (("OPTIONS", PATH), ("GET", "/v1/models")):
            status, headers = await asked(fleet, method, path, Origin=origin, **ASKS)
            assert status == (405 if method == "OPTIONS" else 200)
            assert "Access-Control-Allow-Origin" not in headers
            assert ("Vary" in headers) is bool(origins)


async def test_any_page_may_with_a_star():
    """
    Who has the key; and a question that is no browser's is no question.
    """
    async with scripted_fleet(1, cors_origins=("*",)) as fleet:
        status, headers = await asked(fleet, Origin="https://any.example", **ASKS)
        assert (status, headers["Access-Control-Allow-Origin"]) == (204, "*")
        odd = ASKS | {"Access-Control-Request-Headers": "a: b"}
        assert "Access-Control-Allow-Headers" not in (await asked(fleet, Origin=PAGE, **odd))[1]
        assert (await asked(fleet, Origin=PAGE))[0] == 405
        assert (await asked(fleet, **ASKS))[0] == 405
