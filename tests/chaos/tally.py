"""What became of many requests: outcomes by name, times of each, and how it is told."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field

import aiohttp

from tests.chaos.clips import Clip, form_of


@dataclass
class Tally:
    """State: outcomes, and the seconds that each took."""

    outcomes: Counter[str] = field(default_factory=Counter)
    took_s: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    retried: int = 0

    async def ask(self, client: aiohttp.ClientSession, url: str, clip: Clip, *, is_judged: bool = True) -> str:
        """One transcription by a caller that never tries again; `right`, `wrong text`, a status or an error's name."""
        began = time.monotonic()
        try:
            async with client.post(f"{url}/v1/audio/transcriptions", data=form_of(clip.wav)) as response:
                body = await response.json()
                outcome = _named(response, body, clip, is_judged=is_judged)
                self.retried += response.headers.get("X-Fleet-Attempts", "1") not in ("0", "1")
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            outcome = f"failed: {type(error).__name__}"
        self.outcomes[outcome] += 1
        self.took_s[outcome].append(time.monotonic() - began)
        return outcome

    def percentile_s(self, outcome: str, percent: float) -> float:
        """Of the times of an outcome; 0 where there are none."""
        ranked = sorted(self.took_s[outcome])
        return ranked[min(len(ranked) - 1, int(len(ranked) * percent / 100))] if ranked else 0.0

    def besides(self, *expected: str) -> dict[str, int]:
        """Outcomes that should not be."""
        return {name: count for name, count in self.outcomes.items() if name not in expected}


def _named(response: aiohttp.ClientResponse, body: dict[str, object], clip: Clip, *, is_judged: bool) -> str:
    if response.status == 503 and "Retry-After" in response.headers:
        return "refused"
    if response.status != 200:
        return f"failed: {response.status} {body.get('error')}"
    return "right" if not is_judged or body.get("text") == clip.text else "wrong text"
