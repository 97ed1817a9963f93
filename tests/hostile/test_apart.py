"""
Callers stay apart, row P-13: nobody ever gets the words of another clip, by whatever door they came.

Two keys send hundreds of clips at the same time, each with words of its own, to one router with cache and jobs on:
plain, as subtitles, streamed, in batches, as jobs, again, and each key also the other's clips. The scripted engine's
words depend on every byte of a clip, and so does what is expected here. APART_CASES=2000 for a long run.
"""

import asyncio
import io
import json
import os
import random
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import aiohttp
import pytest

from router.key_file import KeyFile
from router.limits import UNLIMITED
from tests.integration.processes import Service, up, worker
from tests.router.scripted import form
from worker.clip import AudioLimits
from worker.fake import WINDOWS, decode, text_of

CASES = int(os.environ.get("APART_CASES", "160"))
SEED = int(os.environ.get("APART_SEED", "1"))
AT_ONCE = 16


def made(number: int) -> bytes:
    """A clip that no other is equal to."""
    return random.Random(f"{SEED} {number}").randbytes(2 * random.Random(number).randint(50, 2_000))


def words_of(clip: bytes) -> str:
    """What the scripted engine hears in it."""
    samples = decode(io.BytesIO(clip), AudioLimits()).samples
    bounds = [len(samples) * part // WINDOWS for part in range(WINDOWS + 1)]
    return "".join(text_of(samples[start:end]) for start, end in pairwise(bounds)).strip()


@dataclass
class Caller:
    """One key, and every door that it may come by. State: the jobs it sent."""

    client: aiohttp.ClientSession
    url: str
    key: str
    jobs: dict[str, bytes] = field(default_factory=dict)

    async def call(
        self, method: str, path: str, data: aiohttp.FormData | None = None, wanted: tuple[int, ...] = (200, 202)
    ) -> tuple[str, str]:
        """The body of an answer, and what the cache did for it."""
        headers = {"Authorization": f"Bearer {self.key}"}
        async with self.client.request(method, f"{self.url}{path}", data=data, headers=headers) as response:
            text = await response.text()
            assert response.status in wanted, text
            return text, response.headers.get("X-Fleet-Cache", "")

    async def plain(self, clip: bytes) -> str:
        text, cache = await self.call("POST", "/v1/audio/transcriptions", form(clip))
        assert json.loads(text)["text"] == words_of(clip)
        return cache

    async def subtitles(self, clip: bytes) -> None:
        text, _ = await self.call("POST", "/v1/audio/transcriptions", form(clip, response_format="srt"))
        assert " ".join(text.split("\n")[2::4]) == words_of(clip)

    async def streamed(self, clip: bytes) -> None:
        text, _ = await self.call("POST", "/v1/audio/transcriptions", form(clip, stream="true"))
        events = [json.loads(line[6:]) for line in text.split("\n") if line.startswith("data: ")]
        assert events[-1]["text"] == words_of(clip)
        assert "".join(event["delta"] for event in events[:-1]).strip() == words_of(clip)

    async def batch(self, clip: bytes) -> None:
        clips = [clip + bytes([number, 0]) for number in range(3)]
        data = form(clips[0])
        for each in clips[1:]:
            data.add_field("file", each, filename="b")
        text, _ = await self.call("POST", "/v1/audio/transcriptions_batch", data)
        assert [one["text"] for one in json.loads(text)["results"]] == [words_of(each) for each in clips]

    async def job(self, clip: bytes) -> None:
        text, _ = await self.call("POST", "/v1/jobs", form(clip))
        self.jobs[json.loads(text)["id"]] = clip

    async def results(self) -> None:
        """Wait for the jobs: each has its own words, and the list has no other."""
        for job_id, clip in self.jobs.items():
            async with asyncio.timeout(60):
                while json.loads((await self.call("GET", f"/v1/jobs/{job_id}"))[0])["status"] != "succeeded":  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            assert json.loads((await self.call("GET", f"/v1/jobs/{job_id}/result"))[0])["text"] == words_of(clip)
        listed = json.loads((await self.call("GET", "/v1/jobs?limit=100"))[0])["data"]
        assert {one["id"] for one in listed} <= set(self.jobs)


@pytest.mark.real
async def test_p13_nobody_gets_anothers_words(tmp_path: Path):
    """Every answer is that of its own clip; what one key had kept in the cache is never given to the other."""
    file, now = KeyFile.at(str(tmp_path / "keys.json")), datetime.now(UTC)
    keys = [file.add(name, UNLIMITED, now=now, expires_at=None)[0] for name in ("one", "other")]
    workers = [worker("fake:0.01"), worker("fake:0.01")]
    settings = {"API_KEYS_FILE": str(file.path), "CACHE": "memory", "JOBS": f"sqlite:///{tmp_path}/jobs.sqlite"}
    router = Service("router", "--workers", ",".join(one.url for one in workers), **settings)
    async with up(*workers, router) as client:
        one, other = (Caller(client, router.url, key) for key in keys)
        rng = random.Random(SEED)
        turns = [turn(rng.choice([one, other]), made(rng.randrange(CASES // 3)), rng) for _ in range(CASES)]
        await all_of(turns)
        await all_of([one.results(), other.results()])
        for job_id in one.jobs:
            await other.call("GET", f"/v1/jobs/{job_id}/result", wanted=(404,))
        fresh = made(CASES)
        assert [await who.plain(fresh) for who in (one, other, one, other)] == ["miss", "miss", "hit", "hit"]


def turn(who: Caller, clip: bytes, rng: random.Random) -> Awaitable[object]:
    """One request, most often a plain one."""
    doors = [who.plain, who.plain, who.plain, who.subtitles, who.streamed, who.batch, who.job]
    return rng.choice(doors)(clip)


async def all_of(turns: Sequence[Awaitable[object]]) -> None:
    """Await them, so many at a time."""
    free = asyncio.Semaphore(AT_ONCE)

    async def one(turn: Awaitable[object]) -> None:
        async with free:
            await turn

    async with asyncio.TaskGroup() as group:
        for turn in turns:
            group.create_task(one(turn))
