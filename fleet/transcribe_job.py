"""`whisper-fleet transcribe --job`: hand a file over, watch how far it is, fetch the answer."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from typing import Any

import aiohttp

from fleet import remote

POLL_S = 0.5
AWAY_S = 300  # so long may the fleet be gone while a job runs: a restart, or an upgrade


def new_key() -> dict[str, str]:
    """Headers that make a repeated request the same job."""
    return {"Idempotency-Key": secrets.token_hex(16)}


async def submit(http: aiohttp.ClientSession, form: aiohttp.FormData, headers: dict[str, str]) -> str:
    """The id of the job; raises RemoteError."""
    async with http.post("v1/jobs", data=form, headers=headers) as response:
        await remote.body_of(response)
        return str((await response.json())["id"])


async def wait(http: aiohttp.ClientSession, job_id: str, on_progress: Callable[[float, str], None]) -> bytes:
    """The answer, when it is there. `on_progress` is told 0 to 1 and a word; raises RemoteError."""
    seen_at = time.monotonic()
    while True:
        try:
            async with http.get(f"v1/jobs/{job_id}") as response:
                await remote.body_of(response)
                job = await response.json()
            on_progress(job["progress"], _phase(job))
            if job["status"] == "cancelled":
                raise remote.RemoteError(f"job {job_id} was cancelled")
            if job["status"] not in ("queued", "running"):
                async with http.get(f"v1/jobs/{job_id}/result") as response:
                    return await remote.body_of(response)
            seen_at = time.monotonic()
        except (aiohttp.ClientError, remote.RemoteError) as error:
            is_away = isinstance(error, aiohttp.ClientError) or error.retry_after_s is not None
            if not is_away or time.monotonic() > seen_at + AWAY_S:
                raise
        await asyncio.sleep(POLL_S)


def _phase(job: Any) -> str:
    if job["status"] == "queued":
        return f"queued, {job['position']} in line"
    return f"{job['progress']:.0%}" if job["status"] == "running" else str(job["status"])
