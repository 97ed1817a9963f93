"""
What a caller wants of its session, read from both shapes of OpenAI's API: today's, nested under `audio.input`, and the
flat one of its beta. Pure. What is not given stays as it is; what nobody here does is shown as `null` in the answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from fleet.errors import BadRequest
from fleet.form import is_text

TEXT_LENGTH_MAX = 4096
LIST_LENGTH_MAX = 100
LOGPROBS = "item.input_audio_transcription.logprobs"
# What a model would decide from the words is decided from silence alone: the longer, the less eager.
EAGERNESS_MS = {"low": 1500, "medium": 800, "auto": 800, "high": 400}


class Encoding(StrEnum):
    """How audio is written."""

    PCM = "audio/pcm"
    PCMU = "audio/pcmu"
    PCMA = "audio/pcma"

    @property
    def rate(self) -> int:
        """Samples a second."""
        return 24_000 if self is Encoding.PCM else 8_000


BETA_NAMES = {"pcm16": Encoding.PCM, "g711_ulaw": Encoding.PCMU, "g711_alaw": Encoding.PCMA}


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnDetection:
    """When a turn begins and ends; the defaults are OpenAI's."""

    threshold: float = 0.5
    prefix_padding_ms: int = 300
    silence_duration_ms: int = 500

    def to_json(self) -> dict[str, Any]:
        """As both shapes write it."""
        return {
            "type": "server_vad",
            "threshold": self.threshold,
            "prefix_padding_ms": self.prefix_padding_ms,
            "silence_duration_ms": self.silence_duration_ms,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A session's wishes. `None` leaves a choice to the fleet; no turn detection: the caller commits."""

    encoding: Encoding = Encoding.PCM
    turn_detection: TurnDetection | None = TurnDetection()
    model: str | None = None
    language: str | None = None
    languages: tuple[str, ...] = ()
    prompt: str | None = None
    keywords: tuple[str, ...] = ()
    wants_logprobs: bool = False

    def fields(self) -> list[tuple[str, str]]:
        """The same wishes as fields of a transcription request."""
        scalars = {"model": self.model, "language": self.language, "prompt": self.prompt}
        fields = [(name, value) for name, value in scalars.items() if value]
        fields += [("languages[]", one) for one in self.languages]
        return fields + [("keywords[]", one) for one in self.keywords]

    def to_json(self) -> dict[str, Any]:
        """All that is in effect, in today's shape."""
        kind: dict[str, Any] = {"type": str(self.encoding)}
        if self.encoding is Encoding.PCM:
            kind["rate"] = self.encoding.rate
        audio = {
            "format": kind,
            "transcription": self._transcription(),
            "noise_reduction": None,
            "turn_detection": self.turn_detection and self.turn_detection.to_json(),
        }
        return {"type": "transcription", "audio": {"input": audio}, "include": self._include()}

    def to_beta_json(self) -> dict[str, Any]:
        """All that is in effect, in the beta's shape."""
        return {
            "input_audio_format": next(name for name, encoding in BETA_NAMES.items() if encoding is self.encoding),
            "input_audio_transcription": self._transcription(),
            "input_audio_noise_reduction": None,
            "turn_detection": self.turn_detection and self.turn_detection.to_json(),
            "include": self._include(),
        }

    def _transcription(self) -> dict[str, Any]:
        shown: dict[str, Any] = {"model": self.model or "whisper-1", "language": self.language, "prompt": self.prompt}
        lists = {"languages": list(self.languages), "keywords": list(self.keywords)}
        return shown | {name: value for name, value in lists.items() if value}

    def _include(self) -> list[str] | None:
        return [LOGPROBS] if self.wants_logprobs else None


def updated(config: Config, session: Mapping[str, Any]) -> Config:
    """The config after `session.update`; raises BadRequest that names the key."""
    if session.get("type", "transcription") != "transcription":
        raise BadRequest("A session here transcribes: 'type' must be 'transcription'.", param="session.type")
    audio = _object(_object(session.get("audio"), "session.audio").get("input"), "session.audio.input")
    return _updated(config, session, audio, at="session.audio.input.", names=("format", "transcription"))


def beta_updated(config: Config, session: Mapping[str, Any]) -> Config:
    """The config after `transcription_session.update`; raises BadRequest that names the key."""
    names = ("input_audio_format", "input_audio_transcription")
    return _updated(config, session, session, at="session.", names=names)


def _updated(
    config: Config, session: Mapping[str, Any], audio: Mapping[str, Any], *, at: str, names: tuple[str, str]
) -> Config:
    encoding, transcription = names
    if encoding in audio:
        config = replace(config, encoding=_encoding(audio[encoding], at + encoding))
    if transcription in audio:
        config = _with_transcription(config, _object(audio[transcription], at + transcription), at + transcription)
    if "turn_detection" in audio:
        config = replace(config, turn_detection=_turns(audio["turn_detection"], at + "turn_detection"))
    if "include" in session:
        config = replace(config, wants_logprobs=LOGPROBS in _texts(session["include"], "session.include"))
    return config


def _encoding(value: Any, param: str) -> Encoding:
    if isinstance(value, dict):
        if value.get("rate") not in (None, 24_000) and value.get("type") == Encoding.PCM:
            raise BadRequest("'audio/pcm' has a rate of 24000.", param=f"{param}.rate")
        value, param = value.get("type"), f"{param}.type"
    found = BETA_NAMES.get(value) if isinstance(value, str) else None
    try:
        return found or Encoding(value)
    except ValueError as error:
        raise BadRequest(f"'{param}' must be one of {', '.join([*Encoding, *BETA_NAMES])}.", param=param) from error


def _with_transcription(config: Config, given: Mapping[str, Any], param: str) -> Config:
    changes: dict[str, Any] = {}
    for name in ("model", "language", "prompt"):
        if name in given:
            changes[name] = _text(given[name], f"{param}.{name}")
    for name in ("languages", "keywords"):
        if name in given:
            changes[name] = _texts(given[name], f"{param}.{name}")
    return replace(config, **changes)


def _turns(value: Any, param: str) -> TurnDetection | None:
    if value is None:
        return None
    given = _object(value, param)
    kind = given.get("type", "server_vad")
    if kind == "semantic_vad":
        eagerness = str(given.get("eagerness") or "auto")
        if eagerness not in EAGERNESS_MS:
            raise BadRequest(f"'eagerness' must be one of {', '.join(EAGERNESS_MS)}.", param=f"{param}.eagerness")
        return TurnDetection(silence_duration_ms=EAGERNESS_MS[eagerness])
    if kind != "server_vad":
        raise BadRequest("'type' must be server_vad or semantic_vad.", param=f"{param}.type")
    plain = TurnDetection()
    threshold = _number(given.get("threshold"), 0.05, 1, f"{param}.threshold")
    padding_ms = _number(given.get("prefix_padding_ms"), 0, 5_000, f"{param}.prefix_padding_ms")
    silence_ms = _number(given.get("silence_duration_ms"), 50, 10_000, f"{param}.silence_duration_ms")
    return TurnDetection(
        threshold=plain.threshold if threshold is None else threshold,
        prefix_padding_ms=plain.prefix_padding_ms if padding_ms is None else round(padding_ms),
        silence_duration_ms=plain.silence_duration_ms if silence_ms is None else round(silence_ms),
    )


def _object(value: Any, param: str) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadRequest(f"'{param}' must be an object.", param=param)
    return value


def _number(value: Any, least: float, most: float, param: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise BadRequest(f"'{param}' must be a number from {least} to {most}.", param=param)
    return float(value)


def _text(value: Any, param: str) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > TEXT_LENGTH_MAX or not is_text(value):
        raise BadRequest(f"'{param}' must be a string of at most {TEXT_LENGTH_MAX} characters.", param=param)
    return value.strip() or None


def _texts(value: Any, param: str) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) > LIST_LENGTH_MAX:
        raise BadRequest(f"'{param}' must be a list of at most {LIST_LENGTH_MAX} strings.", param=param)
    return tuple(filter(None, (_text(one, param) for one in value)))
