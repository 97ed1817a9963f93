"""What becomes of a worker's time: encoding no more than a clip fills, and sharing model calls between requests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from statistics import median

from bench.bars import Bar, ratio, spread
from bench.load import Tally, closed_loop
from bench.session import Session
from bench.stand import Stand, fleet

CONTEXT_BARS = {"spoken-digits": 4.0, "tiny": 2.5}
MANY = 8


async def context(session: Session) -> list[Bar]:
    """AUDIO_CONTEXT=auto against full, one worker, clips of 3 to 4.4 s, over HTTP."""
    bars = []
    for name in session.models:
        bars += await _context_of(session, name)
    return bars


async def batching(session: Session) -> list[Bar]:
    """Windows of several requests in one model call against one request after the other."""
    name = "spoken-digits" if session.is_quick else "tiny"
    directory = str(session.models[name])
    together = {"AUDIO_CONTEXT": "auto", "MAX_CONCURRENT_TRANSCRIPTIONS": str(MANY), "BATCH_SIZE": "4"}
    alone = {"AUDIO_CONTEXT": "auto", "MAX_CONCURRENT_TRANSCRIPTIONS": "1", "BATCH_SIZE": "1"}
    async with (
        fleet(directory, 1, has_router=False, settings=together) as shared,
        fleet(directory, 1, has_router=False, settings=alone) as single,
    ):
        crowded = await session.in_turns(
            {
                "batching: one at a time, 8 callers": _per_s(session, single, MANY),
                "batching: shared calls, 8 callers": _per_s(session, shared, MANY),
            }
        )
        quiet = await session.in_turns(
            {
                "batching: one at a time, 1 caller": _p50_ms(session, single),
                "batching: shared calls, 1 caller": _p50_ms(session, shared),
            }
        )
    (one_s, many_s), (one_ms, many_ms) = crowded.values(), quiet.values()
    return [
        Bar(
            what=f"`{name}`: shared model calls against one request at a time, throughput of a worker, {MANY} callers",
            measured=ratio(many_s, one_s),
            at_least=1.0,
            detail=f"{spread(many_s)} against {spread(one_s)} clips/s",
        ),
        Bar(
            what=f"`{name}`: the same, median time of a call, 1 caller",
            measured=ratio(many_ms, one_ms),
            at_most=1.05,  # 1, and what two rounds of the same differ by
            detail=f"{spread(many_ms)} against {spread(one_ms)} ms",
        ),
    ]


async def _context_of(session: Session, name: str) -> list[Bar]:
    directory = str(session.models[name])
    texts: dict[str, dict[int, str]] = {}
    async with (
        fleet(directory, 1, has_router=False, settings={"AUDIO_CONTEXT": "full"}) as full,
        fleet(directory, 1, has_router=False, settings={"AUDIO_CONTEXT": "auto"}) as auto,
    ):
        found = await session.in_turns(
            {
                f"{name}: full context": _per_s(session, full, 2, texts.setdefault("full", {})),
                f"{name}: auto context": _per_s(session, auto, 2, texts.setdefault("auto", {})),
            }
        )
    whole, fitted = found.values()
    both = texts["full"].keys() & texts["auto"].keys()
    same = sum(texts["full"][index] == texts["auto"][index] for index in both)
    return [
        Bar(
            what=f"`{name}`: AUDIO_CONTEXT=auto against full, clips of 3 to 4.4 s",
            measured=ratio(fitted, whole),
            at_least=CONTEXT_BARS.get(name),
            detail=f"{spread(fitted)} against {spread(whole)} clips/s; same text on {same} of {len(both)} clips",
        )
    ]


def _per_s(
    session: Session, stand: Stand, callers: int, texts: dict[int, str] | None = None
) -> Callable[[], Awaitable[float]]:
    async def measure() -> float:
        tally = await _calls(session, stand, callers)
        if texts is not None:
            texts.update(tally.texts)
        return tally.per_s

    return measure


def _p50_ms(session: Session, stand: Stand) -> Callable[[], Awaitable[float]]:
    async def measure() -> float:
        return median((await _calls(session, stand, 1)).took_s) * 1000

    return measure


async def _calls(session: Session, stand: Stand, callers: int) -> Tally:
    return await closed_loop(stand.http, stand.url, session.trimmed, callers=callers, seconds=session.turn_s)
