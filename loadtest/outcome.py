"""
How one call ended, and the record of a run: JSON lines that one process writes and another reads (pure).

A record starts with its `Heading`; then outcomes and phases, each when it has ended. Times are seconds since the
heading's `began_s`, which is on the monotonic clock that all processes of a machine share.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Literal


class Ending(StrEnum):
    """What came of a call, all its tries together."""

    OK = "ok"  # an answer; whether its words are right is a separate question
    SHED = "shed"  # refused, with 429 or 503, to the last try
    ERROR = "error"  # any other answer, none, or a broken one


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """What the record is of."""

    scenario: str
    url: str
    seed: int
    mix: str
    began_s: float
    is_heading: Literal[True] = True


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseSpan:
    """A phase that has ended. `load` is the share of `capacity_per_s` that was offered, 0 in a closed loop."""

    phase: str
    begin_s: float
    end_s: float
    clients: int
    load: float
    rate_per_s: float
    capacity_per_s: float
    is_measured: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """
    One call.

    `due_s` is when the plan said it should be made (in a closed loop: when it was made), `sent_s` when the first
    byte went out; latency counts from when it was due. `heard` and `said` are there when the words differ.
    """

    phase: str
    kind: str
    clip: str
    audio_s: float
    manners: str
    due_s: float
    sent_s: float
    ended_s: float
    ending: Ending
    why: str = ""  # of a call that did not end well: status and code, or the failure's name
    tries: int = 1
    refusals: int = 0
    queue_ms: float | None = None  # X-Fleet-Queue-Ms, where the server says it
    worker: str = ""
    is_cached: bool = False
    words: int = 0  # in what was said
    said: str = ""
    heard: str = ""

    @property
    def latency_s(self) -> float:
        """From when it was due until it ended: a server that stalls cannot hide behind calls not yet sent."""
        return self.ended_s - self.due_s


@dataclass(slots=True)
class Record:
    """Everything that a run wrote down."""

    heading: Heading
    phases: list[PhaseSpan] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)


def to_line(item: Heading | PhaseSpan | Outcome) -> str:
    """One line of the record."""
    return json.dumps(asdict(item), separators=(",", ":")) + "\n"


def from_line(line: str) -> Heading | PhaseSpan | Outcome:
    """What a line says; raises ValueError for one that is cut short."""
    values: dict[str, Any] = json.loads(line)
    if "is_heading" in values:
        return Heading(**values)
    if "ending" in values:
        return Outcome(**{**values, "ending": Ending(values["ending"])})
    return PhaseSpan(**values)


def read(lines: Iterable[str]) -> Record:
    """The record in these lines; raises ValueError where there is none."""
    items = [from_line(line) for line in lines if line.strip()]
    if not items or not isinstance(items[0], Heading):
        raise ValueError("the record has no heading: the load generator did not get that far")
    record = Record(items[0])
    for item in items[1:]:
        if isinstance(item, Outcome):
            record.outcomes.append(item)
        elif isinstance(item, PhaseSpan):
            record.phases.append(item)
    return record
