"""
Jobs under `kill -9`: `python -m tests.chaos.jobs --jobs 1000 --kills 200 [--postgres --routers 2]`.

Callers submit jobs until each is acknowledged, while routers and workers are killed at random moments and started
again. Afterwards there must be one job for each acknowledgement, succeeded, with the words that its own audio has:
the scripted engine's words depend on every byte of the clip.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from contextlib import AsyncExitStack, nullcontext, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random
from typing import Any

import aiohttp
import numpy as np

from tests.contracts.postgres import postgres
from tests.integration.processes import BODY_HEAD, BODY_TAIL, FORM, Service, router, worker
from worker.fake import WINDOWS, text_of

FORMATS = ("json", "text", "verbose_json")
WORKERS = 3
SUBMITTERS = 8
QUICK = ("--probe-interval-s", "0.2", "--eject-base-s", "0.2", "--eject-max-s", "1", "--job-lease-s", "5")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How much of everything. `pause_s` is the mean time between kills; jobs come during the first half of them."""

    jobs: int
    kills: int
    routers: int = 1
    engine_s: float = 0.4
    pause_s: float = 1.2
    seed: int = 1
    within_s: float = 3600

    @property
    def submits_per_s(self) -> float:
        """So that routers are killed in the middle of taking jobs, too."""
        return self.jobs / (self.kills * self.pause_s / 2)


@dataclass
class Report:
    """What happened."""

    acknowledged: dict[int, str] = field(default_factory=dict)  # number of a job -> id
    killed: Counter[str] = field(default_factory=Counter)
    posts: int = 0
    attempts: Counter[int] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    took_s: float = 0.0

    def __str__(self) -> str:
        rerun = sum(count for attempts, count in self.attempts.items() if attempts > 1)
        return (
            f"{len(self.acknowledged)} jobs acknowledged in {self.posts} requests, killed {dict(self.killed)}, "
            f"{rerun} jobs claimed more than once (at most {max(self.attempts, default=0)} times), "
            f"{len(self.wrong)} wrong, {self.took_s:.0f} s"
        )


