"""
What crosses the line between worker and router: transcripts, load reports and header names.

Times are seconds as float, counted from the start of the clip.
"""

from __future__ import annotations

import json
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
    def from_header(cls, text: str, before: LoadReport | None = None) -> LoadReport:
        """The report in a header; what it leaves out is taken from `before`, if that is of the same process."""
        report = json.loads(text)
        if not isinstance(report, dict):
            raise ValueError("not a load report")
        if before is not None and before.boot == report.get("boot"):
            report |= {name: getattr(before, name) for name in FIXED_FIELDS}
        return cls.from_json(report)

    @classmethod
    def from_json(cls, report: dict[str, Any]) -> LoadReport:
        """Unknown keys are left out, so that a newer worker can talk to an older router; raises ValueError else."""
        values = {name: report[name] for name in REPORT_FIELDS if name in report}
        try:
            values["state"] = WorkerState(values["state"])
            if "languages" in values:
                values["languages"] = tuple(values["languages"])
            return cls(**values)
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a load report: {error}") from error


REPORT_FIELDS = tuple(field.name for field in fields(LoadReport))
CHANGING_FIELDS = tuple(name for name in REPORT_FIELDS if name not in FIXED_FIELDS)
