"""The whole fleet over HTTP against bare engine loops on the same cores, and against one worker of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from statistics import median
from typing import TypeAlias

import psutil

from bench.bars import Bar, ratio, spread
from bench.load import closed_loop
from bench.session import Session
from bench.stand import Stand, bare_loops, cpu_s, fleet
from fleet.figure import figure

Measure: TypeAlias = Callable[[], Awaitable[float]]
Spent: TypeAlias = tuple[float, float, float]

CONTEXTS = {"spoken-digits": "auto"}  # as its card says; other models encode the full window unless told otherwise
OF_CEILING, OF_IDEAL = 0.95, 0.93


async def ceiling(session: Session) -> list[Bar]:
    """Fleet throughput with W one-thread workers against W loops."""
    return [bar for name in session.models for bar in await _against_loops(session, name)]


async def scaling(session: Session) -> list[Bar]:
    """W workers against one, both behind a router."""
    return [await _against_one(session, name) for name in ("spoken-digits", "tiny")]


async def _against_loops(session: Session, name: str) -> list[Bar]:
    """Against loops as one would write them; for information, against loops given the workers' own trick."""
    directory, context = session.models[name], CONTEXTS.get(name, "full")
    async with (
        bare_loops(directory, session.cores, session.wavs, context) as plain_loops,
        bare_loops(directory, session.cores, session.wavs, context, keeps_memory=True) as loops,
        fleet(str(directory), session.cores, settings={"AUDIO_CONTEXT": context}) as stand,
    ):
        found = await session.in_turns(
            {
                f"{name}: bare loops": lambda: plain_loops.per_s(session.turn_s),
                f"{name}: bare loops, memory kept": lambda: loops.per_s(session.turn_s),
                f"{name}: fleet": _throughput(session, stand, 2 * session.cores),
            }
        )
    plain, kept, whole = found.values()
    what = f"`{name}`: fleet of {session.cores} workers against {session.cores} bare engine loops"
    return [
        Bar(
            what=f"{what}, 5 s clips",
            measured=ratio(whole, plain),
            at_least=OF_CEILING,
            detail=f"{spread(whole)} of {spread(plain)} clips/s",
        ),
        Bar(
            what=f"{what} that keep freed memory as workers do",
            measured=ratio(whole, kept),
            detail=f"{spread(whole)} of {spread(kept)} clips/s",
        ),
    ]


async def _against_one(session: Session, name: str) -> Bar:
    """With the processor time behind it: workers that share cores with router and callers get what these leave."""
    directory, alone, together = str(session.models[name]), Costs(), Costs()
    async with fleet(directory, session.cores) as all_of_them, fleet(directory, 1) as one_alone:
        found = await session.in_turns(
            {
                f"{name}: one worker": _throughput(session, one_alone, 2, alone),
                f"{name}: {session.cores} workers": _throughput(session, all_of_them, 2 * session.cores, together),
            }
        )
    one, many = found.values()
    return Bar(
        what=f"`{name}`: {session.cores} workers against {session.cores} times one",
        measured=ratio(many, one) / session.cores,
        at_least=OF_IDEAL,
        detail=f"{spread(many)} against {spread(one)} clips/s; processor time of a clip, workers + router + callers: "
        f"{together} against {alone} ms",
    )


class Costs:
    """Processor time of a clip in ms, round by round: of the workers, of the router, of the callers."""

    def __init__(self) -> None:
        self._rounds: list[tuple[float, ...]] = []

    def note(self, before: Spent, after: Spent, clips: int) -> None:
        """One round, from what was spent before it and after it."""
        self._rounds.append(tuple(1000 * (till - since) / clips for since, till in zip(before, after, strict=True)))

    def __str__(self) -> str:
        """The middle of the rounds of each, as a sum."""
        return " + ".join(figure(median(part)) for part in zip(*self._rounds, strict=True))


def _throughput(session: Session, stand: Stand, callers: int, costs: Costs | None = None) -> Measure:
    """Two callers a worker: one is served while the other's next clip is on its way."""

    async def measure() -> float:
        before = _spent(stand)
        tally = await closed_loop(stand.http, stand.url, session.forms, callers=callers, seconds=session.turn_s)
        if costs is not None:
            costs.note(before, _spent(stand), len(tally.ended))
        return tally.per_s

    return measure


def _spent(stand: Stand) -> Spent:
    """Processor seconds so far: workers, router, callers, which are this process."""
    router = cpu_s(stand.router) if stand.router is not None else 0.0
    return sum(map(cpu_s, stand.workers)), router, cpu_s(psutil.Process())
