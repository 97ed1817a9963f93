"""What people and Prometheus see of the cache: GET /stats, DELETE /cache, the series on /metrics."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

from aiohttp import web
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry

from fleet.errors import Unavailable
from fleet.web import add, json_answer
from router.cache.store import StoreFailed
from router.cache.story import Cache
from router.ledger import Ledger

OUTCOMES = ("hit", "joined", "miss", "bypassed")


class Desk:
    """The handlers; `cache` is None while it is off."""

    def __init__(self, cache: Cache | None, ledger: Ledger) -> None:
        self._cache = cache
        self._ledger = ledger

    def join(self, app: web.Application, registry: CollectorRegistry) -> None:
        """Add the routes; if there is a cache, show its counts on /metrics and close it when the application ends."""
        add(app.router, "GET", "/stats", self.stats)
        add(app.router, "DELETE", "/cache", self.clear)
        if self._cache is not None:
            registry.register(_Series(self._cache))
            app.cleanup_ctx.append(self._closed_at_the_end)

    async def stats(self, _: web.Request) -> web.Response:
        """GET /stats: requests so far, and what the cache did for them."""
        totals = self._ledger.totals
        return json_answer({"requests": totals["requests"], "ok": totals["ok"], "cache": await self._of_cache()})

    async def clear(self, _: web.Request) -> web.Response:
        """DELETE /cache: forget every answer, everybody's. Admin key only."""
        if self._cache is not None:
            try:
                await self._cache.guard.clear()
            except StoreFailed as error:
                message = "The cache could not be cleared."
                raise Unavailable(message, code="storage_unavailable", retry_after_s=5) from error
        return json_answer({"cleared": self._cache is not None})

    async def _closed_at_the_end(self, _: web.Application) -> AsyncIterator[None]:
        yield
        if self._cache is not None:
            await self._cache.guard.close()

    async def _of_cache(self) -> dict[str, Any]:
        cache = self._cache
        if cache is None:
            return {"kind": "off", "hits": 0, "misses": 0, "hit_rate": 0.0}
        size = await cache.guard.size()
        return {
            "kind": cache.guard.kind,
            "hits": cache.counts["hit"] + cache.counts["joined"],
            "misses": cache.counts["miss"],
            "hit_rate": round(cache.hit_rate, 4),
            "joined": cache.counts["joined"],
            "bypassed": cache.counts["bypassed"],
            "failures": cache.guard.failures,
            "resting": cache.guard.is_resting,
            "entries": size.entries,
            "size_bytes": size.size_bytes,
        }


class _Series(Collector):
    """Read when they are scraped."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    def collect(self) -> Iterator[Metric]:
        """The counts, and what follows from them."""
        cache = self._cache
        requests = CounterMetricFamily("stt_router_cache", "Requests by what the cache did.", labels=["outcome"])
        for outcome in OUTCOMES:
            requests.add_metric([outcome], cache.counts[outcome])
        yield requests
        yield CounterMetricFamily("stt_router_cache_failures", "Calls that the store failed.", cache.guard.failures)
        yield GaugeMetricFamily(
            "stt_router_cache_hit_ratio", "Answered without a run, of all looked up.", cache.hit_rate
        )
