"""Two forms that other services taught their clients: `/transcribe` and `/asr`; fields in, answers out. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from fleet import render
from fleet.errors import BadRequest
from fleet.fields import TranscriptionRequest
from fleet.wire import Transcript
from worker.transcribe import Progress

PLAIN_FILES = ("audio", "file")
ASR_FILES = ("audio_file",)
ASR_OUTPUTS = ("txt", "vtt", "srt", "tsv", "json")


def plain_fields(fields: Iterable[tuple[str, str]], query: Mapping[str, str]) -> list[tuple[str, str]]:
    """The form's fields, and the language from the query where the form has none."""
    given = list(fields)
    if "language" in query and not any(name == "language" for name, _ in given):
        given.append(("language", query["language"]))
    return [*((name, value) for name, value in given if name != "response_format"), ("response_format", "verbose_json")]


def plain_answer(transcript: Transcript, progress: Progress, total_s: float) -> dict[str, Any]:
    """What `/transcribe` answers. `confidence` is the mean token probability, weighted by the segments' lengths."""
    weights = [max(segment.end - segment.start, 0.01) for segment in transcript.segments]
    surety = sum(w * math.exp(min(0.0, s.avg_logprob)) for w, s in zip(weights, transcript.segments, strict=True))
    return {
        "transcript": transcript.text,
        "confidence": round(surety / sum(weights), 3) if weights else 0.0,
        "language": transcript.language,
        "language_probability": round(transcript.language_probability, 3),
        "duration": round(transcript.duration_s, 3),
        "segments": [render.segment_json(segment) for segment in transcript.segments],
        "processing_time": {
            "preprocess_ms": round(progress.decode_s * 1000, 1),
            "transcribe_ms": round(progress.engine_s * 1000, 1),
            "total_ms": round(total_s * 1000, 1),
        },
        "real_time_factor": round((progress.decode_s + progress.engine_s) / max(transcript.duration_s, 0.01), 4),
        "model": transcript.model,
        "cached": False,
        "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds"),
    }


def asr_fields(query: Mapping[str, str]) -> list[tuple[str, str]]:
    """The query of `/asr` as fields of ours."""
    if query.get("output", "txt") not in ASR_OUTPUTS:
        raise BadRequest(f"'output' must be one of {', '.join(ASR_OUTPUTS)}.", param="output")
    fields = [(ours, query[theirs]) for theirs, ours in _ASR_NAMES.items() if query.get(theirs)]
    if query.get("word_timestamps", "").lower() in ("true", "1", "yes", "on"):
        fields += [("timestamp_granularities", "word"), ("timestamp_granularities", "segment")]
    return [*fields, ("response_format", "verbose_json")]


_ASR_NAMES = {"task": "task", "language": "language", "initial_prompt": "prompt", "vad_filter": "vad_filter"}


def asr_answer(transcript: Transcript, output: str, request: TranscriptionRequest) -> tuple[bytes, str]:
    """The body that the query asked for, and its content type."""
    match output:
        case "vtt":
            return render.vtt(transcript.segments).encode(), render.TEXT_TYPE
        case "srt":
            return render.srt(transcript.segments).encode(), render.TEXT_TYPE
        case "tsv":
            return _tsv(transcript).encode(), render.TEXT_TYPE
        case "json":
            answer = render.verbose(transcript, request) | {"language": transcript.language}
            return json.dumps(answer, ensure_ascii=False).encode(), render.JSON_TYPE
        case _:
            return f"{transcript.text}\n".encode(), render.TEXT_TYPE


def _tsv(transcript: Transcript) -> str:
    """Milliseconds and text, tab-separated; tabs in the text become spaces."""
    rows = ["start\tend\ttext"]
    for segment in transcript.segments:
        text = " ".join(segment.text.split())
        rows.append(f"{round(segment.start * 1000)}\t{round(segment.end * 1000)}\t{text}")
    return "\n".join(rows) + "\n"
