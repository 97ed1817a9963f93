"""The fields of a transcription form as JSON Schema, in the order in which people look for them (core)."""

from __future__ import annotations

from typing import Any

from fleet.fields import BOUNDS, ResponseFormat
from fleet.wire import Tier

Schema = dict[str, Any]


def _text(about: str, **more: Any) -> Schema:
    return {"type": "string", "description": about, **more}


def _flag(about: str, **more: Any) -> Schema:
    return {"type": "boolean", "description": about, **more}


def _number(name: str, about: str, kind: str = "number", **more: Any) -> Schema:
    least, most = BOUNDS[name]
    return {"type": kind, "minimum": least, "maximum": most, "description": about, **more}


def _list(about: str, **items: Any) -> Schema:
    return {"type": "array", "items": {"type": "string", **items}, "description": about}


def _server_vad() -> Schema:
    numbers = {name.partition(".")[2]: name for name in BOUNDS if name.startswith("chunking_strategy.")}
    kinds = {"threshold": "number"}
    about = {
        "threshold": "How sure voice activity detection must be.",
        "prefix_padding_ms": "Kept before and after speech.",
        "silence_duration_ms": "Silence that ends a segment.",
    }
    properties = {key: _number(name, about[key], kinds.get(key, "integer")) for key, name in numbers.items()}
    return {
        "type": "object",
        "required": ["type"],
        "properties": {"type": {"const": "server_vad"}, **properties},
    }


FILE: Schema = {
    "type": "string",
    "format": "binary",
    "minLength": 1,
    "description": "The clip: flac, mp3, mp4, mpeg, mpga, m4a, ogg, opus, wav, webm and more; told by its bytes.",
}

# Brackets stand where OpenAI's clients put them; every list is taken without them, too.
FIELDS: dict[str, Schema] = {
    "model": _text("What is loaded, or `whisper-1` for whatever that is; left out, any worker's.", default="whisper-1"),
    "language": _text(
        "ISO 639-1 code, tag or English name of the language; left out, it is detected.", examples=["en"]
    ),
    "languages[]": _list("Detection chooses among these."),
    "prompt": _text("Text before the clip, for spelling and style."),
    "hotwords": _text("Words to expect, with commas."),
    "keywords[]": _list("The same, as a list."),
    "response_format": _text("The form of the answer.", enum=[*ResponseFormat], default="json"),
    "timestamp_granularities[]": _list("`word` needs `verbose_json`.", enum=["segment", "word"]),
    "include[]": _list("With `json` only: a log probability for each segment.", enum=["logprobs"]),
    "stream": _flag(
        "`true`: server-sent events, a delta for each segment; with `json` and `text` only.", default=False
    ),
    "progress": _flag(
        "`true`: server-sent events, `transcript.progress` from 0 to 1, then `transcript.whole`, whose `body` is the "
        "answer in any `response_format`.",
        default=False,
    ),
    "temperature": _number("temperature", "Left out or 0: as sure as possible, higher only where that fails."),
    "beam_size": _number("beam_size", "Hypotheses kept while decoding; left out, the worker's setting.", "integer"),
    "condition_on_previous_text": _flag("Prompt each window with the text before it. Slower: windows go one by one."),
    "encode": _flag("False: the file is bare samples, 16 kHz, mono, 16 bits little-endian, without a header."),
    "vad_filter": _flag("Skip silence; left out, the worker's setting."),
    "chunking_strategy": {
        "description": "`auto`, or how speech is told from silence; as JSON text.",
        "anyOf": [{"type": "string", "const": "auto"}, _server_vad()],
    },
    "max_speech_duration_s": _number("max_speech_duration_s", "Speech that goes on for longer is cut."),
    "min_silence_duration_ms": _number("min_silence_duration_ms", "Silence that ends a segment.", "integer"),
    "task": _text("`translate` is the same as the translations route.", enum=["transcribe", "translate"]),
    "transcription_tier": _text(
        "`deferred` leaves slots that are kept for others free; also as header X-Transcription-Tier.",
        examples=[*Tier],
        default="realtime",
    ),
    "user": _text("Taken and ignored."),
    "known_speaker_names[]": _list("Taken and ignored: nobody is told apart."),
    "known_speaker_references[]": _list("Taken and ignored."),
}


def form(*, file_names: tuple[str, ...] = ("file",), names: tuple[str, ...] = tuple(FIELDS)) -> Schema:
    """A multipart form with its clip, under the first of the names that its file part may have, and these fields."""
    others = ", ".join(f"`{name}`" for name in file_names[1:])
    file = FILE | {"description": f"{FILE['description']} The part may also be called {others}."} if others else FILE
    return {
        "type": "object",
        "required": [file_names[0]],
        "propertyNames": {"minLength": 1},
        "properties": {file_names[0]: file, **{name: FIELDS[name] for name in names}},
    }


def inference_form() -> Schema:
    """OpenAI's form as whisper.cpp's clients know it: a switch in place of `task`."""
    schema = form(names=tuple(name for name in FIELDS if name != "task"))
    translate = _flag("`true` is the same as the translations route.", default=False)
    theirs = {"translate": translate, "vad": FIELDS["vad_filter"]}
    return schema | {"properties": schema["properties"] | theirs}
