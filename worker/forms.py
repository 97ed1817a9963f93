"""What `/transcribe` and `/asr` answer (fleet.forms reads them). Pure."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import Any

from fleet import render
from fleet.fields import TranscriptionRequest
from fleet.wire import Transcript
from worker.transcribe import Progress


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
