"""Phases one after the other, on gevent but without Locust."""

import time
from collections.abc import Iterator
from dataclasses import replace
from random import Random

import gevent
import pytest

from loadtest.client import Manners
from loadtest.clips import Clip
from loadtest.conductor import Conductor
from loadtest.outcome import Ending, Heading, Outcome
from loadtest.recorder import Checker, Recorder, Texts
from loadtest.scenarios import Phase, Scale, at, warm_up

CLIPS = [Clip(f"{number}.wav", "short", 4.0, "one", b"") for number in range(5)]
PLAN = [at(1.0, 0.2), at(2.0, 0.2)]


class Answers:
    """A client whose server takes so long over each call."""

    def __init__(self, takes_s: float) -> None:
        self._takes_s = takes_s

    def call(self, clip: Clip, manners: Manners, *, phase, due_s, clock, over, rng) -> Outcome:  # type: ignore[no-untyped-def]
        """Answer."""
        sent_s = clock()
        gevent.sleep(self._takes_s * rng.random())
        return Outcome(
            phase=phase,
            kind=clip.kind,
            clip=clip.name,
            audio_s=clip.audio_s,
            manners=manners,
            due_s=due_s,
            sent_s=sent_s,
            ended_s=clock(),
            ending=Ending.OK,
            heard="one",
        )


def deal(rng: Random) -> Iterator[Clip]:
    while True:
        yield rng.choice(CLIPS)


def conducted(
    phases: list[Phase],
    takes_s: float,
    outcomes: list[Outcome],
    *,
    seed: int = 1,
    drain_s: float = 10,
    capacity_per_s: float = 80,
) -> Conductor:
    """A conductor whose calls end up in `outcomes`."""
    heading = Heading(scenario="", url="", seed=seed, mix="", began_s=time.monotonic())
    return Conductor(
        phases,
        client=Answers(takes_s),  # type: ignore[arg-type]
        recorder=Recorder(None, heading, Checker(Texts.OFF)),
        deal=deal,
        manners=(Manners.PATIENT, Manners.HASTY),
        capacity_per_s=capacity_per_s,
        drain_s=drain_s,
        seed=seed,
        on_outcome=outcomes.append,
    )


def played(phases: list[Phase], takes_s: float, *, seed: int = 1, drain_s: float = 10) -> list[Outcome]:
    """All calls of a run, in the order in which they were due, counted from when their phase began."""
    outcomes: list[Outcome] = []
    conductor = conducted(phases, takes_s, outcomes, seed=seed, drain_s=drain_s)
    while conductor.tick() is not None:
        conductor.play_open()
    conductor.finish()
    return sorted(outcomes, key=lambda call: call.due_s)


def plan_of(outcomes: list[Outcome]) -> list[tuple[str, str, str, float]]:
    """What was called when, from the first call of each phase."""
    first = {call.phase: call.due_s for call in reversed(outcomes)}
    return [
        (call.phase, call.clip, call.manners, pytest.approx(call.due_s - first[call.phase], abs=1e-6))
        for call in outcomes
    ]


def test_the_same_seed_makes_the_same_calls_however_they_are_answered() -> None:
    """
    A slow server and a quick one are asked for the same clips by the same clients at the same moments.
    """
    assert plan_of(played(PLAN, 0.0)) == plan_of(played(PLAN, 0.1))
    assert plan_of(played(PLAN, 0.0)) != plan_of(played(PLAN, 0.0, seed=2))


def test_a_phase_that_settles_ends_before_the_next_call_is_due() -> None:
    """
    So that one step of the ladder does not pay for another; without settling, it does.
    """
    calls = played(PLAN, 0.3)
    overlapping = played([replace(phase, settles=False) for phase in PLAN], 0.3)

    assert _last_answer(calls, PLAN[0]) <= _first_due(calls, PLAN[1])
    assert _last_answer(overlapping, PLAN[0]) > _first_due(overlapping, PLAN[1])


def test_what_is_never_answered_is_written_down() -> None:
    """
    As an error, each call once.
    """
    calls = played([at(1.0, 0.3)], 600, drain_s=0.1)

    assert {call.why for call in calls} == {"unanswered"}


def test_a_client_that_is_stopped_while_it_waits_leaves_an_error() -> None:
    """
    In a closed loop too, a server that never answers is not left out.
    """
    calls: list[Outcome] = []
    caller = gevent.spawn(conducted([warm_up(Scale(step_s=1, soak_s=1, clients=1))], 600, calls).call_once)
    gevent.sleep(0.05)
    caller.kill()

    assert [(call.phase, call.ending, call.why) for call in calls] == [("warm-up", Ending.ERROR, "unanswered")]


def _last_answer(calls: list[Outcome], phase: Phase) -> float:
    return max(call.ended_s for call in calls if call.phase == phase.name)


def _first_due(calls: list[Outcome], phase: Phase) -> float:
    return min(call.due_s for call in calls if call.phase == phase.name)


def test_a_run_without_a_single_answer_ends_with_its_first_measure() -> None:
    """
    What would follow are shares of nothing; a capacity that was given is tried to the end.
    """
    phases = [replace(warm_up(Scale(step_s=0.1, soak_s=1, clients=2)), name="all", sets_capacity=True), *PLAN]
    for capacity_per_s, ended in ((0.0, 1), (80.0, 3)):
        conductor = conducted(phases, 0.0, [], capacity_per_s=capacity_per_s)
        seen = [conductor.phase]
        while (phase := conductor.tick()) is not None:
            conductor.play_open()
            if phase is not seen[-1]:
                seen.append(phase)
        conductor.finish()
        assert len(seen) == ended
