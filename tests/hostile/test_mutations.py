"""Mutated media, row A-33: flips, cuts and splices of good files are decoded or refused, and nothing else happens."""

import asyncio
import io
import logging
import os
import random
from collections import Counter

import aiohttp
import pytest

from fleet.errors import BadAudio
from tests.hostile import files
from tests.integration.processes import ask, router, up, worker
from tests.router.scripted import form
from tests.worker import clips as make
from worker.clip import AudioLimits
from worker.sandbox import Sandbox

CASES = int(os.environ.get("FUZZ_CASES", "300"))
UPLOADS, SENDERS = int(os.environ.get("FUZZ_CASES", "60")), 4  # that go all the way, through a router
SEED = int(os.environ.get("FUZZ_SEED", "1"))
SHORT = make.wav(make.tone(0.5))
CODES = {
    "audio_unsupported",
    "audio_corrupt",
    "audio_empty",
    "audio_no_stream",
    "audio_bad_layout",
    "audio_too_long",
}


def seeds() -> list[bytes]:
    """One short clip in each format."""
    return [
        make.encoded(SHORT, container, codec, rate)
        for container, codec, rate in (
            ("mp3", "libmp3lame", 16_000),
            ("flac", "flac", 16_000),
            ("ogg", "libopus", 48_000),
            ("ipod", "aac", 16_000),
            ("mp4", "alac", 16_000),
            ("webm", "libopus", 48_000),
            ("adts", "aac", 16_000),
            ("mpegts", "aac", 16_000),
            ("wav", "pcm_mulaw", 8_000),
            ("wav", "pcm_s16le", 16_000),
            ("aiff", "pcm_s16be", 16_000),
            ("caf", "pcm_s16le", 16_000),
        )
    ] + [files.film(with_sound=True)]


def mutated(data: bytes, other: bytes, rng: random.Random) -> bytes:
    """One to four changes, most of them near the start, where the headers are."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = min(int(rng.expovariate(4 / len(changed))), len(changed) - 1)
        kind = rng.randrange(6)
        if kind == 0:
            changed[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            changed[at] = rng.choice([0, 1, 0x7F, 0x80, 0xFF])
        elif kind == 2:
            changed[at : at + 4] = rng.choice([b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff"])
        elif kind == 3:
            del changed[at : at + rng.randint(1, 200)]
        elif kind == 4:
            changed[at:at] = other[: rng.randint(1, 400)]
        else:
            changed[at : at + 64] = rng.randbytes(64)
        if not changed:
            return b"\0"
    return bytes(changed)


def test_a33_mutated_files_are_decoded_or_refused():
    """FUZZ_CASES=10000 for the long run; a failure prints the seed and the case."""
    rng, sandbox, base = random.Random(SEED), Sandbox(), seeds()
    outcomes: dict[str, int] = {}
    try:
        for case in range(CASES):
            data = mutated(rng.choice(base), rng.choice(base), rng)
            try:
                sandbox.decode(io.BytesIO(data), AudioLimits(max_s=3_600))
                code = "ok"
            except BadAudio as refused:
                code = refused.code
                assert code in CODES, f"seed {SEED}, case {case}"
            outcomes[code] = outcomes.get(code, 0) + 1
            if case % 100 == 0:
                assert sandbox.decode(io.BytesIO(base[1]), AudioLimits()).duration_s == 0.5
    finally:
        sandbox.close()
    logging.getLogger(__name__).info("%d cases, seed %d: %s, %d died", CASES, SEED, outcomes, sandbox.deaths)
    assert sandbox.deaths <= CASES / 100
    assert len(outcomes) >= 3


@pytest.mark.real
async def test_a33_mutated_uploads_are_answered_with_200_or_400():
    """Through a router to the embedded model, four at a time; router and worker are the same processes afterwards."""
    rng, base, outcomes = random.Random(SEED), seeds(), Counter[str]()
    digits = worker("spoken-digits", "--cpu-threads", "1")
    front = router([digits])

    async def sender(client: aiohttp.ClientSession) -> None:
        for _ in range(UPLOADS // SENDERS):
            data = mutated(rng.choice(base), rng.choice(base), rng)
            async with client.post(f"{front.url}/v1/audio/transcriptions", data=form(data)) as response:
                answer = await response.json()
                assert response.status in (200, 400), answer
            code = "ok" if response.status == 200 else answer["error"]["code"]
            assert code in CODES | {"ok"}
            outcomes[code] += 1

    async with up(digits, front) as client:
        async with asyncio.TaskGroup() as group:
            for _ in range(SENDERS):
                group.create_task(sender(client))
        status, _ = await ask(client, front.url, base[1])
        assert (status, digits.process.poll(), front.process.poll()) == (200, None, None)
    logging.getLogger(__name__).info("%d uploads, seed %d: %s", outcomes.total(), SEED, dict(outcomes))
    assert len(outcomes) >= 3
