import pytest

from fleet import wire
from router.cache.store import StoreFailed
from tests.router.scripted import scripted_fleet

ON = {"cache": "memory", "cache_timeout_s": 20.0}


async def test_stats_and_series_say_the_same():
    """Hits, misses and the rate; how much is kept."""
    async with scripted_fleet(1, **ON) as fleet:
        for _ in range(4):
            await fleet.transcribe()
        async with fleet.client.get(f"{fleet.url}/stats") as response:
            body = await response.json()
        async with fleet.client.get(f"{fleet.url}/metrics") as response:
            series = await response.text()
        cache = body["cache"]
        assert (body["requests"], body["ok"]) == (4, 4)
        assert (cache["kind"], cache["hits"], cache["misses"], cache["hit_rate"]) == ("memory", 3, 1, 0.75)
        assert cache["entries"] == 1 and cache["size_bytes"] > 0
        assert 'stt_router_cache_total{outcome="hit"} 3.0' in series
        assert "stt_router_cache_hit_ratio 0.75" in series


async def test_clearing_needs_the_admin_key():
    """A caller's key does not do."""
    async with scripted_fleet(1, api_key="k", admin_key="a", **ON) as fleet:
        key = {"header_X-API-Key": "k"}
        await fleet.transcribe(**key)
        for given, status in ((None, 401), ("k", 401), ("a", 200)):
            headers = {"X-API-Key": given} if given else {}
            async with fleet.client.delete(f"{fleet.url}/cache", headers=headers) as response:
                assert response.status == status
            assert (await fleet.transcribe(**key))[1][wire.CACHE] == ("miss" if given == "a" else "hit")


@pytest.mark.parametrize("settings", [{}, ON])
async def test_clearing_says_whether_there_was_anything(settings):
    """Off is no error."""
    admin = {"X-API-Key": "a"}
    async with (
        scripted_fleet(1, admin_key="a", **settings) as fleet,
        fleet.client.delete(f"{fleet.url}/cache", headers=admin) as response,
    ):
        assert (response.status, await response.json()) == (200, {"cleared": bool(settings)})


async def test_a_store_that_cannot_clear_is_told():
    """Who wanted text gone must know that it is not."""
    async with scripted_fleet(1, admin_key="a", **ON) as fleet:

        async def fail():
            raise StoreFailed("no")

        fleet.service.cache.guard._store.clear = fail
        async with fleet.client.delete(f"{fleet.url}/cache", headers={"X-API-Key": "a"}) as response:
            assert response.status == 503
            assert (await response.json())["error"]["code"] == "storage_unavailable"


async def test_off_has_no_series():
    """/metrics is as it was."""
    async with scripted_fleet(1) as fleet, fleet.client.get(f"{fleet.url}/metrics") as response:
        assert "stt_router_cache" not in await response.text()
