"""
The form's text fields -> TranscriptionRequest, named as the OpenAI audio API names them.

Router and worker read a form with the same function, so that a bad field is refused at the door and costs no slot.
Lenient where real clients differ (brackets, tags, booleans), strict where a wrong value would change the result.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, TypeVar

from fleet import language
from fleet.errors import BadRequest
from fleet.form import is_text
from fleet.wire import Tier

BOOLEANS = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
NUMBER = re.compile(r"\d{1,9}(\.\d{1,20})?([eE]-?\d{1,3})?", re.ASCII)  # 0.1 + 0.2 has 17 decimals
LISTS = frozenset(
    ["timestamp_granularities", "include", "keywords", "languages", "known_speaker_names", "known_speaker_references"]
)
# fmt: off
SCALARS = frozenset([
    "model", "language", "prompt", "response_format", "temperature", "stream", "chunking_strategy", "task", "hotwords",
    "vad_filter", "beam_size", "max_speech_duration_s", "min_silence_duration_ms", "condition_on_previous_text",
    "transcription_tier", "user", "progress", "encode",
])
# fmt: on
BOUNDS = {  # least and most, both allowed
    "temperature": (0, 1),
    "beam_size": (1, 20),
    "max_speech_duration_s": (0.5, 30),
    "min_silence_duration_ms": (0, 10_000),
    "chunking_strategy.threshold": (0, 1),
    "chunking_strategy.prefix_padding_ms": (0, 5_000),
    "chunking_strategy.silence_duration_ms": (0, 10_000),
}

Choice = TypeVar("Choice", bound=StrEnum)


class ResponseFormat(StrEnum):
    """The five forms of an answer."""

    JSON = "json"
    TEXT = "text"
    SRT = "srt"
    VERBOSE_JSON = "verbose_json"
    VTT = "vtt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Vad:
    """What a request says about voice activity detection; None leaves the worker's own setting."""

    is_on: bool | None = None
    threshold: float | None = None
    speech_pad_ms: int | None = None
    min_silence_ms: int | None = None
    max_speech_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptionRequest:
    """What the caller wants done with the clip. `None` leaves a choice to the worker's settings."""

    task: Literal["transcribe", "translate"] = "transcribe"
    model: str | None = None
    language: str | None = None  # Whisper's code; None = detect
    languages: tuple[str, ...] = ()  # detection chooses among these
    prompt: str | None = None
    hotwords: str | None = None
    response_format: ResponseFormat = ResponseFormat.JSON
    temperature: float | None = None  # None or 0: the ladder of fallbacks, if the settings allow it
    wants_segments: bool = True
    wants_words: bool = False
    wants_logprobs: bool = False
    stream: bool = False
    wants_progress: bool = False  # events that tell how far it is, then the whole answer in one
    is_raw: bool = False  # the file is bare samples: 16 kHz, mono, 16 bits, no header
    vad: Vad = Vad()
    beam_size: int | None = None
    condition_on_previous_text: bool | None = None
    tier: Tier = Tier.REALTIME

    @property
    def streams(self) -> bool:
        """Whether the answer is server-sent events; subtitles and verbose_json come as one body, or one event."""
        return self.wants_progress or (
            self.stream and self.response_format in (ResponseFormat.JSON, ResponseFormat.TEXT)
        )


