"""Builds the parts that jobs need from the router's, and keeps their loops."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from typing import Any

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from fleet.errors import Unavailable
from router.deferred import gate
from router.deferred.book import Book
from router.deferred.callback import Allowed
from router.deferred.capacity import Amount, Capacity
from router.deferred.desk import Desk
from router.deferred.place import open_database
from router.deferred.record import Record, Tally
from router.deferred.runner import OUTCOMES, Runner, described
from router.deferred.store import JobStore
from router.deferred.verdict import Later, Verdict
from router.deferred.webhook import Webhooks
from router.dispatch import Floor
from router.intake import Intake
from router.keys import Keys
from router.offer import Offer
from router.settings import RouterSettings
from router.spool import SpoolBudget
from router.status import Status

KEEPER_S = 5.0  # how often what is too old is deleted and what is there is counted

logger = logging.getLogger(__name__)


class Jobs:
    """Everything that answers /v1/jobs; raises StartupError when JOBS names a store that cannot be used."""

    def __init__(
        self,
        settings: RouterSettings,
        intake: Intake,
        *,
        floor: Floor,
        keys: Keys,
        offer: Offer,
        spool: SpoolBudget,
        status: Status,
        registry: CollectorRegistry,
    ) -> None:
        self._settings = settings
        self._floor = floor
        self._status = status
        self._ended = Counter("fleet_jobs_ended", "Runs of jobs by how they ended.", ["outcome"], registry=registry)
        for outcome in OUTCOMES:  # there at 0: what first appears at 1 has no increase that a rule could see
            self._ended.labels(outcome)
        self._tally = Tally()  # as the keeper saw it last
        allowed = Allowed(settings.webhook_allow)
        self._book = self._open()
        self._runner = self._webhooks = None
        if self._book is not None:
            self._runner = Runner(
                self._book, intake, room=self._room, at_once=settings.jobs_at_once, on_end=self._on_end
            )
            if settings.webhook_allow:
                self._webhooks = Webhooks(self._book, allowed, secret=settings.webhook_secret or "")
            status.doors["jobs"] = self._told
            registry.register(Series(lambda: self._tally, self._limit()))
        self._desk = Desk(
            settings, self._book, self._runner, allowed=allowed, keys=keys, offer=offer, spool=spool, status=status
        )

    def join(self, app: web.Application) -> None:
        """Add the routes, and close the store when the application ends."""
        self._desk.add_routes(app.router)
        app.cleanup_ctx.append(self._closed_at_the_end)

    def loops(self) -> Sequence[Coroutine[Any, Any, None]]:
        """Running, telling, keeping; none where there are no jobs."""
        if self._book is None or self._runner is None:
            return []
        telling = [self._webhooks.loop()] if self._webhooks is not None else []
        return [self._runner.loop(), self._keep(self._book), *telling]

    def _told(self) -> dict[str, Any]:
        return self._tally.to_json()

    def _open(self) -> Book | None:
        settings = self._settings
        database = open_database(settings.jobs, port=settings.port)
        if database is None:
            return None
        capacity = Capacity(
            self._limit(),
            key_share=settings.jobs_key_share if settings.api_keys_file is not None else 1,
        )
        store = JobStore(database, capacity, lease_s=settings.job_lease_s, ttl_s=settings.job_ttl_s)
        return Book(store)

    def _limit(self) -> Amount:
        return Amount(self._settings.jobs_max, round(self._settings.jobs_max_mb * 1e6))

    def _room(self, running: int, request_ids: frozenset[str]) -> int:
        if self._status.state != "serving":
            return 0
        holding = sum(lease.label in request_ids for worker in self._floor.pool for lease in worker.leases)
        return gate.room(
            self._floor.queue,
            self._floor.pool,
            starting=running - holding,
            reserved_slots=self._settings.realtime_reserved_slots,
            now=time.monotonic(),
        )

    def _on_end(self, record: Record, end: Verdict) -> None:
        self._ended.labels(described(end)).inc()
        logger.info(
            "job %s", described(end), extra={"job": record.id, "attempts": record.attempts, "tenant": record.tenant}
        )
        if not isinstance(end, Later) and self._webhooks is not None:
            self._webhooks.wake()

    async def _keep(self, book: Book) -> None:
        while True:
            try:
                await book.ask(JobStore.expire)
                self._tally = await book.ask(JobStore.tally)
            except Unavailable:
                pass  # said so in the log; it will be asked again
            await asyncio.sleep(KEEPER_S)

    async def _closed_at_the_end(self, _: web.Application) -> AsyncIterator[None]:
        yield
        if self._book is not None:
            await asyncio.to_thread(self._book.close)


class Series(Collector):
    """The tally and what may be kept, for Prometheus."""

    def __init__(self, tally: Callable[[], Tally], limit: Amount) -> None:
        self._tally = tally
        self._limit = limit

    def collect(self) -> Iterator[Metric]:
        """Read when it is scraped."""
        tally = self._tally()
        jobs = GaugeMetricFamily("fleet_jobs", "Jobs in the store by state.", labels=["state"])
        for state, count in tally.by_state.items():
            jobs.add_metric([state], count)
        yield jobs
        yield GaugeMetricFamily("fleet_jobs_oldest_seconds", "How long the oldest queued job waits.", tally.oldest_s)
        yield GaugeMetricFamily("fleet_jobs_limit", "Jobs that may be in the store.", self._limit.jobs)
        yield GaugeMetricFamily("fleet_jobs_kept_bytes", "Audio and results in the store.", tally.kept_bytes)
        yield GaugeMetricFamily("fleet_jobs_kept_limit_bytes", "What they may take.", self._limit.size_bytes)