class Chaos:
    """The processes, the callers and the killer. State: which process is which now."""

    def __init__(self, plan: Plan, store: str) -> None:
        self._plan, self._store = plan, store
        self._rng = Random(plan.seed)
        self.report = Report()
        self._workers = [worker(f"fake:{plan.engine_s}") for _ in range(WORKERS)]
        self._routers = [self._router() for _ in range(plan.routers)]

    async def run(self) -> Report:
        """All of it; the report says what was wrong."""
        began = time.monotonic()
        try:
            async with asyncio.timeout(self._plan.within_s), AsyncExitStack() as stack:
                timeout = aiohttp.ClientTimeout(total=30)
                client = await stack.enter_async_context(aiohttp.ClientSession(timeout=timeout))
                for service in (*self._workers, *self._routers):
                    await service.wait_ready(client)
                numbers = iter(range(self._plan.jobs))
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._kill())
                    for _ in range(SUBMITTERS):
                        group.create_task(self._submit(client, numbers))
                for number, job_id in self.report.acknowledged.items():
                    await self._check(client, number, job_id)
                await self._check_count(client)
        finally:
            for service in (*self._workers, *self._routers):
                service.stop()
        self.report.took_s = time.monotonic() - began
        return self.report

    def _router(self, port: int | None = None) -> Service:
        return router(self._workers, "--jobs", self._store, *QUICK, port=port)

    async def _kill(self) -> None:
        """Whoever is running, at any moment of its life, and at once another in its place."""
        for _ in range(self._plan.kills):
            await asyncio.sleep(self._rng.expovariate(1 / self._plan.pause_s))
            kind = self._rng.choice(("router", "worker"))
            services = self._routers if kind == "router" else self._workers
            index = self._rng.randrange(len(services))
            victim = services[index]
            victim.process.kill()
            await victim.exit_code()
            victim.stop()
            new = (
                self._router(victim.port)
                if kind == "router"
                else worker(f"fake:{self._plan.engine_s}", port=victim.port)
            )
            services[index] = new
            self.report.killed[kind] += 1

    async def _submit(self, client: aiohttp.ClientSession, numbers: Any) -> None:
        for number in numbers:
            wanted = FORMATS[number % 3].encode()
            field = b'\r\n--x\r\nContent-Disposition: form-data; name="response_format"\r\n\r\n' + wanted
            form = BODY_HEAD + clip(number) + field + BODY_TAIL
            headers = FORM | {"Idempotency-Key": f"job-{number}"}
            answer = await self._until_answered(client, "POST", "/v1/jobs", 202, data=form, headers=headers)
            self.report.acknowledged[number] = answer["id"]
            await asyncio.sleep(self._rng.expovariate(self._plan.submits_per_s / SUBMITTERS))

    async def _until_answered(
        self, client: aiohttp.ClientSession, method: str, path: str, wanted: int, **options: Any
    ) -> Any:
        """Any router, again and again, until one gives the wanted status."""
        while True:
            url = self._rng.choice(self._routers).url
            self.report.posts += method == "POST"
            with suppress(aiohttp.ClientError, TimeoutError):
                async with client.request(method, url + path, **options) as response:
                    body = await response.read()
                    if response.status == wanted:
                        return await response.json() if response.content_type == "application/json" else body.decode()
                    assert response.status in (502, 503), f"{method} {path}: {response.status} {body!r}"
            await asyncio.sleep(self._rng.uniform(0.05, 0.3))

    async def _check(self, client: aiohttp.ClientSession, number: int, job_id: str) -> None:
        while True:
            record = await self._until_answered(client, "GET", f"/v1/jobs/{job_id}", 200)
            if record["status"] not in ("queued", "running"):
                break
            await asyncio.sleep(0.2)
        self.report.attempts[record["attempts"]] += 1
        if record["status"] != "succeeded":
            self.report.wrong.append(f"{number}: {record}")
            return
        result = await self._until_answered(client, "GET", f"/v1/jobs/{job_id}/result", 200)
        text = result["text"] if isinstance(result, dict) else result.strip()
        is_right_form = isinstance(result, dict) == (FORMATS[number % 3] != "text")
        if text != words(number) or not is_right_form:
            self.report.wrong.append(f"{number}: {text!r}, not {words(number)!r}")

    async def _check_count(self, client: aiohttp.ClientSession) -> None:
        """As many jobs as acknowledgements, and no other."""
        found: list[str] = []
        page: Any = {"has_more": True}
        while page["has_more"]:
            after = f"&after={found[-1]}" if found else ""
            page = await self._until_answered(client, "GET", f"/v1/jobs?limit=100{after}", 200)
            found += [record["id"] for record in page["data"]]
        if Counter(found) != Counter(self.report.acknowledged.values()):
            self.report.wrong.append(f"{len(found)} jobs in the store")


def clip(number: int) -> bytes:
    """Two hundred milliseconds that no other job has."""
    return Random(number).randbytes(6400)


def words(number: int) -> str:
    """What the scripted engine hears in it: two words in each of its windows."""
    samples = np.frombuffer(clip(number), "<i2").astype(np.float32) * np.float32(1 / 32768)
    bounds = [len(samples) * part // WINDOWS for part in range(WINDOWS + 1)]
    return "".join(text_of(samples[start:end]) for start, end in pairwise(bounds)).strip()


def run(plan: Plan, *, on_postgres: bool) -> Report:
    """The whole story, with a store of its own."""
    with postgres() if on_postgres else nullcontext() as url, tempfile.TemporaryDirectory(prefix="jobs-") as folder:
        store = url or f"sqlite:///{folder}/jobs.sqlite"
        return asyncio.run(Chaos(plan, store).run())


def main() -> int:
    """0 if nothing was lost, doubled or wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.jobs", description=__doc__)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--routers", type=int, default=1)
    parser.add_argument("--postgres", action="store_true")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    plan = Plan(jobs=options.jobs, kills=options.kills, routers=options.routers, seed=options.seed)
    report = run(plan, on_postgres=options.postgres)
    print(f"seed {plan.seed}: {report}", *report.wrong[:10], sep="\n")
    return 1 if report.wrong or len(report.acknowledged) != plan.jobs else 0


if __name__ == "__main__":
    sys.exit(main())
