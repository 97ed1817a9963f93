"""The routes of /v1/jobs (core)."""

from __future__ import annotations

from router.description.fields import FIELDS, form
from router.description.operations import FORM, JSON, PLAIN, TRANSCRIPT, VTT, Answer, Operation
from router.description.schemas import COUNT, FLAG, OPTIONAL_TEXT, TEXT, Schema, many, record, ref

OPTIONAL_COUNT: Schema = {"type": ["integer", "null"]}

JOB_ID: Schema = {**TEXT, "pattern": "^[0-9a-f]{32}$"}
JOB_FORM = form(names=tuple(name for name in FIELDS if name not in ("stream", "progress")))
JOB_FORM["properties"]["callback_url"] = {**TEXT, "description": "told when the job ends; its host must be allowed"}

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "createJob",
        "POST",
        "/v1/jobs",
        "Jobs",
        "Transcribe a clip later",
        about="Taken also while the fleet is busy. The same header `Idempotency-Key` again gives the same job.",
        body={FORM: JOB_FORM},
        answers={202: Answer("The job is stored and will survive.", {JSON: ref("NewJob")})},
        errors=(400, 408, 413, 415, 503),
    ),
    Operation(
        "listJobs",
        "GET",
        "/v1/jobs",
        "Jobs",
        "The key's own jobs, newest first",
        query={"limit": {**COUNT, "minimum": 1, "maximum": 100, "default": 20}, "after": JOB_ID},
        answers={200: Answer("A page of them.", {JSON: ref("JobList")})},
        errors=(400, 503),
    ),
    Operation(
        "getJob",
        "GET",
        "/v1/jobs/{id}",
        "Jobs",
        "How far a job is",
        answers={200: Answer("The job.", {JSON: ref("Job")})},
        errors=(503,),
    ),
    Operation(
        "deleteJob",
        "DELETE",
        "/v1/jobs/{id}",
        "Jobs",
        "Cancel a job, or delete one that is over",
        answers={
            200: Answer("The cancelled job, or that it is gone.", {JSON: {"anyOf": [ref("Job"), ref("Deleted")]}})
        },
        errors=(503,),
    ),
    Operation(
        "getJobResult",
        "GET",
        "/v1/jobs/{id}/result",
        "Jobs",
        "The transcript, in the format that the job asked for",
        about="404 until the job has succeeded. A job that failed answers with its error.",
        answers={200: Answer(TRANSCRIPT.about, {kind: TRANSCRIPT.content[kind] for kind in (JSON, PLAIN, VTT)})},
        errors=(400, 502, 503, 504),
    ),
)

SCHEMAS: dict[str, Schema] = {
    "NewJob": record({"id": TEXT, "status": TEXT}),
    "Job": record(
        {
            "id": TEXT,
            "object": {"const": "transcription.job"},
            "status": {"type": "string", "enum": ["queued", "running", "succeeded", "failed", "cancelled"]},
            "progress": {"type": "number", "minimum": 0, "maximum": 1},
            "position": {"type": ["integer", "null"], "description": "in the queue, 1 is next; null in lists"},
            "attempts": {
                **COUNT,
                "description": "runs so far; several after a restart",
            },
            "created_at": {**COUNT, "description": "seconds since the epoch, as the others"},
            "started_at": OPTIONAL_COUNT,
            "finished_at": OPTIONAL_COUNT,
            "expires_at": OPTIONAL_COUNT,
            "callback_url": OPTIONAL_TEXT,
            "error": {"type": ["object", "null"], "description": "what stands under `error` in an Error"},
        }
    ),
    "JobList": record({"object": {"const": "list"}, "data": many(ref("Job")), "has_more": FLAG}),
}