def parse_request(
    fields: Iterable[tuple[str, str]],
    *,
    task: Literal["transcribe", "translate"] = "transcribe",
    is_strict: bool = False,
    accepts_any_language: bool = False,
) -> TranscriptionRequest:
    """
    Read the fields; raises BadRequest that names the field.

    `is_strict` refuses unknown fields and combinations that OpenAI refuses. `accepts_any_language` is for the
    scripted engine, which other people's test-suites call with placeholder values.
    """
    values = _Values(fields, is_strict=is_strict)
    response_format = values.choice("response_format", ResponseFormat) or ResponseFormat.JSON
    granularities, had_brackets = values.granularities()
    wants_words = "word" in granularities and response_format is ResponseFormat.VERBOSE_JSON
    if "word" in granularities and not wants_words and is_strict:
        raise BadRequest("'word' timestamps need response_format 'verbose_json'.", param="timestamp_granularities[]")
    includes = values.list("include")
    if any(item != "logprobs" for item in includes):
        raise BadRequest("'include[]' takes 'logprobs'.", param="include[]")
    if includes and response_format is not ResponseFormat.JSON:
        message = "'logprobs' come with response_format 'json' only."
        raise BadRequest(message, code="unsupported_value", param="include[]")
    stated_task = values.choice("task", _Task)
    return TranscriptionRequest(
        task="translate" if task == "translate" or stated_task is _Task.TRANSLATE else "transcribe",
        model=values.text("model"),
        language=values.language("language", accepts_any=accepts_any_language),
        languages=values.languages(accepts_any=accepts_any_language),
        prompt=values.text("prompt"),
        hotwords=", ".join([*values.list("keywords"), *filter(None, [values.text("hotwords")])]) or None,
        response_format=response_format,
        temperature=values.number("temperature"),
        wants_segments=granularities != {"word"} or not had_brackets or "transcription_tier" in values,
        wants_words=wants_words,
        wants_logprobs=bool(includes),
        stream=values.boolean("stream") or False,
        wants_progress=values.boolean("progress") or False,
        is_raw=values.boolean("encode") is False,
        vad=values.vad(),
        beam_size=values.integer("beam_size"),
        condition_on_previous_text=values.boolean("condition_on_previous_text"),
        tier=Tier.DEFERRED if values.text("transcription_tier") == "deferred" else Tier.REALTIME,
    )


class _Task(StrEnum):
    TRANSCRIBE = "transcribe"
    TRANSLATE = "translate"


class _Values:
    """The fields by name: brackets taken off, lists gathered, scalars unique."""

    def __init__(self, fields: Iterable[tuple[str, str]], *, is_strict: bool) -> None:
        self._scalars: dict[str, str] = {}
        self._lists: dict[str, list[str]] = {}
        self._keys: dict[str, dict[str, str]] = {}
        self._granularity_brackets = False
        for spelled, value in fields:
            name, bracket, key = spelled.partition("[")
            if name in LISTS:
                self._lists.setdefault(name, []).append(value)
                self._granularity_brackets |= name == "timestamp_granularities" and bool(bracket)
            elif bracket and key != "]":
                self._keys.setdefault(name, {})[key.rstrip("]")] = value
            elif name in self._scalars and name in SCALARS:
                raise BadRequest(f"'{name}' was sent twice.", code="duplicate_field", param=name)
            else:
                self._scalars[name] = value
            if is_strict and name not in LISTS and name not in SCALARS:
                raise BadRequest("There is no such parameter.", code="unknown_parameter", param=name[:64])

    def __contains__(self, name: str) -> bool:
        return name in self._scalars

    def text(self, name: str) -> str | None:
        return self._scalars.get(name, "").strip() or None

    def list(self, name: str) -> list[str]:
        """Items however they were spelled: repeated, comma-separated or as a JSON array."""
        items: list[str] = []
        for value in self._lists.get(name, ()):
            if (array := _json_array(value, name)) is not None:
                items += array
            elif name == "known_speaker_references":
                items.append(value)
            else:
                items += value.split(",")
        return [item.strip() for item in items if item.strip()]

    def choice(self, name: str, kind: type[Choice]) -> Choice | None:
        value = self.text(name)
        if value is None:
            return None
        try:
            return kind(value)
        except ValueError as error:
            is_known_elsewhere = value == "diarized_json"
            raise BadRequest(
                f"'{name}' must be one of {', '.join(kind)}.",
                code="unsupported_value" if is_known_elsewhere else "invalid_value",
                param=name,
            ) from error

    def boolean(self, name: str) -> bool | None:
        return boolean(self._scalars[name], name) if name in self._scalars else None

    def number(self, name: str) -> float | None:
        if name not in self._scalars:
            return None
        return _number(self._scalars[name], name)

    def integer(self, name: str) -> int | None:
        return _whole(self.number(name), name)

    def language(self, name: str, *, accepts_any: bool) -> str | None:
        return _language(self._scalars[name], name, accepts_any=accepts_any) if name in self._scalars else None

    def languages(self, *, accepts_any: bool) -> tuple[str, ...]:
        codes = (_language(tag, "languages[]", accepts_any=accepts_any) for tag in self.list("languages"))
        return tuple(dict.fromkeys(code for code in codes if code))

    def granularities(self) -> tuple[set[str], bool]:
        """What was asked for, and whether the name was spelled with brackets, as OpenAI's clients do."""
        wanted = set(self.list("timestamp_granularities"))
        if wanted - {"word", "segment"}:
            message = "'timestamp_granularities[]' takes 'word' and 'segment'."
            raise BadRequest(message, param="timestamp_granularities[]")
        return wanted, self._granularity_brackets

    def vad(self) -> Vad:
        strategy = self._chunking_strategy()
        max_speech_s = self.number("max_speech_duration_s")
        min_silence_ms = self.integer("min_silence_duration_ms")
        if min_silence_ms is None:
            min_silence_ms = _whole_key(strategy, "silence_duration_ms")
        return Vad(
            is_on=True if strategy is not None else self.boolean("vad_filter"),
            threshold=_key(strategy, "threshold"),
            speech_pad_ms=_whole_key(strategy, "prefix_padding_ms"),
            min_silence_ms=min_silence_ms,
            max_speech_s=max_speech_s,
        )

    def _chunking_strategy(self) -> dict[str, str] | None:
        """The keys of `server_vad`, {} for "auto", None when nothing was said; in any of the three encodings."""
        keys = self._keys.get("chunking_strategy")
        value = self.text("chunking_strategy")
        if keys is None and value in (None, "null"):
            return None
        if keys is None and value == "auto":
            return {}
        if keys is None:
            keys = _json_object(value or "", "chunking_strategy")
        if keys.get("type") != "server_vad":
            message = "'chunking_strategy' must be 'auto' or an object of type 'server_vad'."
            raise BadRequest(message, param="chunking_strategy")
        return keys


