"""
Transcript -> the body the caller asked for: json, verbose_json, text, srt, vtt, or server-sent events.

Content types matter as much as bodies: a JavaScript client throws on text labelled JSON, and returns a bare string
for JSON labelled text.
"""

import json
import math
from typing import Any

from fleet import language
from fleet.errors import FleetError
from fleet.fields import ResponseFormat, TranscriptionRequest
from fleet.wire import Segment, Transcript, Word

JSON_TYPE = "application/json"
TEXT_TYPE = "text/plain; charset=utf-8"
VTT_TYPE = "text/vtt; charset=utf-8"
SSE_TYPE = "text/event-stream; charset=utf-8"
SSE_HEADERS = {"Content-Type": SSE_TYPE, "Cache-Control": "no-cache", "X-Accel-Buffering": "no"}

HEARTBEAT = b": waiting\n\n"  # the only heartbeat that every client's event parser ignores
HEARTBEAT_S = 10  # proxies close a silent connection after 60 s or so


def render(transcript: Transcript, request: TranscriptionRequest) -> tuple[bytes, str]:
    """The body and its content type."""
    match request.response_format:
        case ResponseFormat.JSON:
            return _json(brief(transcript, request)), JSON_TYPE
        case ResponseFormat.VERBOSE_JSON:
            return _json(verbose(transcript, request)), JSON_TYPE
        case ResponseFormat.TEXT:
            return f"{transcript.text}\n".encode(), TEXT_TYPE
        case ResponseFormat.SRT:
            return srt(transcript.segments).encode(), TEXT_TYPE
        case ResponseFormat.VTT:
            return vtt(transcript.segments).encode(), VTT_TYPE


def brief(transcript: Transcript, request: TranscriptionRequest) -> dict[str, Any]:
    """The `json` answer. `logprobs`, when asked for, has one entry a segment: the mean of its tokens."""
    answer: dict[str, Any] = {"text": transcript.text, "usage": usage(transcript)}
    if request.wants_logprobs:
        answer["logprobs"] = [logprob(segment) for segment in transcript.segments]
    return answer


def verbose(transcript: Transcript, request: TranscriptionRequest) -> dict[str, Any]:
    """The `verbose_json` answer; `language` is the English name, as OpenAI writes it."""
    answer: dict[str, Any] = {
        "task": request.task,
        "language": "english" if request.task == "translate" else language.name_of(transcript.language),
        "duration": round(transcript.duration_s, 3),
        "text": transcript.text,
    }
    if request.wants_segments:
        answer["segments"] = [segment_json(segment) for segment in transcript.segments]
    if request.wants_words:
        words = [word for segment in transcript.segments for word in segment.words or ()]
        answer["words"] = [word_json(word) | {"word": word.word.strip()} for word in words]
    answer["language_probability"] = round(transcript.language_probability, 3)
    answer["usage"] = usage(transcript)
    return answer


def usage(transcript: Transcript) -> dict[str, Any]:
    """Billed by duration, in whole seconds rounded up, as the hosted service does."""
    return {"type": "duration", "seconds": math.ceil(transcript.duration_s)}


def segment_json(segment: Segment) -> dict[str, Any]:
    """All ten fields that typed clients demand, and `audio_start`/`audio_end`, which Vexa's read."""
    answer: dict[str, Any] = {
        "id": segment.id,
        "seek": segment.seek,
        "start": round(segment.start, 3),
        "end": round(segment.end, 3),
        "text": segment.text,
        "tokens": list(segment.tokens),
        "temperature": round(segment.temperature, 3),
        "avg_logprob": _finite(segment.avg_logprob),
        "compression_ratio": _finite(segment.compression_ratio),
        "no_speech_prob": _finite(segment.no_speech_prob),
        "audio_start": round(segment.start, 3),
        "audio_end": round(segment.end, 3),
    }
    if segment.words is not None:
        answer["words"] = [word_json(word) for word in segment.words]
    return answer


def word_json(word: Word) -> dict[str, Any]:
    """One word with its times in seconds."""
    return {
        "word": word.word,
        "start": round(word.start, 3),
        "end": round(word.end, 3),
        "probability": _finite(word.probability),
    }


def logprob(segment: Segment) -> dict[str, Any]:
    """OpenAI's token shape, carrying a segment."""
    return {"token": segment.text, "bytes": list(segment.text.encode()), "logprob": _finite(segment.avg_logprob)}


def srt(segments: tuple[Segment, ...]) -> str:
    """SubRip: cues numbered from 1, comma before the milliseconds."""
    cues = [
        f"{number}\n{clock(segment.start, ',')} --> {clock(segment.end, ',')}\n{_cue_text(segment)}\n\n"
        for number, segment in enumerate(segments, start=1)
    ]
    return "".join(cues)


def vtt(segments: tuple[Segment, ...]) -> str:
    """WebVTT; its text is markup, so `&`, `<` and `>` are escaped."""
    cues = [
        f"{clock(segment.start, '.')} --> {clock(segment.end, '.')}\n{_escaped(_cue_text(segment))}\n\n"
        for segment in segments
    ]
    return "WEBVTT\n\n" + "".join(cues)


def clock(seconds: float, point: str) -> str:
    """HH:MM:SS and milliseconds; rounded once, so that no minute ever has 60.000 seconds."""
    ms = round(seconds * 1000)
    hours, ms = divmod(ms, 3_600_000)
    minutes, ms = divmod(ms, 60_000)
    whole, ms = divmod(ms, 1000)
    return f"{hours:02d}:{minutes:02d}:{whole:02d}{point}{ms:03d}"


def delta_event(segment: Segment, request: TranscriptionRequest, *, is_first: bool) -> bytes:
    """One segment as it is decoded; deltas concatenated are the text of the done event."""
    event: dict[str, Any] = {
        "type": "transcript.text.delta",
        "delta": segment.text.lstrip() if is_first else segment.text,
    }
    if request.wants_logprobs:
        event["logprobs"] = [logprob(segment)]
    return sent_event(event)


def done_event(transcript: Transcript, request: TranscriptionRequest) -> bytes:
    """The last event. No `usage`: typed clients accept only its token shape here."""
    event: dict[str, Any] = {"type": "transcript.text.done", "text": transcript.text}
    if request.wants_logprobs:
        event["logprobs"] = [logprob(segment) for segment in transcript.segments]
    return sent_event(event)


def error_event(error: FleetError) -> bytes:
    """How a stream that has begun reports a failure; it never just ends."""
    return sent_event(error.to_json())


def sent_event(event: dict[str, Any]) -> bytes:
    """As it goes over the line."""
    return b"data: " + _json(event) + b"\n\n"


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _cue_text(segment: Segment) -> str:
    return " ".join(segment.text.split()).replace("-->", "->")


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _finite(value: float) -> float:
    return round(value, 3) if math.isfinite(value) else 0.0
