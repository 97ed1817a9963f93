"""Builds the router's parts and hands them to each other; the only file that does."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from random import Random
from typing import Any

from aiohttp import web

from fleet import web as fleet_web
from fleet.forms import TRANSCRIPTIONS
from fleet.serve import StartupError
from fleet.trace import Tracing
from router.admin import Admin
from router.admission import Admission
from router.api import Api
from router.assign import Assigner
from router.attempt import Attempts, Outcome
from router.audit import Audit
from router.batch import Batch
from router.cache.desk import Desk
from router.cache.stores import open_cache
from router.connector import Connector
from router.cors import Cors
from router.deferred.service import Jobs
from router.discovery import Discovery
from router.dispatch import Dispatcher, Floor
from router.ejection import Ejection
from router.event_log import EventLog, log_event
from router.intake import Intake
from router.job import Job
from router.key_file import KeyFile, KeyFileError
from router.key_watch import KeyWatch
from router.keys import Keys
from router.ledger import Ledger
from router.metrics import Metrics
from router.offer import Offer
from router.pages import Pages, point_the_way
from router.policy import POLICIES
from router.pool import Pool
from router.probe import Probe
from router.queue_order import Queue
from router.realtime.websocket import Realtime
from router.retry import Quarantine, RetryBudget
from router.settings import RouterSettings
from router.spool import SpoolBudget
from router.status import Status
from router.ticket import Ticket
from router.trend import EVERY_S, Trend
from router.upstream import Lease
from router.wyoming import WyomingDoor

LAG_INTERVAL_S = 0.1
DRAIN_POLL_S = 0.05

logger = logging.getLogger("router")


class RouterService:
    """One router: the application, its loops, and how it drains."""

    def __init__(self, settings: RouterSettings, tracing: Tracing | None = None) -> None:
        self._settings = settings
        self._id = secrets.token_hex(4)
        self._rng = Random()  # noqa: S311  it spreads load, it guards nothing
        self.spool = SpoolBudget(
            memory_bytes=round(settings.spool_memory_mb * 1e6),
            disk_bytes=round(settings.spool_disk_mb * 1e6),
            folder=settings.spool_dir,
        )
        self._budget = RetryBudget(settings.retry_share, settings.retry_least)
        self._ledger = Ledger()
        self._ticket = Ticket(self._rng)
        self.floor = self._build_floor()
        self._offer = Offer(self.floor.pool)
        self._connector = Connector(settings.worker_token)
        self._discovery = Discovery(settings.workers, self._on_known, interval_s=settings.discovery_interval_s)
        self._metrics = Metrics(self.floor, self.spool, self._budget)
        self.status = Status(
            self.floor,
            router_id=self._id,
            discovery=self._discovery,
            ledger=self._ledger,
            budget=self._budget,
            spool=self.spool,
            ticket=self._ticket,
        )
        self.keys = Keys(settings.api_key, settings.admin_key)
        self._key_watch = self._build_key_watch()
        self._audit = self._build_audit()
        self.app = fleet_web.finish(web.Application(client_max_size=0))
        if tracing is not None:
            tracing.watch(self.app)
        Cors(settings.cors_origins).join(self.app)
        self.app.middlewares.extend([point_the_way, self.keys.check])
        self.app.on_response_prepare.append(self.keys.stamp)
        self.app.cleanup_ctx.extend([self._connector.opened, self._with_audit])
        self.dispatcher = self._build_dispatcher()
        self.cache = open_cache(settings, self.dispatcher, self._offer.identity)
        self.intake = self._build_intake()
        self.wyoming = WyomingDoor(settings, self.intake, keys=self.keys, offer=self._offer)
        self._metrics.registry.register(self.wyoming)
        api = self._build_api()
        api.add_routes(self.app.router)
        self._build_batch().add_routes(self.app.router, api.expecting(TRANSCRIPTIONS))
        self.realtime = Realtime(settings, self.intake, keys=self.keys, floor=self.floor, offer=self._offer)
        self.realtime.add_routes(self.app.router)
        self.realtime.show(self.status, self._metrics.registry)
        self.app.on_cleanup.append(self.realtime.close)
        self._trend = Trend()
        Desk(self.cache, self._ledger).join(self.app, self._metrics.registry)
        self._jobs = self._build_jobs()
        self._jobs.join(self.app)
        Pages(self.status, self._trend, self.keys).add_routes(self.app.router)
        Admin(self.floor.pool, self._discovery, self.dispatcher.assign).add_routes(self.app.router)

    def loops(self) -> Sequence[Coroutine[Any, Any, None]]:
        """Discovery, probes, and watching the event loop and the trend."""
        self._discovery.start()
        probe = Probe(
            self._connector.client,
            self.floor.pool,
            router_id=self._id,
            interval_s=self._settings.probe_interval_s,
            timeout_s=self._settings.probe_timeout_s,
            misses_limit=self._settings.probe_misses,
            on_change=self.dispatcher.assign,
            rng=self._rng,
        )
        watches = [self._watch_lag(), self._watch_trend()]
        if self._key_watch is not None:
            watches.append(self._key_watch.loop())
        if self.cache is not None:
            watches.append(self.cache.sweep_loop())
        return [self._discovery.loop(), probe.loop(), self.wyoming.loop(), *watches, *self._jobs.loops()]

    async def drain(self) -> None:
        """Say no at /readyz, keep serving for the notice, then refuse new work and finish what is here."""
        self.status.state = "leaving"
        await asyncio.sleep(self._settings.drain_notice_s)
        await self.realtime.drain()  # while new work is still taken: what was said so far becomes text
        self.status.state = "draining"
        logger.info("draining", extra={"in_flight": self.status.open_requests})
        try:
            async with asyncio.timeout(self._settings.drain_timeout_s):
                while self.status.open_requests:  # noqa: ASYNC110  a drain is rare, and a count simpler than an event
                    await asyncio.sleep(DRAIN_POLL_S)
        except TimeoutError:
            logger.warning("gave up waiting for requests", extra={"left": self.status.open_requests})

    def _build_floor(self) -> Floor:
        settings = self._settings
        queue, pool = Queue(settings.max_queue), Pool(self._rng, self._new_ejection, EventLog(log_event))
        policy = POLICIES[settings.balance](pool, self._rng)
        admission = Admission(queue, pool, self._ticket, max_wait_s=settings.max_wait_s, alpha_s=settings.order_alpha_s)
        assigner = Assigner(queue, pool, policy, reserved_slots=settings.realtime_reserved_slots)
        return Floor(queue, pool, admission, assigner)

    def _new_ejection(self) -> Ejection:
        settings = self._settings
        return Ejection(
            failures_limit=settings.eject_failures, base_s=settings.eject_base_s, max_s=settings.eject_max_s
        )

    def _build_key_watch(self) -> KeyWatch | None:
        if self._settings.api_keys_file is None:
            return None
        file = KeyFile.at(self._settings.api_keys_file, self._settings.api_keys_pepper_file)
        watch = KeyWatch(file, self.keys.replace)
        try:
            watch.start()
        except KeyFileError as error:
            raise StartupError(f"{error} Make keys with: whisper-fleet keys add --name NAME (API_KEYS_FILE)") from error
        return watch

    def _build_audit(self) -> Audit | None:
        if self._settings.audit_log is None:
            return None
        try:
            return Audit.at(self._settings.audit_log)
        except OSError as error:
            reason = os.strerror(error.errno or 0)
            raise StartupError(f"{self._settings.audit_log} cannot be written: {reason} (AUDIT_LOG)") from error

    def _build_dispatcher(self) -> Dispatcher:
        settings = self._settings
        attempts = Attempts(
            self._connector, self.floor.pool, router_id=self._id, connect_timeout_s=settings.connect_timeout_s
        )
        return Dispatcher(
            self.floor,
            attempts,
            budget=self._budget,
            quarantine=Quarantine(),
            retry_limit=settings.retry_limit,
            alpha_s=settings.order_alpha_s,
            on_attempt=self._on_attempt,
            rng=self._rng,
        )

    def _build_intake(self) -> Intake:
        return Intake(
            self._settings,
            self.dispatcher,
            keys=self.keys,
            offer=self._offer,
            spool=self.spool,
            ledger=self._ledger,
            metrics=self._metrics,
            status=self.status,
            audit=self._audit,
            cache=self.cache,
        )

    def _build_batch(self) -> Batch:
        return Batch(
            self._settings,
            self.intake,
            keys=self.keys,
            pool=self.floor.pool,
            spool=self.spool,
            status=self.status,
        )

    def _build_jobs(self) -> Jobs:
        return Jobs(
            self._settings,
            self.intake,
            floor=self.floor,
            keys=self.keys,
            offer=self._offer,
            spool=self.spool,
            status=self.status,
            registry=self._metrics.registry,
        )

    def _build_api(self) -> Api:
        return Api(
            self._settings,
            self.intake,
            keys=self.keys,
            floor=self.floor,
            offer=self._offer,
            metrics=self._metrics,
            status=self.status,
            wyoming=self.wyoming,
        )

    async def _with_audit(self, _: web.Application) -> AsyncIterator[None]:
        yield
        if self._audit is not None:
            self._audit.close()

    def _on_known(self, urls: list[str]) -> None:
        self.floor.pool.set_known(urls, time.monotonic())

    def _on_attempt(self, job: Job, lease: Lease, outcome: Outcome, took_s: float) -> None:
        failure = outcome.failure.name.lower() if outcome.failure else None
        is_good = failure is None and outcome.status < 400 and lease.est_s > 0
        self._metrics.attempt(lease.worker.name, outcome.status, failure, took_s / lease.est_s if is_good else None)
        if failure is not None:
            self._ledger.totals["redispatch" if failure == "busy" else "retries"] += 1
            log = logger.debug if failure == "busy" else logger.warning
            extra = {
                "worker": lease.worker.name,
                "failure": failure,
                "detail": outcome.detail,
                "request": job.request_id,
            }
            log("attempt failed", extra=extra)

    async def _watch_lag(self) -> None:
        while True:
            due = time.monotonic() + LAG_INTERVAL_S
            await asyncio.sleep(LAG_INTERVAL_S)
            lag_s = max(0.0, time.monotonic() - due)
            self.status.lags_s.append(lag_s)
            self._metrics.lagged(lag_s)

    async def _watch_trend(self) -> None:
        while True:
            self._trend.note(self.status.moment())
            await asyncio.sleep(EVERY_S)
