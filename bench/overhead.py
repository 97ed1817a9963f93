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
from bench.stand import Stand, cpu_s, fleet, passthrough

CALLERS = 8
SLEEP_S = 0.02  # of the scripted engine: callers, worker and router share the cores, so most of a call must be idle
THINK_S = 0.2
SETTINGS = {"MAX_CONCURRENT_TRANSCRIPTIONS": str(2 * CALLERS)}
UPLOADS, UPLOAD_BYTES, PIECE_BYTES = 20, 100_000_000, 1 << 18


async def overhead(session: Session) -> list[Bar]:
    """
    Added latency at a rate that leaves the cores mostly idle, and CPU at the highest rate; a scripted engine.

    A bare proxy of the same library takes its turn beside the router: what it adds is the floor.
    """
    return [*await _latency(session), *await _processor_time(session)]


async def _latency(session: Session) -> list[Bar]:
    tallies: dict[str, list[Tally]] = {"direct": [], "router": [], "bare": []}
    async with (
        fleet(f"fake:{SLEEP_S}", 1, settings=SETTINGS) as stand,
        passthrough(stand.worker_urls[0]) as (bare_url, _),
    ):
        urls = {"direct": stand.worker_urls[0], "router": stand.url, "bare": bare_url}
        for url in urls.values():
            await _calls(session, stand, url, 1.0)
        for _ in range(2 * session.turns):
            for name, url in urls.items():
                session.on_turn(f"overhead: {name}")
                tallies[name].append(await _calls(session, stand, url, session.turn_s))
    if session.is_quick:  # fifty calls have no 99th percentile, only a slowest one
        return [_added(tallies, 0.5, "median", 1.5)]
    return [_added(tallies, 0.5, "median", 1.5), _added(tallies, 0.99, "p99", 5.0)]


async def _processor_time(session: Session) -> list[Bar]:
    cpu_ms: dict[str, list[float]] = {"router": [], "bare": []}
    async with fleet("fake:0", 1, settings=SETTINGS) as stand, passthrough(stand.worker_urls[0]) as (bare_url, bare):
        assert stand.router is not None  # noqa: S101  it was asked for
        sides = {"router": (stand.url, stand.router), "bare": (bare_url, bare)}
        for _ in range(session.turns):
            for name, (url, process) in sides.items():
                session.on_turn(f"overhead: processor time, {name}")
                before = cpu_s(process)
                tally = await closed_loop(stand.http, url, session.forms, callers=CALLERS, seconds=session.turn_s)
                cpu_ms[name].append(1000 * (cpu_s(process) - before) / len(tally.ended))
    return [_cpu(cpu_ms)]


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


def _added(tallies: dict[str, list[Tally]], share: float, name: str, limit_ms: float) -> Bar:
    """The middle of the rounds' differences."""
    took = {side: [tally.took_ms(share) for tally in tallies[side]] for side in tallies}
    added = {
        side: median(one - other for one, other in zip(took[side], took["direct"], strict=True))
        for side in ("router", "bare")
    }
    return Bar(
        what=f"router adds to a call of 160 KB, {name}, {CALLERS} callers",
        measured=added["router"],
        at_most=limit_ms,
        unit="ms",
        detail=f"{median(took['router']):.2f} against {median(took['direct']):.2f} ms; "
        f"a bare proxy of the same library adds {added['bare']:.2f} ms",
    )


def _cpu(cpu_ms: dict[str, list[float]]) -> Bar:
    return Bar(
        what="router's processor time for a request of 160 KB",
        measured=median(cpu_ms["router"]),
        at_most=0.5,
        unit="ms",
        detail=f"{spread(cpu_ms['router'])} ms at the highest rate, probes and the access log included; "
        f"a bare proxy of the same library needs {spread(cpu_ms['bare'])} ms",
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
