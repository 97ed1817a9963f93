"""Calls that ended, made up; children that run a few lines of Python."""

import os
import sys
from collections.abc import Callable

import pytest

from fleet.child import ChildSpec
from loadtest.outcome import Ending, Outcome

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
