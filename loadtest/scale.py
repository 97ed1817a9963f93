"""Runs a scenario on each fleet size and balancer, one after the other, and shows how far it is."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from loadtest.faults import Fault, parsed
from loadtest.outcome import Ending, Record
from loadtest.run import Ran, run
from loadtest.scenarios import SCENARIOS, Scale, planned_s
from loadtest.settings import LoadtestSettings
from loadtest.target import Target, started

SETTLING = 1.15  # phases wait for the last answers


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """One run of the tour: a scenario on a fleet size behind a balancer."""

    scenario: str
    workers: int
    balancer: str
    model: str

    @property
    def title(self) -> str:
        """As the report names it."""
        where = f"{self.workers} worker{'s' * (self.workers != 1)} behind {self.balancer}" if self.balancer else "URL"
        return f"{self.scenario}, {where}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """A stop and what was measured there."""

    stop: Stop
    ran: Ran


def stops(scenario: str, settings: LoadtestSettings) -> list[Stop]:
    """The tour: every size for scaling, one worker for single, the largest fleet for the rest."""
    sizes = settings.sizes()
    balancers = ("",) if settings.url else settings.balancers()
    tour = {
        "scaling": [("scaling", size) for size in sizes],
        "single": [("single", sizes[0])],
        "all": [*(("scaling", size) for size in sizes), ("all", sizes[-1])],
    }.get(scenario, [(scenario, sizes[-1])])
    return [
        Stop(scenario=name, workers=size, balancer=balancer, model="" if settings.url else settings.model)
        for name, size in tour
        for balancer in balancers
    ]


async def tour(scenario: str, settings: LoadtestSettings, console: Console) -> list[Leg]:
    """Run them all. A second balancer gets the load that the first one's fleet was measured to bear."""
    faults = parsed(settings.faults)
    capacities: dict[tuple[str, int], float] = {}
    legs = []
    with _progress(console) as progress:
        for stop in stops(scenario, settings):
            capacity_per_s = settings.capacity or capacities.get((stop.scenario, stop.workers), 0.0)
            leg = await _leg(stop, settings, capacity_per_s, faults, progress)
            capacities.setdefault((stop.scenario, stop.workers), leg.ran.record.phases[-1].capacity_per_s)
            legs.append(leg)
    return legs


def options_of(stop: Stop, settings: LoadtestSettings, capacity_per_s: float) -> list[str]:
    """What the load generator is told."""
    given = {
        "scenario": stop.scenario,
        "mix": settings.mix,
        "manners": settings.manners,
        "clients": settings.busy_clients(stop.workers),
        "capacity": capacity_per_s,
        "step-s": settings.step_s,
        "soak-s": settings.soak_s,
        "medium-s": settings.medium_s,
        "long-s": settings.long_s,
        "texts": settings.checks(),
        "timeout-s": settings.timeout_s,
        "model": settings.ask_model,
        "seed": settings.seed,
        "samples": settings.samples,
    }
    return [part for name, value in given.items() for part in (f"--{name}", str(value))]


@asynccontextmanager
async def target_of(stop: Stop, settings: LoadtestSettings) -> AsyncIterator[Target]:
    """The URL as given, or a fleet for as long as the block runs."""
    if settings.url:
        yield Target(url=settings.url.rstrip("/"))
        return
    async with started(stop.workers, stop.model, stop.balancer, threads=settings.threads()) as target:
        yield target


async def _leg(
    stop: Stop, settings: LoadtestSettings, capacity_per_s: float, faults: list[Fault], progress: Progress
) -> Leg:
    phases = SCENARIOS[stop.scenario](
        Scale(step_s=settings.step_s, soak_s=settings.soak_s, clients=settings.busy_clients(stop.workers))
    )
    bar = progress.add_task(stop.title, total=planned_s(phases) * SETTLING, now="starting")

    def show(seconds: float, record: Record) -> None:
        ended = len(record.phases)
        now = phases[ended].name if ended < len(phases) else "done"
        bad = sum(outcome.ending is not Ending.OK for outcome in record.outcomes)
        progress.update(bar, completed=seconds, now=f"{now}: {len(record.outcomes)} calls, {bad} not answered")

    async with target_of(stop, settings) as target:
        ran = await run(
            target, options_of(stop, settings, capacity_per_s), dict(os.environ), faults=faults, on_progress=show
        )
    progress.update(bar, total=1, completed=1, now=f"{len(ran.record.outcomes)} calls")
    return Leg(stop=stop, ran=ran)


@contextmanager
def _progress(console: Console) -> Iterator[Progress]:
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("{task.fields[now]}"), console=console) as progress:
        yield progress
