"""What the router adds to a call: time, processor time, memory."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from statistics import median

import psutil

from bench.bars import Bar, spread
from bench.load import PATH, Refused, Tally, closed_loop
from bench.session import Session
from bench.stand import Stand, cpu_s, fleet

CALLERS = 8
SLEEP_S = 0.02  # of the scripted engine: callers, worker and router share the cores, so most of a call must be idle
THINK_S = 0.2
UPLOADS, UPLOAD_BYTES, PIECE_BYTES = 20, 100_000_000, 1 << 18


async def overhead(session: Session) -> list[Bar]:
    """Added latency at a rate that leaves the cores mostly idle, and CPU at the highest rate; a scripted engine."""
    direct: list[Tally] = []
    through: list[Tally] = []
    cpu_ms: list[float] = []
    settings = {"MAX_CONCURRENT_TRANSCRIPTIONS": str(2 * CALLERS)}
    async with fleet(f"fake:{SLEEP_S}", 1, settings=settings) as stand:
        assert stand.router is not None  # noqa: S101  it was asked for
        await _calls(session, stand, stand.url, 1.0)
        for _ in range(2 * session.turns):
            session.on_turn("overhead: direct")
            direct.append(await _calls(session, stand, stand.worker_urls[0], session.turn_s))
            session.on_turn("overhead: through the router")
            through.append(await _calls(session, stand, stand.url, session.turn_s))
    async with fleet("fake:0", 1, settings=settings) as stand:
        assert stand.router is not None  # noqa: S101  it was asked for
        for _ in range(session.turns):
            session.on_turn("overhead: processor time")
            before = cpu_s(stand.router)
            tally = await closed_loop(stand.http, stand.url, session.forms, callers=CALLERS, seconds=session.turn_s)
            cpu_ms.append(1000 * (cpu_s(stand.router) - before) / len(tally.ended))
    return [_added(direct, through, 0.5, "median", 1.5), _added(direct, through, 0.99, "p99", 5.0), _cpu(cpu_ms)]


async def memory(session: Session) -> list[Bar]:
    """The router's memory while large uploads pass through it."""
    async with fleet("fake:0", 1, settings={"MAX_WAIT_S": "100000"}) as stand:
        assert stand.router is not None  # noqa: S101  it was asked for
        idle = stand.router.memory_info().rss
        session.on_turn(f"{UPLOADS} uploads of {UPLOAD_BYTES // 1_000_000} MB")
        most = await _most_rss(stand, stand.router)
    return [
        Bar(
            what=f"router's memory with {UPLOADS} uploads of {UPLOAD_BYTES // 1_000_000} MB at once",
            measured=most / 1e6,
            at_most=150,
            unit="MB",
            detail=f"{idle / 1e6:.0f} MB idle",
        )
    ]


async def _calls(session: Session, stand: Stand, url: str, seconds: float) -> Tally:
    return await closed_loop(stand.http, url, session.forms, callers=CALLERS, seconds=seconds, think_s=THINK_S)


def _added(direct: list[Tally], through: list[Tally], share: float, name: str, limit_ms: float) -> Bar:
    """The middle of the rounds' differences."""
    pairs = [(one.took_ms(share), other.took_ms(share)) for one, other in zip(direct, through, strict=True)]
    return Bar(
        what=f"router adds to a call of 160 KB, {name}, {CALLERS} callers",
        measured=median(other - one for one, other in pairs),
        at_most=limit_ms,
        unit="ms",
        detail=f"{median(other for _, other in pairs):.2f} against {median(one for one, _ in pairs):.2f} ms",
    )


def _cpu(cpu_ms: list[float]) -> Bar:
    return Bar(
        what="router's processor time for a request of 160 KB",
        measured=median(cpu_ms),
        at_most=0.5,
        unit="ms",
        detail=f"{spread(cpu_ms)} ms at the highest rate; probes and the access log included",
    )


async def _most_rss(stand: Stand, router: psutil.Process) -> int:
    most = 0
    async with asyncio.TaskGroup() as group:
        uploads = [group.create_task(_upload(stand)) for _ in range(UPLOADS)]
        while not all(upload.done() for upload in uploads):
            most = max(most, router.memory_info().rss)
            await asyncio.sleep(0.05)
    return most


async def _upload(stand: Stand) -> None:
    boundary, piece = secrets.token_hex(16), secrets.token_bytes(PIECE_BYTES)
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'.encode()
    tail = f"\r\n--{boundary}--\r\n".encode()
    pieces = UPLOAD_BYTES // PIECE_BYTES

    async def body() -> AsyncIterator[bytes]:
        yield head
        for _ in range(pieces):
            yield piece
        yield tail

    headers = {
        "Content-Type": f"multipart/form-data; boundary={boundary}",
        "X-Request-Timeout": "50000",  # the clips are taken for an hour of audio each
        "Content-Length": str(len(head) + pieces * PIECE_BYTES + len(tail)),
    }
    async with stand.http.post(stand.url + PATH, data=body(), headers=headers) as response:
        if response.status != 200:
            raise Refused(f"an upload was answered {response.status}: {await response.text()}")
