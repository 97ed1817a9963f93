"""The description is valid, complete, and true of answers that were really given."""

import ast
import json
from pathlib import Path

import jsonschema
import pytest
from openapi_spec_validator import validate

from fleet import errors
from router.description.document import document
from tests.router.scripted import answers, scripted_fleet
from tests.worker.conftest import SAMPLES, serving

ROOT = Path(__file__).parents[3]
DOCUMENT = json.loads(json.dumps(document()))


def holds(name, value):
    """Raise if the value is not what the schema of that name says, or has a property that it does not name."""
    schema = DOCUMENT["components"]["schemas"][name]
    assert set(value) <= set(schema["properties"])
    jsonschema.validate(value, {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]})


def test_it_is_valid_openapi_3_1():
    """So says a validator that is not ours."""
    validate(DOCUMENT)


def test_every_name_is_unique_and_every_operation_has_its_words():
    """Generators make functions of the names, people read the rest."""
    operations = [operation for methods in DOCUMENT["paths"].values() for operation in methods.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(set(names)) == len(names)
    assert all(operation["summary"] and operation["responses"] for operation in operations)
    assert {tag for operation in operations for tag in operation["tags"]} == {tag["name"] for tag in DOCUMENT["tags"]}


async def test_every_route_is_described_and_every_described_one_answers():
    """A route without a description, or the other way round, fails here; add it to operations.py."""
    async with scripted_fleet(1) as fleet:
        routes = {(route.method, route.resource.canonical) for route in fleet.service.app.router.routes()}
    described = {(method.upper(), path) for path, methods in DOCUMENT["paths"].items() for method in methods}
    assert described <= routes
    spelled = {(method, f"{path.rstrip('/')}{end}") for method, path in described for end in ("", "/")}
    spelled |= {(method, path.removeprefix("/v1")) for method, path in spelled}
    spelled |= {("GET", "/"), ("GET", "/static/{name}")}
    assert routes <= spelled | {("HEAD", path) for method, path in spelled if method == "GET"}


async def test_keys_are_asked_for_as_described():
    """Without one: 401 or 403 exactly where the description has a key."""
    async with scripted_fleet(1, api_key="user", admin_key="admin") as fleet:
        for path, methods in DOCUMENT["paths"].items():
            for method, operation in methods.items():
                url = fleet.url + path.replace("{id}", "x")
                async with fleet.client.request(method.upper(), url) as response:
                    assert (response.status in (401, 403)) is bool(operation["security"]), path


def raised_codes():
    """Every code in the sources: of the classes, and given where one is raised."""
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.FleetError)]
    yield from (kind.code for kind in kinds)
    for package in ("fleet", "router", "worker"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.keyword) and node.arg == "code":
                    yield from (
                        one.value for one in ast.walk(node.value) if isinstance(one, ast.Constant) and one.value
                    )


def test_every_code_that_is_raised_is_listed_and_no_other():
    """errors.CODES is the list; the description has all of it."""
    listed = [code for codes in errors.CODES.values() for code in codes]
    assert len(set(listed)) == len(listed)
    assert set(raised_codes()) == set(listed)
    shown = DOCUMENT["components"]["schemas"]["Error"]["properties"]["error"]["properties"]["code"]["enum"]
    assert set(shown) == set(listed)


@pytest.mark.real
async def test_real_answers_are_as_described():
    """Of the embedded model: both JSON forms with everything that can be asked for, the plain form, and an error."""
    clip = (SAMPLES / "digits-short-george.wav").read_bytes()
    async with serving(model="spoken-digits", cpu_threads=1) as worker:
        brief = await worker.send(clip, **{"include[]": "logprobs"})
        holds("Transcription", brief.json)
        verbose = await worker.send(clip, response_format="verbose_json", timestamp_granularities="word,segment")
        holds("VerboseTranscription", verbose.json)
        holds("Segment", verbose.json["segments"][0])
        holds("Word", verbose.json["words"][0])
        holds("PlainTranscription", (await worker.send(clip, "/transcribe")).json)
        holds("Error", (await worker.send(clip, temperature="9")).json)
        stream = (await worker.send(clip, stream="true")).text
        events = [json.loads(line[6:]) for line in stream.splitlines() if line.startswith("data: ")]
        assert [event["type"] for event in events][-1] == "transcript.text.done"
        for event in events:
            holds("DoneEvent" if event["type"].endswith("done") else "DeltaEvent", event)


async def test_the_routers_own_answers_are_as_described():
    """Health, models, status, an operator's verbs and an error."""
    async with scripted_fleet(1, admin_key="admin") as fleet:

        async def fetch(path, method="GET"):
            headers = {"Authorization": "Bearer admin"}
            async with fleet.client.request(method, fleet.url + path, headers=headers) as response:
                return await response.json()

        holds("Health", await fetch("/health"))
        holds("State", await fetch("/readyz"))
        holds("ModelList", await fetch("/v1/models"))
        holds("Model", await fetch("/v1/models/tiny"))
        holds("Status", await fetch("/lb-status"))
        holds("Stats", await fetch("/stats"))
        holds("Cleared", await fetch("/cache", "DELETE"))
        holds("WorkerState", await fetch("/admin/workers/w0/drain", "POST"))
        holds("Error", await fetch("/nowhere"))
        fleet.workers[0].behaviour = answers(400, "audio_empty")
        await fetch("/admin/workers/w0/undrain", "POST")
        _, headers, body = await fleet.transcribe()
        holds("Error", body)
        assert set(headers) >= {"X-Fleet-Worker", "X-Fleet-Attempts", "Server-Timing"}
