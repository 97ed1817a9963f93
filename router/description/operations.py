"""
Every public route: what it takes, what it gives, who may (core).

A new door adds a line here and is then in /openapi.json and on /docs; a test fails while a route is missing:

    Operation(
        "getStats", "GET", "/stats", "Operating", "What the cache did",
        answers={200: Answer("Counts since the start.", {JSON: record({"hits": COUNT, "misses": COUNT})})},
    ),

`errors` are the statuses that it can end with besides those of every route (401 with keys on, 404, 405, 500); each
brings its codes from fleet.errors. `key` is whose it asks for. Schemas that several routes share go into `schemas`; a
door with several routes has a file of its own, as `jobs`, which `document` joins.
A WebSocket is described as the GET that opens it, with 101 among its answers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from fleet.forms import ASR_OUTPUTS
from fleet.render import JSON_TYPE, SSE_TYPE, TEXT_TYPE, VTT_TYPE
from router.description.fields import FIELDS, form, inference_form
from router.description.schemas import FLAG, TEXT, Schema, ref

JSON, PLAIN, VTT, SSE = (kind.partition(";")[0] for kind in (JSON_TYPE, TEXT_TYPE, VTT_TYPE, SSE_TYPE))
FORM, HTML = "multipart/form-data", "text/html"
UPLOAD_ERRORS = (400, 408, 413, 415, 429, 502, 503, 504)
PARAMETERS = ("RequestId", "Timeout")  # components that every upload takes


@dataclass(frozen=True, slots=True)
class Answer:
    """What comes back with one status: a sentence, and the body's schema by content type."""

    about: str
    content: dict[str, Schema] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Operation:
    """One method on one path. `query` is by name; `body` by content type."""

    name: str
    method: Literal["GET", "POST", "DELETE", "PUT"]
    path: str
    tag: str
    summary: str
    about: str = ""
    body: dict[str, Schema] = field(default_factory=dict)
    query: dict[str, Schema] = field(default_factory=dict)
    answers: dict[int, Answer] = field(default_factory=dict)
    errors: tuple[int, ...] = ()
    key: Literal["none", "caller", "admin"] = "caller"
    is_upload: bool = False  # takes the headers, and answers with those, of a transcription


STREAM: Schema = {
    "type": "string",
    "description": "Lines of `data: ` with one of the events or an Error as JSON; comments keep the line open.",
    "x-events": [ref(name) for name in ("DeltaEvent", "DoneEvent", "ProgressEvent", "WholeEvent", "Error")],
}
TRANSCRIPT = Answer(
    "The transcript, in the form that `response_format` and `stream` asked for.",
    {
        JSON: {"anyOf": [ref("VerboseTranscription"), ref("Transcription")]},
        PLAIN: {**TEXT, "description": "`text`, or `srt`"},
        VTT: TEXT,
        SSE: STREAM,
    },
)

BATCH: Schema = {
    "type": "object",
    "required": ["results"],
    "properties": {
        "results": {
            "type": "array",
            "items": {"anyOf": [ref("VerboseTranscription"), ref("Transcription"), TEXT, ref("Error")]},
        }
    },
}


def several(one: Schema) -> Schema:
    """A form whose file part may stand more than once."""
    file = one["properties"]["file"]
    return {**one, "properties": {**one["properties"], "file": {"type": "array", "items": file, "minItems": 1}}}


def _upload(name: str, path: str, summary: str, body: Schema, answer: Answer, **more: Any) -> Operation:
    return Operation(
        name,
        "POST",
        path,
        "Transcribing",
        summary,
        body={FORM: body},
        answers={200: answer},
        errors=UPLOAD_ERRORS,
        is_upload=True,
        **more,
    )


def _page(name: str, path: str, summary: str, content: dict[str, Schema], **more: Any) -> Operation:
    more = {"key": "none"} | more
    return Operation(
        name, "GET", path, "Looking", summary, answers={200: Answer("What was asked for.", content)}, **more
    )


def _verb(name: str, verb: str, summary: str) -> Operation:
    answers = {200: Answer("Its state now.", {JSON: ref("WorkerState")})}
    return Operation(name, "POST", f"/admin/workers/{{id}}/{verb}", "Operating", summary, answers=answers, key="admin")


