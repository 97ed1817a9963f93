"""
Windows, not files, are the unit of work: what goes into an engine, what comes out, and the contract of an engine.

A window is a stretch of one clip of at most 30 s, silence inside included, so its times are the clip's own shifted by
its start. Positions are samples at 16 kHz.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fleet.wire import Segment
from worker.card import ModelCard

Samples: TypeAlias = NDArray[np.float32]

RATE = 16_000  # samples a second, everywhere behind the decoder
WINDOW_S = 30.0  # what Whisper's encoder was made for


@dataclass(frozen=True, slots=True)
class Region:
    """Speech as voice activity found it: `start`..`end` with padding, `speech_start`..`speech_end` without."""

    start: int
    end: int
    speech_start: int
    speech_end: int


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of the clip that is decoded in one go, and the speech in it."""

    start: int
    end: int
    regions: tuple[Region, ...]
    is_first: bool = False  # the only one that is prompted with the request's own prompt

    def rest_from(self, sample: int) -> Window:
        """What is left of this window after `sample`."""
        return Window(sample, self.end, tuple(region for region in self.regions if region.end > sample))


@dataclass(frozen=True, slots=True, kw_only=True)
class VadOptions:
    """How speech is told from silence."""

    threshold: float
    min_speech_ms: int
    max_speech_s: float
    min_silence_ms: int
    speech_pad_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeOptions:
    """How one request is decoded: its fields, the worker's settings and the model's card, already merged."""

    task: Literal["transcribe", "translate"] = "transcribe"
    language: str | None = None  # None: detect
    languages: tuple[str, ...] = ()  # detection chooses among these
    prompt: str | None = None
    hotwords: str | None = None
    beam_size: int = 5
    temperatures: tuple[float, ...] = (0.0,)
    compression_ratio_threshold: float = 2.4
    log_prob_threshold: float = -1.0
    no_speech_threshold: float = 0.6
    repetition_penalty: float = 1.0
    no_repeat_ngram_size: int = 0
    wants_words: bool = False
    without_timestamps: bool = False
    condition_on_previous_text: bool = False
    is_auto_context: bool = False
    context_step_frames: int = 50
    merge_regions: bool = True
    vad: VadOptions | None = None  # None: take everything for speech

    @property
    def is_sequential(self) -> bool:
        """Whether each window needs the one before it, so that the clip cannot be cut up front."""
        return self.condition_on_previous_text or self.vad is None


@dataclass(frozen=True, slots=True)
class Piece:
    """One window with its audio, ready to be decoded."""

    samples: Samples
    window: Window
    options: DecodeOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowResult:
    """What a window held. Segment times are the clip's; ids are given later, in order."""

    segments: tuple[Segment, ...]
    language: str
    language_probability: float = 1.0
    resume_at: int | None = None  # the model stopped here, before the window's end; decode the rest too
    encode_s: float = 0.0  # this window's share of the encoder's time in its call; 0 where that is not told apart
    generate_s: float = 0.0  # its share of the rest of the call


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineFacts:
    """What an engine says of itself once it is loaded."""

    model: str
    device: str
    compute_type: str
    languages: tuple[str, ...]
    can_translate: bool
    is_scripted: bool
    card: ModelCard
    weights: str = ""  # names the model's bytes


class EngineBroken(Exception):
    """The engine cannot be trusted any more: the process must end."""


class EngineFull(Exception):
    """The device had no memory for a call; the next, smaller one may pass."""


class Engine(Protocol):
    """
    A model. Every method blocks, so it is called in a thread of the batcher or of its pool, never on the event loop.

    `plan` may run beside `run`; `run` and the steps of `sequential` never run beside each other.
    """

    @property
    def device(self) -> str:
        """`cpu` or `cuda`; known before `load`."""

    @property
    def facts(self) -> EngineFacts:
        """Only after `load`."""

    def load(self) -> None:
        """Bring the weights in; raises StartupError with a sentence for the operator."""

    def plan(self, samples: Samples, options: DecodeOptions, is_cancelled: Callable[[], bool]) -> list[Window]:
        """Cut the clip into windows; silence gives none. Stops early, with what it has, when cancelled."""

    def key(self, piece: Piece) -> Hashable:
        """Pieces with equal keys can share a call."""

    def run(self, pieces: Sequence[Piece], is_cancelled: Callable[[], bool]) -> list[WindowResult]:
        """Decode pieces of one key in one call; raises EngineFull, or EngineBroken when the device is lost."""

    def sequential(self, samples: Samples, options: DecodeOptions) -> Iterator[WindowResult]:
        """Decode a clip one segment after the other, each step when it is asked for."""
