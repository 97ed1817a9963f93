"""Who waits, short beside long: the shipped router against other policies, in virtual time (`python -m tests.sim`)."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path

from bench.bars import Bar
from bench.session import Session
from bench.stand import DidNotStart
from fleet.figure import figure

HERE = Path(__file__).parents[1]
SHIPPED, FIFO, EARLY = "whisper-fleet", "central FIFO", ("round robin", "least connections")

Waits = Mapping[str, Mapping[str, float]]  # policy -> figure -> seconds


async def order(session: Session) -> list[Bar]:
    """Clips of 2 s to an hour on eight workers; nothing where the simulator is not, in an installed wheel."""
    if not (HERE / "tests" / "sim").is_dir():
        return []
    session.on_turn("order of the queue, in virtual time")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.sim", "--json"),
        cwd=HERE,
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate()
    if process.returncode:
        raise DidNotStart("the simulator ended with an error")
    return [bar for load, waits in json.loads(said).items() for bar in bars(load, waits)]


def bars(load: str, waits: Waits) -> list[Bar]:
    """What short clips gain and long ones pay at one load."""
    ours, fifo, early = waits[SHIPPED], waits[FIFO], {name: waits[name]["short_p95"] for name in EARLY}
    return [
        Bar(
            what=f"mixed clips at load {load}, virtual time: p95 wait of short ones, best of {' and '.join(EARLY)} "
            "against the router",
            measured=min(early.values()) / ours["short_p95"],
            at_least=5,
            detail=f"{' and '.join(map(figure, early.values()))} against {figure(ours['short_p95'])} s",
        ),
        Bar(
            what=f"mixed clips at load {load}, virtual time: p95 wait of long ones, against first come first served",
            measured=ours["long_p95"] / fifo["long_p95"],
            at_most=1.5,
            detail=f"{figure(ours['long_p95'])} against {figure(fifo['long_p95'])} s",
        ),
    ]
