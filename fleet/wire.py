"""
What crosses the line between worker and router: transcripts, load reports and header names.

Times are seconds as float, counted from the start of the clip.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any

REQUEST_ID = "X-Request-Id"
WORKER = "X-Fleet-Worker"  # which worker answered
ATTEMPTS = "X-Fleet-Attempts"  # how many tries it took, the good one included
QUEUE_MS = "X-Fleet-Queue-Ms"  # admitted -> started, in the router's queue or the worker's own
CACHE = "X-Fleet-Cache"  # hit | miss
BUSY = "X-Fleet-Busy"  # 1 on a worker's answer: busy or draining, not broken; try another for free
LOAD = "X-Fleet-Load"  # a worker's load report, one line of JSON, on every answer of a worker
ROUTER = "X-Fleet-Router"  # router -> worker: which router asks, so that a report can tell its share
DEADLINE_MS = "X-Fleet-Deadline-Ms"  # router -> worker: milliseconds that the caller will still wait
TIER = "X-Transcription-Tier"  # realtime | deferred
DURATION = "X-Audio-Duration"  # seconds of audio that the worker decoded
WARNINGS = "X-Audio-Warnings"  # damaged audio: what was decoded of what was declared
IGNORED = "X-Fleet-Ignored"  # fields of the request that mean nothing to the model


class WorkerState(StrEnum):
    """The life of a worker process, in order."""

    LOADING = "loading"  # weights going in
    WARMING = "warming"  # one clip, so that the first caller does not pay for it
    READY = "ready"  # taking work
    DRAINING = "draining"  # finishing what it has, taking nothing new
    STOPPED = "stopped"
    BROKEN = "broken"  # will exit: the engine cannot be trusted any more


class Tier(StrEnum):
    """Realtime requests may use slots that deferred ones must leave free."""

    REALTIME = "realtime"
    DEFERRED = "deferred"


@dataclass(frozen=True, slots=True)
class Word:
    """One word; `word` keeps the leading space that the tokenizer gave it."""

    word: str
    start: float
    end: float
    probability: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A stretch of speech. `seek` is the frame (10 ms) at which its window starts; `text` keeps its leading space."""

    id: int
    start: float
    end: float
    text: str
    seek: int = 0
    tokens: tuple[int, ...] = ()
    temperature: float = 0.0
    avg_logprob: float = 0.0
    compression_ratio: float = 0.0
    no_speech_prob: float = 0.0
    words: tuple[Word, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """All segments of a clip. `duration_s` is the decoded audio's length, not the last segment's end."""

    segments: tuple[Segment, ...]
    language: str  # code, "en"
    language_probability: float
    duration_s: float
    model: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The segments' texts joined; they bring their own spaces."""
        return "".join(segment.text for segment in self.segments).strip()


FIXED_FIELDS = (
    "device",
    "compute_type",
    "version",
    "languages",
    "can_translate",
    "is_scripted",
    "note",
    "recipe",
    "uptime_s",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadReport:
    """
    What a worker says of itself, in every answer and at `GET /load`.

    `work_s` is its outstanding work in seconds of compute, `mine_s` the part that the asking router sent (told apart
    by X-Fleet-Router), `mine` how many requests that is, running and queued, so that a router never counts its own
    requests twice. `boot` changes with every process.
    """

    worker_id: str
    boot: str
    state: WorkerState
    model: str
    slots: int
    in_flight: int
    queue_depth: int
    queue_limit: int
    work_s: float = 0.0
    mine_s: float = 0.0
    mine: int = 0
    rtf: float | None = None  # compute seconds per audio second, learned; None before the first clip
    fixed_s: float | None = None  # seconds that every clip costs beside that
    device: str = "cpu"
    compute_type: str = "int8"
    version: str = ""
    recipe: str = ""  # names weights and decoding settings: what has the same says the same of a clip
    languages: tuple[str, ...] = field(default=("en",))
    can_translate: bool = False
    is_scripted: bool = False  # no real model behind it: any model name, language and bytes are taken
    uptime_s: float = 0.0
    note: str | None = None  # what the model's card wants every user to know
    why: str | None = None  # why the state is what it is, where that is not plain

    def to_json(self) -> dict[str, Any]:
        """Plain values under the fields' names; `asdict` copies each of them deeply, a tenth of a request's cost."""
        return {name: getattr(self, name) for name in REPORT_FIELDS}

    def to_header(self) -> str:
        """The changing part as one line of JSON; what a process never changes is left to `GET /load`."""
        report = {name: getattr(self, name) for name in CHANGING_FIELDS}
        return json.dumps(report, separators=(",", ":"))

    @classmethod
    def from_text(cls, text: str | bytes, before: LoadReport | None = None) -> LoadReport:
        """The report in a header or a body; raises ValueError for whatever else stands there."""
        try:
            report = json.loads(text)
        except RecursionError as error:
            raise ValueError("not a load report") from error
        return cls.from_json(report, before)

    @classmethod
    def from_json(cls, report: Any, before: LoadReport | None = None) -> LoadReport:
        """
        Unknown keys are left out, so that a newer worker can talk to an older router; raises ValueError else. What a
        process never changes is taken from `before`, if that is of the same one: headers leave it out.

        An address among the workers' may be a stranger's, so every value is looked at: the router counts with them.
        """
        if not isinstance(report, dict):
            raise ValueError("not a load report")
        is_same_process = before is not None and before.boot == report.get("boot")
        known = {name: getattr(before, name) for name in FIXED_FIELDS} if is_same_process else {}
        values = {name: report[name] for name in REPORT_FIELDS if name in report and name not in known}
        if wrong := [name for name, value in values.items() if not CHECKS[name](value)]:
            raise ValueError(f"not a load report: {wrong[0]}")
        try:
            values["state"] = WorkerState(values["state"])
            if "languages" in values:
                values["languages"] = tuple(values["languages"])
            return cls(**values, **known)
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a load report: {error}") from error


def duration_s(headers: Mapping[str, str]) -> float:
    """Seconds of audio that an answer says were decoded; 0 for what is no such number."""
    try:
        said_s = float(headers.get(DURATION, 0))
    except ValueError:
        return 0.0
    return said_s if _is_seconds(said_s) else 0.0


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and 0 <= value <= COUNT_MAX


def _is_seconds(value: Any) -> bool:
    return isinstance(value, (int, float)) and 0 <= value <= SECONDS_MAX  # not for nan


def _or_none(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or check(value)


COUNT_MAX = 1_000_000
SECONDS_MAX = 1e9
CHECKS: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("worker_id", "boot", "state", "model", "device", "compute_type", "version", "recipe"), _is_text),
    **dict.fromkeys(("in_flight", "queue_depth", "queue_limit", "mine"), _is_count),
    "slots": lambda value: _is_count(value) and value >= 1,
    **dict.fromkeys(("work_s", "mine_s", "uptime_s"), _is_seconds),
    **dict.fromkeys(("rtf", "fixed_s"), _or_none(_is_seconds)),
    **dict.fromkeys(("can_translate", "is_scripted"), _is_flag),
    **dict.fromkeys(("note", "why"), _or_none(_is_text)),
    "languages": lambda value: isinstance(value, (list, tuple)) and all(map(_is_text, value)),
}
REPORT_FIELDS = tuple(field.name for field in fields(LoadReport))
CHANGING_FIELDS = tuple(name for name in REPORT_FIELDS if name not in FIXED_FIELDS)
