"""
OpenTelemetry traces, where OTEL_* asks for them: one request from the router's door to the worker's engine.

Off, nothing of OpenTelemetry is imported, and W3C headers that a caller sent are passed on as they came. On, spans are
handed to a thread of the SDK's, which sends them over OTLP; what cannot be sent is dropped, and no request waits.
The SDK reads its own variables: OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_TRACES_SAMPLER, OTEL_SERVICE_NAME and so on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Protocol

from aiohttp import web

from fleet.settings import SettingError
from fleet.web import ID_KEY, Handler

HEADERS = ("traceparent", "tracestate")
ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
# asked every second or so by programs; a trace of each would bury the others
QUIET = frozenset(["/health", "/healthz", "/readyz", "/load", "/metrics", "/lb-status", "/static/{name}"])


class Span(Protocol):
    """A stretch of one request's time. It takes no part in contexts: parents are named, so it survives generators."""

    @property
    def headers(self) -> dict[str, str]:
        """What to send along, so that what the other side does is seen below this."""

    def child(self, name: str) -> AbstractContextManager[Span]:
        """A part of it, for as long as the block runs."""

    def note(self, **attributes: str | float) -> None:
        """Say more about it; `http_route` is http.route, `status__code` is status_code."""


@dataclass(frozen=True, slots=True)
class Untraced:
    """Where nobody traces: the caller's headers, unchanged."""

    headers: dict[str, str] = field(default_factory=dict)

    def child(self, name: str) -> AbstractContextManager[Span]:
        """Itself."""
        return nullcontext(self)

    def note(self, **attributes: str | float) -> None:
        """Nothing."""


def of(request: web.Request) -> Span:
    """The request's span; without tracing, the headers that it came with."""
    if SPAN in request:
        return request[SPAN]
    return Untraced({name: request.headers[name] for name in HEADERS if name in request.headers})


def is_wanted(environ: Mapping[str, str]) -> bool:
    """Whether OTEL_* names somewhere to send traces to, and does not switch them off."""
    if environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or environ.get("OTEL_TRACES_EXPORTER") == "none":
        return False
    return any(environ.get(name) for name in ENDPOINTS)


def start(service: str, environ: Mapping[str, str]) -> Tracing | None:
    """Tracing, if it is wanted; raises SettingError if it is and the SDK is not installed."""
    if not is_wanted(environ):
        return None
    try:
        return Tracing({} if "OTEL_SERVICE_NAME" in environ else {"service.name": service})
    except ImportError as error:
        raise SettingError("OTEL_* asks for traces: pip install 'whisper-fleet[otel]', or unset it.") from error


class Tracing:
    """The SDK: makes a span of each request, and sends what is finished."""

    def __init__(self, resource: Mapping[str, str]) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
        from opentelemetry.trace import SpanKind, StatusCode  # noqa: PLC0415
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415

        self._provider = TracerProvider(resource=Resource.create(dict(resource)))
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("whisper-fleet")
        self._propagator, self._kind = TraceContextTextMapPropagator(), SpanKind.SERVER
        self.error = StatusCode.ERROR

    def watch(self, app: web.Application) -> None:
        """See every request of an application, from before it is named until its answer is sent."""
        app.middlewares.insert(0, self._middleware)

    @web.middleware
    async def _middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """One span for each request that is worth one, below the caller's if it sent one."""
        resource = request.match_info.route.resource
        route = resource.canonical if resource else ""
        if route.rstrip("/") in QUIET:
            return await handler(request)
        context = self._propagator.extract({name.lower(): value for name, value in request.headers.items()})
        named = f"{request.method} {route}".rstrip()
        with _running(self._tracer.start_span(named, context=context, kind=self._kind), self) as span:
            span.note(http_request_method=request.method, http_route=route)
            request[SPAN] = span
            response = await handler(request)
            span.note(http_response_status__code=response.status, fleet_request__id=request.get(ID_KEY, ""))
            if response.status >= 500:
                span.fail(str(response.status))
            return response

    def below(self, span: Any, name: str) -> AbstractContextManager[Span]:
        """A span under another one."""
        from opentelemetry.trace import set_span_in_context  # noqa: PLC0415

        return _running(self._tracer.start_span(name, context=set_span_in_context(span)), self)

    def headers(self, span: Any) -> dict[str, str]:
        """traceparent, and tracestate if there is one."""
        from opentelemetry.trace import set_span_in_context  # noqa: PLC0415

        carrier: dict[str, str] = {}
        self._propagator.inject(carrier, set_span_in_context(span))
        return carrier

    def close(self) -> None:
        """Send what is left; blocks for a few seconds at most."""
        self._provider.shutdown()


class _Traced:
    """A span of the SDK's."""

    def __init__(self, span: Any, tracing: Tracing) -> None:
        self._span, self._tracing = span, tracing

    @property
    def headers(self) -> dict[str, str]:
        return self._tracing.headers(self._span)

    def child(self, name: str) -> AbstractContextManager[Span]:
        return self._tracing.below(self._span, name)

    def note(self, **attributes: str | float) -> None:
        spelled = {name.replace("__", " ").replace("_", ".").replace(" ", "_"): one for name, one in attributes.items()}
        self._span.set_attributes(spelled)

    def fail(self, kind: str) -> None:
        """It ended in an error of this kind."""
        self._span.set_status(self._tracing.error)
        self.note(error_type=kind)


SPAN = web.RequestKey("span", _Traced)


@contextmanager
def _running(span: Any, tracing: Tracing) -> Iterator[_Traced]:
    """End the span with the block, and say how the block ended: an error by its kind, never by its text."""
    traced = _Traced(span, tracing)
    try:
        yield traced
    except BaseException as error:
        if isinstance(error, asyncio.CancelledError | GeneratorExit):
            traced.note(error_type="cancelled")  # nobody's error: the caller hung up, or did not want the rest
        else:
            traced.fail(type(error).__name__)
        raise
    finally:
        span.end()
