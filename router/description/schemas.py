"""The bodies of answers as JSON Schema, by the name under which routes refer to them (core)."""

from __future__ import annotations

from typing import Any

from fleet.errors import CODES

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
COUNT: Schema = {"type": "integer", "minimum": 0}
SECONDS: Schema = {"type": "number", "minimum": 0, "description": "seconds"}
FLAG: Schema = {"type": "boolean"}
OPTIONAL_TEXT: Schema = {"type": ["string", "null"]}


def ref(name: str) -> Schema:
    """A reference to one of SCHEMAS."""
    return {"$ref": f"#/components/schemas/{name}"}


def record(properties: dict[str, Schema], about: str = "", optional: tuple[str, ...] = ()) -> Schema:
    """An object; all properties are always there but the optional ones."""
    required = [name for name in properties if name not in optional]
    told = {"description": about} if about else {}
    return {"type": "object", **told, "required": required, "properties": properties}


def many(item: Schema, about: str = "") -> Schema:
    """An array."""
    return {"type": "array", "items": item, **({"description": about} if about else {})}


SCHEMAS: dict[str, Schema] = {
    "Transcription": record(
        {"text": TEXT, "usage": ref("Usage"), "logprobs": many(ref("Logprob"), "with `include[]=logprobs`")},
        "`json`, the default.",
        optional=("logprobs",),
    ),
    "VerboseTranscription": record(
        {
            "task": {"type": "string", "enum": ["transcribe", "translate"]},
            "language": {"type": "string", "description": "its English name", "examples": ["english"]},
            "duration": SECONDS,
            "text": TEXT,
            "segments": many(ref("Segment")),
            "words": many(ref("Word"), "with `timestamp_granularities[]=word`"),
            "language_probability": NUMBER,
            "usage": ref("Usage"),
        },
        "`verbose_json`.",
        optional=("segments", "words"),
    ),
    "Segment": record(
        {
            "id": COUNT,
            "seek": {"type": "integer", "description": "where its window starts, in frames of 10 ms"},
            "start": SECONDS,
            "end": SECONDS,
            "text": {"type": "string", "description": "with the space before it"},
            "tokens": many({"type": "integer"}),
            "temperature": NUMBER,
            "avg_logprob": NUMBER,
            "compression_ratio": NUMBER,
            "no_speech_prob": NUMBER,
            "audio_start": {**SECONDS, "description": "the same as start"},
            "audio_end": {**SECONDS, "description": "the same as end"},
            "words": many(ref("Word")),
        },
        "A stretch of speech.",
        optional=("words",),
    ),
    "Word": record({"word": TEXT, "start": SECONDS, "end": SECONDS, "probability": NUMBER}),
    "Usage": record({"type": {"const": "duration"}, "seconds": {"type": "integer", "description": "rounded up"}}),
    "Logprob": record(
        {"token": {"type": "string", "description": "a segment's text"}, "bytes": many(COUNT), "logprob": NUMBER}
    ),
    "DeltaEvent": record(
        {"type": {"const": "transcript.text.delta"}, "delta": TEXT, "logprobs": many(ref("Logprob"))},
        "One segment, as soon as it is decoded; the deltas together are the text.",
        optional=("logprobs",),
    ),
    "DoneEvent": record(
        {"type": {"const": "transcript.text.done"}, "text": TEXT, "logprobs": many(ref("Logprob"))},
        "The last event of a stream that went well.",
        optional=("logprobs",),
    ),
    "ProgressEvent": record(
        {"type": {"const": "transcript.progress"}, "progress": {"type": "number", "minimum": 0, "maximum": 1}},
        "With `progress`: how much of the clip is transcribed.",
    ),
    "WholeEvent": record(
        {"type": {"const": "transcript.whole"}, "content_type": TEXT, "body": TEXT},
        "With `progress`, at the end: the answer in the form that was asked for.",
    ),
    "PlainTranscription": record(
        {
            "transcript": TEXT,
            "confidence": NUMBER,
            "language": TEXT,
            "language_probability": NUMBER,
            "duration": SECONDS,
            "segments": many(ref("Segment")),
            "processing_time": record({"preprocess_ms": NUMBER, "transcribe_ms": NUMBER, "total_ms": NUMBER}),
            "real_time_factor": NUMBER,
            "model": TEXT,
            "cached": FLAG,
            "timestamp": {"type": "string", "format": "date-time"},
        }
    ),
    "Model": record({"id": TEXT, "object": {"const": "model"}, "created": COUNT, "owned_by": TEXT}),
    "ModelList": record({"object": {"const": "list"}, "data": many(ref("Model"))}),
    "Health": record(
        {
            "status": {"type": "string", "enum": ["healthy", "unhealthy"]},
            "service": TEXT,
            "version": TEXT,
            "workers": COUNT,
            "ready": COUNT,
            "models": many(TEXT),
            "note": {**OPTIONAL_TEXT, "description": "what the model's card wants every user to know"},
            "wyoming_port": {"type": ["integer", "null"], "description": "where the router takes Wyoming, if it does"},
            "expected_wait_s": SECONDS,
        },
    ),
    "State": record({"status": TEXT}),
    "Status": {
        "type": "object",
        "description": "Everything on the status page; units are in the names, counters only grow.",
        "required": ["v", "title", "now", "router", "discovery", "fleet", "queue", "totals", "rates_1m", "workers"],
        "properties": {
            "v": {"const": 1},
            "title": TEXT,
            "now": {"type": "string", "format": "date-time"},
            **{name: {"type": "object"} for name in ("router", "discovery", "fleet", "queue", "totals", "rates_1m")},
            "jobs": {"type": "object", "description": "how many are in each state; while there are jobs here"},
            "realtime": {"type": "object", "description": "live: sessions, max, their audio_s, and counts"},
            "workers": many({"type": "object"}),
            "events": many(record({"t": TEXT, "worker": TEXT, "event": TEXT, "detail": TEXT})),
        },
    },
    "Stats": record(
        {
            "requests": COUNT,
            "ok": COUNT,
            "cache": {
                "type": "object",
                "description": "What CACHE did; some counts are missing while it is off.",
                "required": ["kind", "hits", "misses", "hit_rate"],
                "properties": {
                    "kind": {"type": "string", "enum": ["off", "memory", "disk", "redis"]},
                    **dict.fromkeys(("hits", "misses", "joined", "bypassed", "failures"), COUNT),
                    "hit_rate": {"type": "number", "minimum": 0, "maximum": 1},
                    "resting": FLAG,
                    **{name: {"type": ["integer", "null"]} for name in ("entries", "size_bytes")},
                },
            },
        }
    ),
    "Cleared": record({"cleared": {**FLAG, "description": "false while the cache is off"}}),
    "WorkerUrl": record({"url": {"type": "string", "examples": ["http://gpu-3:8000"]}}),
    "Deleted": record({"id": TEXT, "object": TEXT, "deleted": {"const": True}}),
    "WorkerState": record(
        {"id": TEXT, "url": TEXT, "state": TEXT, "in_flight": COUNT}, optional=("id", "url", "in_flight")
    ),
    "Error": record(
        {
            "error": record(
                {
                    "message": {"type": "string", "description": "a fixed sentence"},
                    "type": TEXT,
                    "param": {**OPTIONAL_TEXT, "description": "the field or setting that is meant"},
                    "code": {"type": "string", "enum": sorted({code for codes in CODES.values() for code in codes})},
                }
            )
        },
        "OpenAI's envelope, on every error.",
    ),
}
