"""Operations, schemas and errors as one OpenAPI 3.1 document (core)."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any

from fleet import __version__, wire
from fleet.errors import CODES
from fleet.stages import SERVER_TIMING
from router.description import jobs
from router.description.operations import OPERATIONS, PARAMETERS, Answer, Operation
from router.description.schemas import COUNT, SCHEMAS, TEXT, Schema, ref

ABOUT = """One OpenAI-compatible speech-to-text endpoint over a fleet of Whisper workers.

Every route also answers without `/v1` and with a slash at its end. Every error is OpenAI's envelope with a fixed
message. A fleet that is full answers 503 with `Retry-After`; 429 is a limit of the caller's own. Answers to
a limited key say what is left of it in `x-ratelimit-*` headers. `X-Request-Id` is on every answer: the caller's own, if
it sent one."""

TAGS = {
    "Transcribing": "A clip in, text out.",
    "Jobs": "A clip in, text later: for what outlives a connection.",
    "Models": "What is loaded.",
    "Looking": "How the fleet is, for people, probes and Prometheus.",
    "Operating": "What an operator may do; with the admin key.",
}
KEYS: dict[str, list[dict[str, list[str]]]] = {
    "none": [],
    "caller": [{"bearer": []}, {"apiKey": []}, {}],  # {}: where the router asks for none
    "admin": [{"bearer": []}, {"apiKey": []}],
}
ALWAYS = (404, 405, 500)  # any route, by a wrong id, a wrong method, or a fault of ours

# header -> what it says; on answers to uploads
HEADERS: dict[str, tuple[Schema, str]] = {
    wire.WORKER: (TEXT, "Which worker answered."),
    wire.ATTEMPTS: (COUNT, "How many tries it took."),
    wire.QUEUE_MS: (COUNT, "Milliseconds in the queue."),
    wire.CACHE: ({"type": "string", "enum": ["hit", "miss"]}, "Whether the answer was kept from before."),
    wire.DURATION: ({"type": "number"}, "Seconds of audio in the clip."),
    wire.WARNINGS: (TEXT, "What was lost of a damaged clip."),
    wire.IGNORED: (TEXT, "Fields that mean nothing to the model, such as language to one that hears English only."),
    SERVER_TIMING: (TEXT, "Milliseconds by stage: queue, decode, encode, generate, engine, total."),
}


def document() -> dict[str, Any]:
    """The description, as /openapi.json answers it."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in (*OPERATIONS, *jobs.OPERATIONS):
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "whisper-fleet",
            "version": __version__,
            "description": ABOUT,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": SCHEMAS | jobs.SCHEMAS,
            "parameters": _parameters(),
            "headers": {name: {"schema": schema, "description": text} for name, (schema, text) in HEADERS.items()},
            "responses": {_error_name(status): _error(status) for status in CODES},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
        },
    }


def _operation(operation: Operation) -> dict[str, Any]:
    told: dict[str, Any] = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": operation.summary,
        "security": KEYS[operation.key],
        "responses": _responses(operation),
    }
    if operation.about:
        told["description"] = operation.about
    if parameters := _parameters_of(operation):
        told["parameters"] = parameters
    if operation.body:
        content = {kind: {"schema": schema} for kind, schema in operation.body.items()}
        told["requestBody"] = {"required": True, "content": content}
    return told


def _parameters_of(operation: Operation) -> list[dict[str, Any]]:
    in_path = [
        {"name": name, "in": "path", "required": True, "schema": TEXT}
        for name in re.findall(r"{(\w+)}", operation.path)
    ]
    in_query = [{"name": name, "in": "query", "schema": schema} for name, schema in operation.query.items()]
    shared = [{"$ref": f"#/components/parameters/{name}"} for name in PARAMETERS] if operation.is_upload else []
    return in_path + in_query + shared


def _responses(operation: Operation) -> dict[str, Any]:
    responses = {str(status): _answer(answer, operation) for status, answer in sorted(operation.answers.items())}
    refused = {"none": (), "caller": (401, 429), "admin": (401, 403, 429)}[operation.key]
    for status in sorted({*operation.errors, *refused, *ALWAYS}):
        responses.setdefault(str(status), {"$ref": f"#/components/responses/{_error_name(status)}"})
    return responses


def _answer(answer: Answer, operation: Operation) -> dict[str, Any]:
    told: dict[str, Any] = {"description": answer.about}
    if operation.is_upload:
        told["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in HEADERS}
    if answer.content:
        told["content"] = {kind: {"schema": schema} for kind, schema in answer.content.items()}
    return told


def _error(status: int) -> dict[str, Any]:
    codes = ", ".join(f"`{code}`" for code in CODES[status])
    told: dict[str, Any] = {
        "description": f"{HTTPStatus(status).phrase}: {codes}",
        "content": {"application/json": {"schema": ref("Error")}},
    }
    if status in (429, 503):
        about = "Seconds to wait, 1 to 60; each refused caller has a time of its own."
        told["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": about}}
    return told


def _error_name(status: int) -> str:
    return HTTPStatus(status).phrase.title().replace(" ", "").replace("-", "")


def _parameters() -> dict[str, Any]:
    def header(name: str, schema: Schema, about: str) -> dict[str, Any]:
        return {"name": name, "in": "header", "schema": schema, "description": about}

    return {
        "RequestId": header(wire.REQUEST_ID, TEXT, "Comes back, and is on log lines; replaced if it is odd or long."),
        "Timeout": header("X-Request-Timeout", {"type": "number"}, "Seconds that the caller will wait; 600 if unsaid."),
    }
