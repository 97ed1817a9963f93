"""What Wyoming's events say about the speech to come, in the words of our form (core: no I/O)."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from wyoming.asr import Transcript
from wyoming.event import Event

from fleet.errors import BadAudio, BadRequest
from fleet.form import is_text
from fleet.forms import Fields

PROGRAM = "whisper-fleet"  # our name in `info`; a client may send it back as the model's
UNKNOWN_BYTES = 0xFFFFFFFF  # how a WAV header says that it was written before the end was known
RATES_HZ, WIDTHS_BYTES, CHANNELS = range(4_000, 192_001), range(1, 5), range(1, 9)  # what workers take
HOTWORDS_CHARS_MAX = 448  # Whisper's prompt has 224 tokens, of which a name takes about one for two characters


@dataclass(frozen=True, slots=True)
class Layout:
    """How the samples lie in an audio-chunk's payload."""

    rate_hz: int
    width_bytes: int
    channels: int

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Layout:
        """From an audio-start or audio-chunk; raises BadAudio."""
        values = [data.get(name) for name in ("rate", "width", "channels")]
        if any(
            type(value) is not int or value not in allowed
            for value, allowed in zip(values, (RATES_HZ, WIDTHS_BYTES, CHANNELS), strict=True)
        ):
            message = "Audio needs a rate from 4000 to 192000 Hz, a width from 1 to 4 bytes, and 1 to 8 channels."
            raise BadAudio(message, code="audio_bad_layout")
        return cls(*values)  # type: ignore[arg-type]  # the test above

    def wav_head(self) -> bytes:
        """The head of a WAV file of samples to come, as many as there will be."""
        frame_bytes = self.width_bytes * self.channels
        form = struct.pack(
            "<HHIIHH", 1, self.channels, self.rate_hz, self.rate_hz * frame_bytes, frame_bytes, self.width_bytes * 8
        )
        size = struct.pack("<I", UNKNOWN_BYTES)
        return b"RIFF" + size + b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + size


@dataclass(frozen=True, slots=True)
class Wish:
    """What a `transcribe` event asked for; without one, whatever is the default."""

    fields: Fields = field(default_factory=list)
    language: str | None = None
    context: dict[str, Any] | None = None  # the client's own, returned with the transcript

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Wish:
        """From the event's data; raises BadRequest where a value is of another kind than the protocol's."""
        context = data.get("context")
        if context is not None and not isinstance(context, dict):
            raise BadRequest("'context' must be an object.", param="context")
        name, language = _text(data, "name"), _text(data, "language")
        given = {
            "model": name if name != PROGRAM else None,
            "language": language,
            "prompt": _text(context or {}, "prompt"),
            "hotwords": _hotwords([*_texts(data, "transcript_names"), *_texts(data, "transcript_terms")]),
        }
        return cls([(name, value) for name, value in given.items() if value], language, context)

    def transcript(self, text: str) -> Event:
        """The answer, with what the client wants to have returned."""
        return Transcript(text, language=self.language, context=self.context).event()


def _hotwords(words: list[str]) -> str:
    """As many of the words as the prompt has room for, those first that count most."""
    kept, length = [], 0
    for word in dict.fromkeys(words):
        length += len(word) + 2
        if length > HOTWORDS_CHARS_MAX:
            break
        kept.append(word)
    return ", ".join(kept)


def _text(data: Mapping[str, Any], name: str) -> str | None:
    value = data.get(name)
    if value is not None and not _is_text(value):
        raise BadRequest(f"'{name}' must be text.", param=name)
    return value or None


def _texts(data: Mapping[str, Any], name: str) -> list[str]:
    values = data.get(name) or []
    if not isinstance(values, list) or not all(map(_is_text, values)):
        raise BadRequest(f"'{name}' must be a list of texts.", param=name)
    return [value.strip() for value in values if value.strip()]


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and is_text(value)