OPERATIONS: tuple[Operation, ...] = (
    _upload(
        "createTranscription",
        "/v1/audio/transcriptions",
        "Transcribe a clip",
        form(),
        TRANSCRIPT,
        about="OpenAI's route: their clients work unmodified. Fields that nobody knows are ignored.",
    ),
    _upload(
        "createTranscriptions",
        "/v1/audio/transcriptions_batch",
        "Transcribe several clips",
        several(form()),
        Answer("A transcript or an error for each clip, in the order sent.", {JSON: BATCH}),
        about="Several parts named `file`; the other fields hold for each of them. One clip's error is only its own.",
    ),
    _upload(
        "createTranslation",
        "/v1/audio/translations",
        "Translate a clip to English",
        form(),
        TRANSCRIPT,
        about="Needs a model that can; 400 `model_not_capable` where none is loaded.",
    ),
    _upload(
        "transcribePlainForm",
        "/transcribe",
        "Transcribe a clip, plain form",
        form(file_names=("audio", "file")),
        Answer("The transcript, with the time that it took.", {JSON: ref("PlainTranscription")}),
        about="For clients of older services. `language` may stand in the query.",
        query={"language": FIELDS["language"]},
    ),
    _upload(
        "transcribeAsrForm",
        "/asr",
        "Transcribe a clip, query form",
        form(file_names=("audio_file",), names=()),
        Answer("The transcript.", {PLAIN: TEXT, JSON: ref("VerboseTranscription")}),
        about="For clients of whisper-asr-webservice: a part named `audio_file`, everything else in the query.",
        query={
            "output": {"type": "string", "enum": [*ASR_OUTPUTS], "default": "txt"},
            "task": FIELDS["task"],
            "language": FIELDS["language"],
            "initial_prompt": FIELDS["prompt"],
            "word_timestamps": FLAG,
            "vad_filter": FIELDS["vad_filter"],
            "encode": FIELDS["encode"],
        },
    ),
    _upload(
        "transcribeInferenceForm",
        "/inference",
        "Transcribe a clip, whisper.cpp's form",
        inference_form(),
        TRANSCRIPT,
        about="For clients of whisper.cpp's server: OpenAI's fields, and `translate`. What else it takes is ignored.",
    ),
    Operation(
        "openRealtimeSession",
        "GET",
        "/v1/realtime",
        "Transcribing",
        "Transcribe live audio over a WebSocket",
        about="OpenAI's realtime events for transcription; a key may come as a sub-protocol.",
        query={
            "intent": {"type": "string", "enum": ["transcription"]},
            "model": {**TEXT, "description": "used if it is loaded"},
        },
        answers={101: Answer("The session; its first event is `session.created`.")},
        errors=(400, 403, 503),
    ),
    Operation(
        "listModels",
        "GET",
        "/v1/models",
        "Models",
        "What is loaded",
        answers={200: Answer("Every loaded model, and the alias `whisper-1`.", {JSON: ref("ModelList")})},
    ),
    Operation(
        "getModel",
        "GET",
        "/v1/models/{id}",
        "Models",
        "One model",
        answers={200: Answer("The model.", {JSON: ref("Model")})},
    ),
    Operation(
        "deleteModel",
        "DELETE",
        "/v1/models/{id}",
        "Models",
        "Always 405: models cannot be deleted",
        about="It is there because OpenAI's clients have it.",
        answers={
            200: Answer("The scripted engine of test fleets plays along.", {JSON: ref("Deleted")}),
            405: Answer("Nobody may.", {JSON: ref("Error")}),
        },
    ),
    _page("playground", "/", "The playground: upload or record", {HTML: TEXT}),
    _page("docs", "/docs", "This description, for people", {HTML: TEXT}),
    _page("openapi", "/openapi.json", "This description, for programs", {JSON: {"type": "object"}}),
    _page(
        "getStatus",
        "/lb-status",
        "What the fleet is doing",
        {JSON: ref("Status"), HTML: TEXT},
        about="JSON, or a page where a browser asks; `Accept: text/event-stream` gives that page every second.",
        key="caller",
    ),
    _page("getMetrics", "/metrics", "Series for Prometheus", {PLAIN: TEXT}),
    Operation(
        "getHealth",
        "GET",
        "/health",
        "Looking",
        "200 while at least one worker is ready",
        answers={
            200: Answer("At least one is.", {JSON: ref("Health")}),
            503: Answer("None is.", {JSON: ref("Health")}),
        },
        key="none",
    ),
    Operation(
        "isAlive",
        "GET",
        "/healthz",
        "Looking",
        "The event loop turns",
        answers={200: Answer("It does.", {JSON: ref("State")})},
        key="none",
    ),
    Operation(
        "isReady",
        "GET",
        "/readyz",
        "Looking",
        "A worker is ready and this router is not draining",
        answers={200: Answer("Yes.", {JSON: ref("State")}), 503: Answer("No.", {JSON: ref("State")})},
        key="none",
    ),
    _page("getStats", "/stats", "Requests so far, and what the cache did", {JSON: ref("Stats")}, key="caller"),
    Operation(
        "clearCache",
        "DELETE",
        "/cache",
        "Operating",
        "Forget every kept answer",
        answers={200: Answer("Nothing is kept of what was.", {JSON: ref("Cleared")})},
        errors=(503,),
        key="admin",
    ),
    Operation(
        "addWorker",
        "POST",
        "/admin/workers",
        "Operating",
        "Add a worker beside what discovery finds",
        body={JSON: ref("WorkerUrl")},
        answers={201: Answer("It is asked from now on.", {JSON: ref("WorkerState")})},
        errors=(400,),
        key="admin",
    ),
    Operation(
        "removeWorker",
        "DELETE",
        "/admin/workers/{id}",
        "Operating",
        "Send nothing new; forget it when idle",
        about="One that discovery keeps finding is only drained: it would return.",
        answers={200: Answer("Its state now.", {JSON: ref("WorkerState")})},
        key="admin",
    ),
    _verb("drainWorker", "drain", "Send nothing new until it is undrained"),
    _verb("undrainWorker", "undrain", "Send requests again"),
    _verb("resetWorker", "reset", "Forget its failures and send requests at once"),
)