def boolean(value: str, name: str) -> bool | None:
    """In any of the usual spellings; nothing says nothing. Raises BadRequest that names the field."""
    value = value.strip().lower()
    if value and value not in BOOLEANS:
        raise BadRequest(f"'{name}' must be true or false.", param=name)
    return BOOLEANS.get(value)


def _number(value: str, name: str) -> float:
    least, most = BOUNDS[name]
    # one spelling: no sign, space, underscore or foreign digit, and neither infinity nor nan
    if not NUMBER.fullmatch(value) or not least <= float(value) <= most:
        raise BadRequest(f"'{name}' must be a number from {least:g} to {most:g}.", param=name)
    return float(value)


def _key(keys: dict[str, str] | None, name: str) -> float | None:
    if not keys or name not in keys:
        return None
    return _number(keys[name], f"chunking_strategy.{name}")


def _whole_key(keys: dict[str, str] | None, name: str) -> int | None:
    return _whole(_key(keys, name), f"chunking_strategy.{name}")


def _whole(value: float | None, name: str) -> int | None:
    if value is not None and value != int(value):
        raise BadRequest(f"'{name}' must be a whole number.", param=name)
    return None if value is None else int(value)


def _language(tag: str, name: str, *, accepts_any: bool) -> str | None:
    try:
        return language.normalise(tag)
    except ValueError as error:
        if accepts_any:
            return "en"
        message = f"'{name}' must be a language that Whisper knows, such as 'en' or 'english'."
        raise BadRequest(message, param=name) from error


def _json_array(value: str, name: str) -> list[str] | None:
    """The items; None for what only begins like an array, such as the keyword [sic]."""
    if not value.lstrip().startswith("["):
        return None
    try:
        items = [str(item) for item in json.loads(value)]
    except (ValueError, RecursionError):
        return None
    if not all(map(is_text, items)):
        raise BadRequest(f"'{name}[]' must be a list of texts.", param=f"{name}[]")
    return items


def _json_object(value: str, name: str) -> dict[str, str]:
    try:
        keys = json.loads(value)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"'{name}' is not valid JSON.", param=name) from error
    if not isinstance(keys, dict):
        raise BadRequest(f"'{name}' must be an object.", param=name)
    return {str(key): str(item) for key, item in keys.items()}
