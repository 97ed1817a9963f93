"""Traces: one request across router and worker, as a collector receives it; and nothing at all where nobody asks."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, make_mocked_request
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from fleet import trace
from fleet.settings import SettingError
from tests.integration import processes
from tests.router.scripted import until

TRACE_ID, PARENT_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE_ID}-{PARENT_ID}-01"


@dataclass
class Collector:
    """Takes spans over OTLP/HTTP, as Jaeger, Tempo and the others do."""

    spans: dict[str, dict[str, object]] = field(default_factory=dict)  # by service and name

    async def take(self, request: web.Request) -> web.Response:
        sent = ExportTraceServiceRequest.FromString(await request.read())
        for resource in sent.resource_spans:
            service = next(one.value.string_value for one in resource.resource.attributes if one.key == "service.name")
            for scope in resource.scope_spans:
                for span in scope.spans:
                    self.spans[f"{service.removeprefix('whisper-fleet-')} {span.name}"] = {
                        "trace": span.trace_id.hex(),
                        "id": span.span_id.hex(),
                        "parent": span.parent_span_id.hex(),
                        "took_s": (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
                        "about": {
                            one.key: one.value.string_value or one.value.int_value or one.value.double_value
                            for one in span.attributes
                        },
                    }
        return web.Response()


@asynccontextmanager
async def collecting() -> AsyncIterator[tuple[Collector, str]]:
    """A collector, and its address."""
    collector, app = Collector(), web.Application()
    app.router.add_post("/v1/traces", collector.take)
    server = TestServer(app)
    await server.start_server()
    try:
        yield collector, str(server.make_url("")).rstrip("/")
    finally:
        await server.close()


@pytest.mark.real
async def test_one_request_is_one_tree_from_the_caller_to_the_engine():
    """W3C ids go in with the caller's headers and on to the worker; each stage is a span where it belongs."""
    async with collecting() as (collector, url):
        environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_BSP_SCHEDULE_DELAY": "100"}
        worker = processes.Service("worker", "--model", "fake:0.05", **environ)
        router = processes.Service("router", "--workers", worker.url, **environ)
        async with processes.up(worker, router) as client:
            headers = {"traceparent": TRACEPARENT, "X-Request-Id": "req-traced"}
            assert (await processes.ask(client, router.url, b"RIFF" * 100, **headers))[0] == 200
            await until(lambda: len(collector.spans) >= 7)
            await client.get(f"{router.url}/health")
            spans = collector.spans

    asked = "POST /v1/audio/transcriptions"
    parents = {
        f"router {asked}": PARENT_ID,
        "router queue": spans[f"router {asked}"]["id"],
        "router attempt": spans[f"router {asked}"]["id"],
        f"worker {asked}": spans["router attempt"]["id"],
        "worker queue": spans[f"worker {asked}"]["id"],
        "worker decode": spans[f"worker {asked}"]["id"],
        "worker engine": spans[f"worker {asked}"]["id"],
    }
    assert {name: span["parent"] for name, span in spans.items()} == parents
    assert {span["trace"] for span in spans.values()} == {TRACE_ID}
    assert spans[f"router {asked}"]["about"] == {
        "http.request.method": "POST",
        "http.route": "/v1/audio/transcriptions",
        "http.response.status_code": 200,
        "fleet.request_id": "req-traced",
    }
    assert spans["router attempt"]["about"]["fleet.worker"].endswith(f":{worker.port}")
    assert spans["worker engine"]["took_s"] >= 0.04
    assert spans[f"router {asked}"]["took_s"] >= spans["router attempt"]["took_s"] >= spans["worker engine"]["took_s"]


@pytest.mark.real
async def test_a_collector_that_is_gone_costs_nobody_an_answer():
    """Spans are dropped; requests do not wait, and the process ends as quickly as ever."""
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{processes.free_port()}",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
    }
    worker = processes.Service("worker", "--model", "fake:0.01", **environ)
    async with processes.up(worker) as client:
        for _ in range(3):
            assert (await processes.ask(client, worker.url, b"RIFF" * 100))[0] == 200
        worker.process.terminate()
        assert await worker.exit_code() == 0


def test_where_nobody_asks_nothing_is_imported():
    """Router and worker start without a module of OpenTelemetry's."""
    code = (
        "import sys, router.__main__, router.app, worker.app, fleet.trace;"
        "assert fleet.trace.start('x', {}) is None;"
        "sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    )
    environ = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    assert subprocess.run([sys.executable, "-c", code], env=environ, check=False).returncode == 0


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({}, False),
        ({"OTEL_SERVICE_NAME": "x"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318/v1/traces"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_SDK_DISABLED": "true"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_TRACES_EXPORTER": "none"}, False),
    ],
)
def test_traces_are_wanted_where_they_have_somewhere_to_go(environ, wanted):
    """And are not switched off."""
    assert trace.is_wanted(environ) is wanted


def test_without_the_extra_the_sentence_names_it(monkeypatch):
    """An operator reads what to install."""
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(SettingError, match=r"whisper-fleet\[otel\]"):
        trace.start("router", {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"})


def test_untraced_headers_pass_unchanged():
    """A caller's trace reaches the worker also through a router that does not trace."""
    asked = make_mocked_request("POST", "/", headers={"traceparent": TRACEPARENT, "tracestate": "a=1", "Cookie": "x"})
    span = trace.of(asked)
    with span.child("queue") as below:
        below.note(anything=1)
        assert below.headers == {"traceparent": TRACEPARENT, "tracestate": "a=1"}
