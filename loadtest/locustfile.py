"""
Locust's side: options, users, the shape. Works headless and in Locust's own pages.

    locust -f loadtest/locustfile.py --host http://127.0.0.1:8083 --scenario mixed --headless

The shape asks the conductor what runs now: `Caller`s are the clients of a closed loop; `Arrivals`, of which there is
always one, makes the calls of an open one. (Locust's shapes cannot swap the class of users that already run.)
"""

from __future__ import annotations

import os
import time
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from locust import LoadTestShape, User, constant, events, tag, task

from loadtest import clips, pages
from loadtest.client import Client, Manners
from loadtest.conductor import IN_FLIGHT_MOST, Conductor
from loadtest.outcome import Ending, Heading, Outcome
from loadtest.recorder import Checker, Recorder, Texts
from loadtest.scenarios import DEFAULT_MANNERS, DEFAULT_MIX, SCENARIOS, Scale

MANNERS: dict[str, tuple[Manners, ...]] = {
    **{each: (each,) for each in Manners},
    "both": (Manners.PATIENT, Manners.HASTY),
}


@events.init_command_line_parser.add_listener
def _add_options(parser: ArgumentParser, **_: Any) -> None:
    add = parser.add_argument
    add("--scenario", choices=tuple(SCENARIOS), default="scaling", help="what to run")
    add("--mix", choices=("auto", *clips.MIXES), default="auto", help="clips by length; auto: the scenario's own")
    add("--manners", choices=("auto", *MANNERS), default="auto", help="of refused clients; auto: the scenario's own")
    add("--clients", type=int, default=4, help="clients that keep every slot busy: two a slot")
    add("--capacity", type=float, default=0.0, help="requests/s taken for full load; 0: measure it")
    add("--step-s", type=float, default=8.0, help="length of one step [s]")
    add("--soak-s", type=float, default=600.0, help="length of a soak [s]")
    add("--medium-s", type=float, default=60.0, help="length of medium clips [s]")
    add("--long-s", type=float, default=300.0, help="length of long clips [s]")
    add("--texts", choices=tuple(Texts), default=Texts.KNOWN, help="known: check the words; same: against each other")
    add("--timeout-s", type=float, default=120.0, help="silence after which a call has failed [s]")
    add("--drain-s", type=float, default=30.0, help="wait for the last answers [s]")
    add("--model", default="whisper-1", help="model to ask for")
    add("--seed", type=int, default=1, help="the same seed plans the same calls")
    add("--samples", default=str(clips.SAMPLES), help="folder with clips and texts.json", include_in_web_ui=False)
    add("--record", default="", help="file for every call's outcome (JSON lines)", include_in_web_ui=False)


class Stage:
    """What is set up anew for each run. State: the conductor, once a run has begun."""

    conductor: Conductor | None = None
    recorder: Recorder | None = None

    def begin(self, environment: Any) -> None:
        """Plan a run from the options as they are now; the pages may have changed them."""
        options: Namespace = environment.parsed_options
        mix = DEFAULT_MIX.get(options.scenario, "short") if options.mix == "auto" else options.mix
        manners = DEFAULT_MANNERS.get(options.scenario, "none") if options.manners == "auto" else options.manners
        made = clips.load(Path(options.samples), medium_s=options.medium_s, long_s=options.long_s, seed=options.seed)
        self.recorder = _recorder(options, environment.host, mix)
        self.conductor = Conductor(
            SCENARIOS[options.scenario](Scale(step_s=options.step_s, soak_s=options.soak_s, clients=options.clients)),
            client=Client(
                environment.host,
                key=os.environ.get("API_KEY", ""),
                model=options.model,
                timeout_s=options.timeout_s,
                concurrency=IN_FLIGHT_MOST,
            ),
            recorder=self.recorder,
            deal=lambda rng: clips.dealt(made, mix, rng),
            manners=MANNERS[manners],
            capacity_per_s=options.capacity,
            drain_s=options.drain_s,
            seed=options.seed,
            on_outcome=lambda outcome: _tell_locust(environment, outcome),
        )


STAGE = Stage()


class ScenarioShape(LoadTestShape):  # type: ignore[misc]  # locust is untyped
    """The chosen scenario's phases, one after the other."""

    def reset_time(self) -> None:
        """Begin a run."""
        super().reset_time()
        STAGE.begin(self.runner.environment)

    def tick(self) -> tuple[int, float] | None:
        """`Arrivals`, which is spawned first and stopped last, and the callers that the phase wants."""
        phase = STAGE.conductor.tick() if STAGE.conductor else None
        return None if phase is None else (1 + phase.clients, 100.0)


class Caller(User):  # type: ignore[misc]
    """A client that waits for its answer before it calls again (closed loop)."""

    wait_time = constant(0)

    @tag("closed", "single", "scaling", "mixed", "overload", "soak", "all")
    @task
    def call(self) -> None:
        """One call."""
        if STAGE.conductor:
            STAGE.conductor.call_once()


class Arrivals(User):  # type: ignore[misc]
    """Everybody else: calls that are made when they are due, whatever became of the ones before (open loop)."""

    fixed_count = 1
    wait_time = constant(0)

    @tag("open", "single", "scaling", "mixed", "overload", "soak", "all")
    @task
    def play(self) -> None:
        """One phase."""
        if STAGE.conductor:
            STAGE.conductor.play_open()


@events.test_stop.add_listener
def _finish(**_: Any) -> None:
    if STAGE.conductor:
        STAGE.conductor.finish()


@events.init.add_listener
def _extend_pages(environment: Any, **_: Any) -> None:
    if environment.web_ui:
        pages.extend(environment.web_ui, lambda: STAGE.recorder.tallies if STAGE.recorder else {})


def _recorder(options: Namespace, url: str, mix: str) -> Recorder:
    file = Path(options.record).open("w") if options.record else None  # noqa: SIM115  the recorder closes it
    heading = Heading(scenario=options.scenario, url=url, seed=options.seed, mix=mix, began_s=time.monotonic())
    return Recorder(file, heading, Checker(Texts(options.texts)))


def _tell_locust(environment: Any, outcome: Outcome) -> None:
    """A line in Locust's own statistics; a refusal and a wrong word are failures there, each under its own name."""
    failure = outcome.why if outcome.ending is not Ending.OK else "words differ" if outcome.heard else ""
    environment.events.request.fire(
        request_type="POST",
        name=f"{outcome.kind} clip",
        response_time=1000 * outcome.latency_s,
        response_length=0,
        exception=CallFailed(failure) if failure else None,
        context={},
    )


class CallFailed(Exception):
    """What Locust's failure table shows."""
