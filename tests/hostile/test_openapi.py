"""
Requests made from the project's own /openapi.json, right and wrong ones: answers are as the document says.

Schemathesis makes the requests and compares: status, content type, headers and body of each answer are documented ones,
what the document forbids is refused, what it allows is taken. On top of that nothing ever fails on our side. Real
processes, the scripted engine; the seed decides all. OPENAPI_CASES=20000 OPENAPI_SEED=2 for a long run.
"""

import asyncio
import json
import logging
import os
from collections import Counter
from collections.abc import Iterator

import aiohttp
import jsonschema
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import Case, CheckContext, GenerationMode, Response
from schemathesis.specs.openapi import checks

from router.description.document import document
from router.description.fields import FIELDS
from router.description.operations import STREAM
from tests.integration.processes import Service, worker
from tests.router.scripted import scripted_fleet

CASES = int(os.environ.get("OPENAPI_CASES", "600"))
SEED = int(os.environ.get("OPENAPI_SEED", "1"))
TALLY: Counter[str] = Counter()  # requests by service
ADMIN = "sk-canary-admin"
HEADERS = {"Authorization": f"Bearer {ADMIN}"}
POSITIVE, NEGATIVE = GenerationMode.POSITIVE, GenerationMode.NEGATIVE

DOCUMENT = json.loads(json.dumps(document()))
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
OPERATIONS = {operation.ok().label: operation.ok() for operation in SCHEMA.get_all_operations()}
# of a clip's bytes; of fields that do not go together; of many fields
BEYOND_SCHEMAS = {"audio_empty", "unsupported_value", "too_many_parts"}
LEFT_OUT = {
    "POST /admin/workers",  # the router would look up whatever hosts are made up
    "GET /v1/realtime",  # a WebSocket: always 400 without an upgrade
}
WORKERS_TOO = {
    "/v1/audio/transcriptions",
    "/v1/audio/translations",
    "/transcribe",
    "/asr",
    "/inference",
    "/v1/models",
    "/v1/models/{id}",
}
TARGETS = [("router", label) for label in OPERATIONS if label not in LEFT_OUT]
TARGETS += [("worker", label) for label in OPERATIONS if label.split()[1] in WORKERS_TOO]


@pytest.fixture(scope="module")
def urls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Of a worker and of a router before it."""
    store = tmp_path_factory.mktemp("jobs") / "jobs.db"
    hears = worker("fake:0")
    routes = Service("router", "--workers", hears.url, ADMIN_KEY=ADMIN, JOBS=f"sqlite:///{store}")

    async def ready() -> None:
        async with aiohttp.ClientSession() as client:
            for service in (hears, routes):
                await service.wait_ready(client)

    try:
        asyncio.run(ready())
        yield {"router": routes.url, "worker": hears.url}
        logging.getLogger(__name__).info("%s requests, seed %d", dict(TALLY), SEED)
        for service in (hears, routes):
            assert service.process.poll() is None
            assert "Traceback" not in service.log.read_text()
    finally:
        routes.stop()
        hears.stop()


def nothing_fails(ctx: CheckContext, response: Response, case: Case) -> None:
    """No 5xx, but that it took longer than the caller said it would wait."""
    assert response.status_code < 500 or (response.status_code == 504 and is_impatient(case))


def is_impatient(case: Case) -> bool:
    """Whether the stated patience may be shorter than any answer takes."""
    return 0 < float((case.headers or {}).get("X-Request-Timeout", 0)) < 10


def what_is_allowed_is_taken(ctx: CheckContext, response: Response, case: Case) -> None:
    """But for what a schema cannot say."""
    if response.status_code == 408 and is_impatient(case):
        return
    if response.status_code == 400:
        error = json.loads(response.content)["error"]
        if error["code"] in BEYOND_SCHEMAS or error["param"] == "callback_url":
            return
    checks.positive_data_acceptance(ctx, response, case)


def what_is_forbidden_is_refused(ctx: CheckContext, response: Response, case: Case) -> None:
    """In queries; a form's fields are all text, and its tables are tried below."""
    if case.media_type is None:
        checks.negative_data_rejection(ctx, response, case)


def the_body_is_as_described(ctx: CheckContext, response: Response, case: Case) -> None:
    """Of a stream, each event."""
    if not response.headers["content-type"][0].startswith("text/event-stream"):
        checks.response_schema_conformance(ctx, response, case)
        return
    for line in response.text.split("\n"):
        if line.startswith("data: "):
            jsonschema.validate(
                json.loads(line[6:]), {"anyOf": STREAM["x-events"], "components": DOCUMENT["components"]}
            )


CHECKS = [
    nothing_fails,
    the_body_is_as_described,
    what_is_allowed_is_taken,
    what_is_forbidden_is_refused,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
]


@pytest.mark.real
@pytest.mark.parametrize(("service", "label"), TARGETS)
def test_answers_are_as_described(urls: dict[str, str], service: str, label: str):
    """As many right requests as wrong ones, where there can be wrong ones."""
    operation, url = OPERATIONS[label], urls[service]
    has_input = bool(operation.query or operation.body)
    for mode in (POSITIVE, NEGATIVE) if has_input else (POSITIVE,):

        @seed(SEED)
        @settings(
            max_examples=max(2, CASES // (2 * len(TARGETS))),
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        )
        @given(operation.as_strategy(generation_mode=mode))
        def ask(case: Case) -> None:
            TALLY[service] += 1
            response = case.call(base_url=url, headers=HEADERS, timeout=30)
            case.validate_response(response, checks=CHECKS)

        ask()


def wrong_values() -> Iterator[tuple[str, str]]:
    """For each field of the form that is not free text, values that its schema forbids."""
    for name, schema in FIELDS.items():
        kind, items = schema.get("type"), schema.get("items", {})
        if "enum" in schema or "enum" in items or kind == "boolean":
            yield name, "canary"
        for limit, step in (("minimum", -1), ("maximum", 1)):
            if limit in schema:
                yield name, str(schema[limit] + step)
        if kind == "integer":
            yield name, "2.5"


@pytest.mark.parametrize(("name", "value"), sorted(wrong_values()))
async def test_what_a_form_forbids_is_refused(name: str, value: str):
    """400 that names the field."""
    async with scripted_fleet(1) as fleet:
        status, _, answer = await fleet.transcribe(**{name: value})
        assert (status, answer["error"]["param"]) == (400, name)
        assert fleet.workers[0].requests == 0
