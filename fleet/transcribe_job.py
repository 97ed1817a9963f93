"""`whisper-fleet transcribe --job`: hand a file over, watch how far it is, fetch the answer; `--resume` only waits."""

from __future__ import annotations

import asyncio
import secrets
import time
from argparse import ArgumentParser
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Any

import aiohttp
from rich.console import Console

from fleet import remote

POLL_S = 0.5
AWAY_S = 300  # so long may the fleet be gone while a job runs: a restart, or an upgrade

Send = Callable[[aiohttp.ClientSession, aiohttp.FormData], Awaitable[bytes]]
Told = Callable[[float, str], None]  # 0 to 1, and a word


class Way(Enum):
    """How a transcript comes: over the connection that brought the file, or by a job."""

    LIVE = "live"
    JOB = "job"
    RESUME = "resume"


def add_options(parser: ArgumentParser) -> None:
    """`--job` and `--resume`: another way than live."""
    parser.set_defaults(way=Way.LIVE)
    text = "hand the files over as jobs that outlive the connection"
    parser.add_argument("--job", action="store_const", dest="way", const=Way.JOB, help=text)
    text = "what is given are ids of such jobs: wait for them"
    parser.add_argument("--resume", action="store_const", dest="way", const=Way.RESUME, help=text)


def sender(name: str, on_progress: Told, console: Console) -> Send:
    """
    What sends a form as a job, waits for it and returns its answer; raises RemoteError.

    All that one of them sends is the same job, so a try that failed half-way may be repeated.
    """
    key = {"Idempotency-Key": secrets.token_hex(16)}

    async def send(http: aiohttp.ClientSession, form: aiohttp.FormData) -> bytes:
        async with http.post("v1/jobs", data=form, headers=key) as response:
            await remote.body_of(response)
            job_id = str((await response.json())["id"])
        console.print(f"{name} is job {job_id}", highlight=False, soft_wrap=True)  # all that --resume needs
        return await wait(http, job_id, on_progress)

    return send


async def wait(http: aiohttp.ClientSession, job_id: str, on_progress: Told) -> bytes:
    """The answer, when it is there; raises RemoteError."""
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
            if not is_away:
                raise
            on_progress(0.0, "no answer, asked again")
            if time.monotonic() > seen_at + AWAY_S:
                message = f"the fleet does not answer; once it does: whisper-fleet transcribe --resume {job_id}"
                raise remote.RemoteError(message) from error
        await asyncio.sleep(POLL_S)


def _phase(job: Any) -> str:
    if job["status"] == "queued":
        return f"queued, {job['position']} in line"
    return f"{job['progress']:.0%}" if job["status"] == "running" else str(job["status"])
