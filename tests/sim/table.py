"""
The comparison of policies, in virtual time with the shipped router: `python -m tests.sim`.

Eight workers, the mix of sizes of tests/sim/engine/traffic.py, Poisson arrivals, sizes guessed wrong by half a
lognormal sigma. Every policy sees the same arrivals; the figures are those of all seeds together.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict
from random import Random

from rich.console import Console
from rich.progress import track
from rich.table import Table

from router.settings import RouterSettings
from tests.sim.engine.early import EARLY, Arrivals, bind_early, central_fifo
from tests.sim.engine.house import open_house
from tests.sim.engine.measure import Waits
from tests.sim.engine.traffic import Callers, Story, mixed
from tests.sim.engine.virtual import Clock, simulate

WORKERS = 8
JOBS = 4000
LOADS = (0.7, 0.85)
SEEDS = int(os.environ.get("SIM_SEEDS", "5"))
SHIPPED = "whisper-fleet"
QUIET = RouterSettings(probe_interval_s=4)  # one router on healthy workers learns nothing from probes


def shipped(arrivals: Arrivals, *, workers: int = WORKERS, seed: int = 0) -> list[Story]:
    """Play the arrivals against the shipped router."""

    async def story(clock: Clock) -> list[Story]:
        async with open_house(clock, workers=workers, seed=seed, settings=QUIET) as house:
            return await Callers(house).play(arrivals)

    return simulate(story)


def every_policy(load: float, seed: int, *, jobs: int = JOBS) -> Iterator[tuple[str, list[Story]]]:
    """Each policy's name and what its callers lived through."""
    arrivals = mixed(Random(seed), load=load, slots=WORKERS, count=jobs)
    for name, rule in EARLY.items():
        yield name, bind_early(arrivals, rule(), workers=WORKERS, rng=Random(seed))
    yield "central FIFO", central_fifo(arrivals, workers=WORKERS)
    yield SHIPPED, shipped(arrivals, seed=seed)


def compare(load: float, seeds: range, *, jobs: int = JOBS) -> dict[str, Waits]:
    """Each policy's waits over all seeds."""
    stories: dict[str, list[Story]] = {}
    for seed in seeds:
        for name, some in every_policy(load, seed, jobs=jobs):
            stories.setdefault(name, []).extend(some)
    return {name: Waits.of(some) for name, some in stories.items()}


def render(load: float, waits: dict[str, Waits]) -> Table:
    """One table for one load."""
    table = Table(title=f"Seconds waited before start: {WORKERS} workers at load {load}", title_justify="left")
    table.add_column("policy")
    for column in ("mean", "p99", "short p95", "short p99", "long p95"):
        table.add_column(column, justify="right")
    for name, each in waits.items():
        figures = (each.mean, each.p99, each.short_p95, each.short_p99, each.long_p95)
        table.add_row(name, *(f"{value:.2f}" for value in figures), style="bold" if name == SHIPPED else "")
    return table


def main(*, is_json: bool = False) -> None:
    """Print the tables, or seconds by load, policy and figure."""
    console, waits = Console(), {}
    for load in track(LOADS, description="Simulating", console=Console(stderr=True), transient=True):
        waits[load] = compare(load, range(SEEDS))
    if is_json:
        sys.stdout.write(json.dumps(waits, default=asdict) + "\n")
        return
    for load, by_policy in waits.items():
        console.print(render(load, by_policy))
