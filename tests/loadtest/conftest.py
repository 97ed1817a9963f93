"""Calls that ended, made up; children that run a few lines of Python."""

import os
import sys
from collections.abc import Callable

import pytest

from fleet.child import ChildSpec
from loadtest.faults import Fault, FaultKind
from loadtest.outcome import Ending, Heading, Outcome, PhaseSpan, Record
from loadtest.report import Report, report_of
from loadtest.run import Ran
from loadtest.scale import Leg, Stop
from loadtest.usage import Sample

MakeOutcome = Callable[..., Outcome]


@pytest.fixture
def outcome() -> MakeOutcome:
    """`outcome(due_s=1, took_s=0.1, ...)`: a call that ended well unless told otherwise."""

    def make(due_s: float = 0.0, took_s: float = 0.1, *, ending: Ending = Ending.OK, **more: object) -> Outcome:
        values: dict[str, object] = {
            "phase": "load 0.50",
            "kind": "short",
            "clip": "a.wav",
            "audio_s": 4.0,
            "manners": "none",
            "due_s": due_s,
            "sent_s": due_s,
            "ended_s": due_s + took_s,
            "ending": ending,
            "words": 5,
            **more,
        }
        return Outcome(**values)  # type: ignore[arg-type]

    return make


@pytest.fixture
def standin() -> Callable[[str], ChildSpec]:
    """`standin(code)`: the spec of a child that runs this Python code."""

    def spec(code: str) -> ChildSpec:
        return ChildSpec(
            name="worker-1",
            command=(sys.executable, "-I", "-S", "-c", code),
            ready_url="",
            environ=dict(os.environ),
        )

    return spec


def span(phase: str, begin_s: float, *, load: float = 0.0) -> PhaseSpan:
    return PhaseSpan(
        phase=phase,
        begin_s=begin_s,
        end_s=begin_s + 10,
        clients=0 if load else 4,
        load=load,
        rate_per_s=10 * load,
        capacity_per_s=10,
        is_measured=True,
    )


@pytest.fixture
def leg(outcome: Callable[..., Outcome]) -> Callable[..., Leg]:
    """`leg(workers, per_s)`: a scaling run that did so many answers a second when saturated."""

    def make(workers: int, per_s: int, *more: Outcome) -> Leg:
        spans = [span("saturate", 0), *(span(f"load {n / 10:.2f}", 10 * n, load=n / 10) for n in (3, 6, 9))]
        calls = [outcome(n / per_s, 0.05, phase="saturate") for n in range(10 * per_s - 1)]
        calls += [outcome(10 * n + k, 0.01 * n, phase=f"load {n / 10:.2f}") for n in (3, 6, 9) for k in range(9)]
        heading = Heading(scenario="scaling", url="http://127.0.0.1:1", seed=1, mix="short", began_s=0)
        return Leg(
            stop=Stop(scenario="scaling", workers=workers, balancer="router", model="fake:0.1"),
            ran=Ran(
                record=Record(heading, spans, [*calls, *more]),
                samples=[Sample(10.0 * n, {"workers": 8.0 * n}) for n in range(5)],
                faults=[Fault(FaultKind.STALL, 1, 12, 2)],
            ),
        )

    return make


@pytest.fixture
def made() -> Callable[..., Report]:
    """`made(leg, leg)`: the report of these runs."""

    def make(*legs: Leg) -> Report:
        return report_of(
            legs, made_at="now", command="loadtest <x>", machine={"cores": "2"}, wrong_above=0.05, least_efficiency=0.8
        )

    return make
