"""A scripted fleet that keeps jobs in a folder of the test's, and a caller of /v1/jobs."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from router.key_file import KeyFile
from router.limits import Limits
from tests.router.scripted import ScriptedFleet, form, scripted_fleet, until

FINAL = ("succeeded", "failed", "cancelled")


class JobsFleet:
    """The fleet, and what a client does with it. `key` is who asks."""

    def __init__(self, fleet: ScriptedFleet) -> None:
        self.fleet = fleet

    async def call(self, method: str, path: str, *, key: str = "", **options: Any) -> tuple[int, Any]:
        """Status and body, parsed if it is JSON."""
        headers = options.pop("headers", {}) | ({"Authorization": f"Bearer {key}"} if key else {})
        async with self.fleet.client.request(method, f"{self.fleet.url}{path}", headers=headers, **options) as response:
            text = await response.text()
            return response.status, json.loads(text) if response.content_type == "application/json" else text

    async def post(self, body: bytes = b"RIFFsome audio", *, key: str = "", headers: Any = None, **fields: str) -> Any:
        """Status and answer of a new job."""
        return await self.call("POST", "/v1/jobs", key=key, data=form(body, **fields), headers=headers or {})

    async def submit(self, body: bytes = b"RIFFsome audio", **options: Any) -> str:
        """The id of a job that was taken."""
        status, answer = await self.post(body, **options)
        assert (status, answer["status"]) == (202, "queued"), answer
        return str(answer["id"])

    async def record(self, job_id: str, key: str = "") -> Any:
        """What the job shows of itself."""
        status, record = await self.call("GET", f"/v1/jobs/{job_id}", key=key)
        assert status == 200, record
        return record

    async def ended(self, job_id: str, key: str = "") -> Any:
        """The record, once the job is over."""
        return await self.reaches(job_id, *FINAL, key=key)

    async def reaches(self, job_id: str, *states: str, key: str = "") -> Any:
        """The record, once the job is in one of these states."""
        deadline = time.monotonic() + 30
        while (record := await self.record(job_id, key))["status"] not in states:
            assert time.monotonic() < deadline, f"{record} and not {states}"
            await asyncio.sleep(0.01)
        return record

    async def result(self, job_id: str) -> tuple[int, Any]:
        """Status and body."""
        return await self.call("GET", f"/v1/jobs/{job_id}/result")


@asynccontextmanager
async def jobs_fleet(
    folder: Path, count: int = 2, *, ends_clean: bool = True, **settings: Any
) -> AsyncIterator[JobsFleet]:
    """Jobs in `folder`; another fleet with the same folder finds them. Nothing runs at its end, if `ends_clean`."""
    stored = {"jobs": f"sqlite:///{folder}/jobs.sqlite"}
    async with scripted_fleet(count, **(stored | settings)) as fleet:
        yield JobsFleet(fleet)
        if ends_clean:
            await until(fleet.is_clean, "a clean end")


def made_keys(path: Path, *limits: Limits) -> list[str]:
    """Keys in a file of keys, one for each of the limits."""
    file = KeyFile.at(str(path))
    now = datetime.now(UTC)
    return [file.add(f"key-{number}", each, now=now, expires_at=None)[0] for number, each in enumerate(limits)]
