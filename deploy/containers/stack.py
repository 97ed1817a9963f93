"""A Compose project of its own for the checks: bring it up, scale it, put it under load, take it away."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

ROOT = Path(__file__).parents[2]
PROJECT = "whisper-fleet-check"
CLIP = (ROOT / "samples" / "digits-short-george.wav").read_bytes()
SAID = "five seven nine zero one"
WAIT_S = 120  # for anything that a container is waited for


class DockerError(Exception):
    """A command did not end as it should; the message is what it said."""


class Stack:
    """Compose with these files, and whatever `environ` adds to the settings. State: none; the engine has it."""

    def __init__(self, *overlays: str, **environ: str) -> None:
        files = ["compose.yaml", *(f"compose.{name}.yaml" for name in overlays)]
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._options = [
            "--progress",
            "quiet",
            "-p",
            PROJECT,
            *(part for file in files for part in ("-f", f"compose/{file}")),
        ]
        self._environ = os.environ | {"PORT": str(self.port)} | environ

    async def compose(self, *arguments: str, fails: bool | None = False) -> str:
        """What `docker compose` prints; raises DockerError with it when the exit code is not as expected."""
        return await docker("compose", *self._options, *arguments, environ=self._environ, fails=fails)

    async def up(self, *arguments: str, workers: int) -> None:
        """Start, or scale to so many workers; returns when all are healthy."""
        await self.compose(
            "up", "-d", "--no-recreate", "--wait", "--quiet-pull", "--scale", f"worker={workers}", *arguments
        )

    @asynccontextmanager
    async def running(self, *services: str, workers: int) -> AsyncIterator[None]:
        """Up with so many workers for as long as the block runs; what it logged is printed when the block fails."""
        try:
            await self.up(*services, workers=workers)
            yield
        except BaseException:
            print(await self.compose("logs", "--tail", "15", fails=None))
            raise
        finally:
            await self.down()

    async def down(self) -> None:
        """Everything away, volumes too."""
        await self.compose("--profile", "*", "down", "-v", "--remove-orphans", "-t", "10")

    async def containers(self, service: str) -> list[str]:
        """Names of the service's containers, sorted."""
        listed = await docker(
            *("ps", "-a", "--filter", f"label=com.docker.compose.project={PROJECT}"),
            *("--filter", f"label=com.docker.compose.service={service}", "--format", "{{.Names}}"),
        )
        return sorted(listed.split())

    async def inspect(self, name: str) -> Any:
        """All that the engine knows of a container."""
        return json.loads(await docker("inspect", name))[0]


@dataclass(slots=True)
class Tally:
    """What clients got."""

    answered: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    by_worker: Counter[str] = field(default_factory=Counter)


@asynccontextmanager
async def load(url: str, *, clients: int = 4, pause_s: float = 0.0) -> AsyncIterator[Tally]:
    """Clients that never retry, asking as long as the block runs; each has its last answer when it ends."""
    tally, stopping = Tally(), asyncio.Event()
    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(timeout=timeout) as session, asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(_ask_on(session, url, tally, stopping, pause_s))
        try:
            yield tally
        finally:
            stopping.set()


async def ask(session: aiohttp.ClientSession, url: str, expected: str | None = SAID) -> tuple[str, str]:
    """One transcription: what went wrong (nothing: empty), and who did it."""
    form = aiohttp.FormData()
    form.add_field("file", CLIP, filename="clip.wav")
    try:
        async with session.post(f"{url}/v1/audio/transcriptions", data=form) as response:
            body = await response.text()
            who = response.headers.get("X-Fleet-Worker", "")
            if response.status != 200:
                return f"{response.status} {body[:200]}", who
            if expected is not None and json.loads(body)["text"] != expected:
                return f"wrong text: {body[:100]}", who
            return "", who
    except (aiohttp.ClientError, TimeoutError) as error:
        return f"{type(error).__name__}: {error}", ""


async def _ask_on(
    session: aiohttp.ClientSession, url: str, tally: Tally, stopping: asyncio.Event, pause_s: float
) -> None:
    while not stopping.is_set():
        problem, who = await ask(session, url)
        if problem:
            tally.failed[problem] += 1
            await asyncio.sleep(0.1)
        else:
            tally.answered += 1
            tally.by_worker[who] += 1
        await asyncio.sleep(pause_s)


async def docker(*arguments: str, environ: dict[str, str] | None = None, fails: bool | None = False) -> str:
    """The command's output; raises DockerError with it when it fails, or does not where it should (None: either)."""
    done = await asyncio.to_thread(
        subprocess.run, ["docker", *arguments], cwd=ROOT, env=environ, capture_output=True, text=True, check=False
    )
    if fails is not None and (done.returncode != 0) != fails:
        raise DockerError(f"docker {' '.join(arguments)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout + (done.stderr if fails else "")


async def until(holds: Callable[[], Any], within_s: float = WAIT_S) -> bool:
    """Wait for an async condition; False when it did not come about in time."""
    deadline = time.monotonic() + within_s
    while not await holds():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.25)
    return True


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
