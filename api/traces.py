"""Traces, where the settings name who collects them: OpenTelemetry over OTLP/HTTP.

A span for each request, by the route's template, within what the caller's `traceparent` says (W3C
Trace Context); in it one for what it waited for: the desk with its commit, or a look-up. Each
batch of the desk is a span of its own. Nothing of this is imported where no collector is named.
"""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from time import time_ns
from typing import TYPE_CHECKING

from aiohttp import web

from ledger.settings import BadSettings, Settings

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

    from api.metrics import Committed

Handle = Callable[[web.Request], Awaitable[web.StreamResponse]]

NANOSECONDS = 1_000_000_000
SEND_SECONDS = 2.0  # then spans are dropped: a server that ends waits for no collector


class Traces:
    """The spans of one server, on their way to the collector."""

    def __init__(self, endpoint: str) -> None:
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError:
            raise BadSettings(
                "traces_endpoint: there is no OpenTelemetry here; install timebank[traces]"
            ) from None
        exporter = OTLPSpanExporter(
            endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=SEND_SECONDS
        )
        self._provider = TracerProvider(resource=Resource.create({"service.name": "timebank"}))
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer: Tracer = self._provider.get_tracer("timebank")

    def around(self, method: str, route: str, handle: Handle) -> Handle:
        """The same handler in a span; names after OpenTelemetry's conventions for HTTP servers."""
        from opentelemetry.propagate import extract
        from opentelemetry.trace import SpanKind, StatusCode

        name = f"{method} {route}"
        said = {"http.request.method": method, "http.route": route}

        async def traced(request: web.Request) -> web.StreamResponse:
            with self._tracer.start_as_current_span(
                name, extract(request.headers), SpanKind.SERVER, said, record_exception=False
            ) as span:
                response = await handle(request)
                span.set_attribute("http.response.status_code", response.status)
                span.set_attribute("timebank.request_id", response.headers["X-Request-Id"])
                if response.status >= 500:
                    span.set_status(StatusCode.ERROR)
                return response

        return traced

    @contextmanager
    def within(self, name: str) -> Iterator[None]:
        """A part of the request under way; what ends it early is told where it is answered."""
        with self._tracer.start_as_current_span(
            name, record_exception=False, set_status_on_exception=False
        ):
            yield

    def committed(self, then: "Committed") -> "Committed":
        """What hears of a batch, and makes a span of it first."""

        def heard(jobs: int, seconds: float, waited: float) -> None:
            ended = time_ns()
            span = self._tracer.start_span(
                "batch",
                start_time=ended - int(seconds * NANOSECONDS),
                attributes={"timebank.jobs": jobs, "timebank.waited_seconds": waited},
            )
            span.end(ended)
            then(jobs, seconds, waited)

        return heard

    def close(self) -> None:
        """Send what waits, and end."""
        self._provider.shutdown()


def traces_of(settings: Settings) -> Traces | None:
    """Traces, if the settings name a collector."""
    return None if settings.traces_endpoint is None else Traces(settings.traces_endpoint)
