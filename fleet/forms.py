"""
The forms that clients already send: OpenAI's, and three that other services taught theirs, `/transcribe`, `/asr` and
`/inference`.

Router and worker read them alike: the router to refuse what is wrong at the door, the worker to do what is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from fleet.errors import BadRequest
from fleet.fields import boolean

Fields = list[tuple[str, str]]

ASR_OUTPUTS = ("txt", "vtt", "srt", "tsv", "json")
ASR_NAMES = {
    "task": "task",
    "language": "language",
    "initial_prompt": "prompt",
    "vad_filter": "vad_filter",
    "encode": "encode",  # false: Bazarr has decoded the film already and sends bare samples
}

INFERENCE_NAMES = {"vad": "vad_filter", "vad_min_silence_duration_ms": "min_silence_duration_ms"}


def openai_fields(fields: Iterable[tuple[str, str]], _query: Mapping[str, str]) -> Fields:
    """OpenAI's form says it all in its fields."""
    return list(fields)


def plain_fields(fields: Iterable[tuple[str, str]], query: Mapping[str, str]) -> Fields:
    """The form's fields, and the language from the query where the form has none."""
    given = list(fields)
    if "language" in query and not any(name == "language" for name, _ in given):
        given.append(("language", query["language"]))
    return [*((name, value) for name, value in given if name != "response_format"), ("response_format", "verbose_json")]


def asr_fields(_fields: Iterable[tuple[str, str]], query: Mapping[str, str]) -> Fields:
    """The query of `/asr` as fields of ours; raises BadRequest for an output that nobody makes."""
    if query.get("output", "txt") not in ASR_OUTPUTS:
        raise BadRequest(f"'output' must be one of {', '.join(ASR_OUTPUTS)}.", param="output")
    fields = [(ours, query[theirs]) for theirs, ours in ASR_NAMES.items() if query.get(theirs)]
    if boolean(query.get("word_timestamps", ""), "word_timestamps"):
        fields += [("timestamp_granularities", "word"), ("timestamp_granularities", "segment")]
    return [*fields, ("response_format", "verbose_json")]


def inference_fields(fields: Iterable[tuple[str, str]], _query: Mapping[str, str]) -> Fields:
    """The form of whisper.cpp's server: OpenAI's, but for some names, a switch to translate, and a beam of -1."""
    found: Fields = []
    for name, value in fields:
        if name == "translate":
            found += [("task", "translate")] if boolean(value, name) else []
        elif (name, value) != ("beam_size", "-1"):
            found.append((INFERENCE_NAMES.get(name, name), value))
    return found


@dataclass(frozen=True, slots=True)
class FormKind:
    """One form: where it is posted, what its file parts may be called, and how its fields are found."""

    path: str
    file_names: tuple[str, ...]
    fields: Callable[[Iterable[tuple[str, str]], Mapping[str, str]], Fields]
    task: Literal["transcribe", "translate"] = "transcribe"
    reads_query: bool = False

    def target(self, query: str) -> str:
        """Path and query on a worker; a query that means nothing is left behind."""
        return f"{self.path}?{query}" if self.reads_query and query else self.path


TRANSCRIPTIONS = FormKind("/v1/audio/transcriptions", ("file",), openai_fields)
TRANSLATIONS = FormKind("/v1/audio/translations", ("file",), openai_fields, "translate")
PLAIN = FormKind("/transcribe", ("audio", "file"), plain_fields, reads_query=True)
ASR = FormKind("/asr", ("audio_file",), asr_fields, reads_query=True)
INFERENCE = FormKind("/inference", ("file",), inference_fields)
