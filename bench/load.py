"""Callers over HTTP who each wait for their answer before they call again, and what became of their calls."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from random import Random
from statistics import median

import aiohttp

from bench.bars import percentile
from bench.clips import Form

PATH = "/v1/audio/transcriptions"
SETTLING = 0.15  # of a round's time is not counted: the first calls find everything idle
TOGETHER = 0.05  # of what a call takes: ends closer than this are one


class Refused(Exception):
    """A call was not answered with 200: what was measured would be something else."""


@dataclass(slots=True)
class Tally:
    """Calls of one round: when each ended and what it took, on one clock; texts by form."""

    began: float
    seconds: float
    ended: list[float] = field(default_factory=list)
    took_s: list[float] = field(default_factory=list)
    texts: dict[int, str] = field(default_factory=dict)

    @property
    def per_s(self) -> float:
        """
        Calls a second between the first and the last end in the settled part of the round.

        Calls that share a model call end together: those that end with the first were done before it.
        """
        since, until = self.began + SETTLING * self.seconds, self.began + self.seconds
        ends = sorted(end for end in self.ended if since <= end <= until)
        after = [end for end in ends if end > ends[0] + TOGETHER * median(self.took_s)]
        if not after:
            raise ValueError("the rounds are too short for what is measured (ROUND_S)")
        return len(after) / (ends[-1] - ends[0])

    def took_ms(self, share: float) -> float:
        """A percentile of what the calls took."""
        return 1000 * percentile(self.took_s, share)


async def closed_loop(
    http: aiohttp.ClientSession, url: str, forms: Sequence[Form], *, callers: int, seconds: float, think_s: float = 0.0
) -> Tally:
    """
    Call for so long. `think_s` is the longest pause before a call, drawn evenly: callers do not march in step.

    Raises Refused for any answer but 200.
    """
    tally = Tally(time.monotonic(), seconds)
    numbers = count()
    rng = Random(1)  # noqa: S311  pauses, not secrets

    async def caller() -> None:
        while time.monotonic() < tally.began + seconds:
            await asyncio.sleep(rng.uniform(0, think_s))
            index = next(numbers) % len(forms)
            began = time.monotonic()
            text = await call(http, url, forms[index])
            tally.ended.append(time.monotonic())
            tally.took_s.append(tally.ended[-1] - began)
            tally.texts[index] = text

    async with asyncio.TaskGroup() as group:
        for _ in range(callers):
            group.create_task(caller())
    return tally


async def call(http: aiohttp.ClientSession, url: str, form: Form) -> str:
    """One transcription's text; raises Refused."""
    async with http.post(url + PATH, data=form.body, headers={"Content-Type": form.content_type}) as response:
        body = await response.read()
    if response.status != 200:
        raise Refused(f"a call was answered {response.status}: {body[:200]!r}")
    return str(json.loads(body)["text"])
