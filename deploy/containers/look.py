"""What can be seen of a stack from outside, as questions that are asked until the answer is yes."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
from stack import CLIP, DockerError, Stack, Tally, docker

LARGE_BYTES = 60_000_000


async def has_ready(stack: Stack, count: int) -> bool:
    """Whether the router knows exactly so many workers, all of them ready."""
    status = await _json(f"{stack.url}/lb-status")
    workers = status["workers"] if status else []
    return len(workers) == count and all(worker["state"] == "ready" for worker in workers)


async def is_busy(stack: Stack) -> bool:
    """Whether a slot is taken."""
    status = await _json(f"{stack.url}/lb-status")
    return bool(status and status["fleet"]["busy"])


async def has_served(tally: Tally, count: int) -> bool:
    """Whether so many workers have given an answer."""
    return len(tally.by_worker) >= count


async def is_back(stack: Stack, container: str) -> bool:
    """Whether the engine has started it again and it is healthy."""
    details = await stack.inspect(container)
    return details["RestartCount"] > 0 and details["State"].get("Health", {}).get("Status") == "healthy"


async def all_asked(stack: Stack) -> bool:
    """Whether twenty calls reach every worker container that there is, and nothing else."""
    there = {(await stack.inspect(name))["Config"]["Hostname"] for name in await stack.containers("worker")}
    reached = {((await _json(f"{stack.url}/health")) or {}).get("worker_id", "").rpartition(":")[0] for _ in range(20)}
    return reached == there


async def scrapes(count: int) -> bool:
    """Whether Prometheus reaches so many targets of ours."""
    answer = await _json("http://127.0.0.1:9090/api/v1/query?query=sum(up)")
    result = answer["data"]["result"] if answer else []
    return bool(result) and int(result[0]["value"][1]) >= count


async def answers(url: str) -> bool:
    """Whether there is a 200."""
    try:
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False


async def has_image(service: str) -> bool:
    """Whether the engine has, or can get, the image of a monitoring service."""
    listed = await docker(
        "compose", "-f", "compose/compose.yaml", "-f", "compose/compose.monitoring.yaml", "config", "--images"
    )
    image = next(line for line in listed.splitlines() if service in line)
    try:
        await docker("image", "inspect", image)
    except DockerError:
        return False
    return True


async def speaks_wyoming(port: int) -> bool:
    """Whether a Wyoming client's first question is answered."""
    try:
        async with asyncio.timeout(5):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b'{"type": "describe"}\n')
            answer = json.loads(await reader.readline())
            writer.close()
    except (OSError, ValueError, TimeoutError):
        return False
    return bool(answer.get("type") == "info")


async def cache_says(session: aiohttp.ClientSession, url: str) -> str:
    """Hit or miss, of one transcription."""
    form = aiohttp.FormData()
    form.add_field("file", CLIP, filename="clip.wav")
    async with session.post(f"{url}/v1/audio/transcriptions", data=form) as response:
        return response.headers.get("X-Fleet-Cache", f"{response.status}")


async def leaves_job(session: aiohttp.ClientSession, url: str) -> str:
    """Where a job is that was just taken."""
    form = aiohttp.FormData()
    form.add_field("file", CLIP, filename="clip.wav")
    async with session.post(f"{url}/v1/jobs", data=form) as response:
        body = await response.json()
    return f"{url}/v1/jobs/{body['id']}" if response.status == 202 else f"{response.status} {body}"


async def has_result(session: aiohttp.ClientSession, job: str) -> str | None:
    """The text of a job; None until there is one."""
    try:
        async with session.get(f"{job}/result") as response:
            return str((await response.json())["text"]) if response.status == 200 else None
    except aiohttp.ClientError:
        return None


async def takes_large(session: aiohttp.ClientSession, url: str) -> str:
    """What goes wrong with an upload of many megabytes that is no audio; a 400 that says so is right."""
    form = aiohttp.FormData()
    form.add_field("file", b"x" * LARGE_BYTES, filename="clip.wav")
    async with session.post(f"{url}/v1/audio/transcriptions", data=form) as response:
        body = await response.text()
    return "" if response.status == 400 and "audio_" in body else f"{response.status} {body[:200]}"


async def _json(url: str) -> Any:
    try:
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            return await response.json(content_type=None) if response.status == 200 else None
    except (aiohttp.ClientError, ValueError):
        return None
