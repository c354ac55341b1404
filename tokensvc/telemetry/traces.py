"""Traces for OpenTelemetry: the spans of requests, sent to a collector in the background.

Needs the extra `otel`. Import this module in a worker, after its fork: `Traces` starts a thread.
"""

from __future__ import annotations

import logging
import math
import os
import socket
import time
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http import trace_exporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from tokensvc.spans import NOTHING, Attributes, Span

MAX_QUEUED: Final = 2_048
"""How many spans wait for the collector; of more, the oldest are dropped."""

BATCH_SECONDS: Final = 2.0
"""How long spans wait to be sent together."""

MAX_BATCH: Final = 512

EXPORT_SECONDS: Final = 3.0
"""How long the collector may take for a batch."""

FLUSH_SECONDS: Final = 1.0
"""For how long a worker that stops begins to send batches."""

REPORT_SECONDS: Final = 60.0
"""The least time between two log lines about a collector that takes no spans."""

_PROPAGATOR: Final = TraceContextTextMapPropagator()

_log = logging.getLogger(__name__)


class Traces:
    """Records spans and sends them, for all threads of a process. It starts a thread."""

    def __init__(self, endpoint: str, *, sample_ratio: float, service_name: str) -> None:
        """Traces that are sent to this collector.

        Args:
            endpoint: the URL to which OTLP is posted.
            sample_ratio: the part of the requests that is recorded, of those that continue no
                trace. One that does is recorded if the trace is.
            service_name: the name of the service in traces.
        """
        resource = Resource.create(
            {
                "service.name": service_name,
                "service.instance.id": f"{socket.gethostname()}-{os.getpid()}",
            }
        )
        self._exporter = _Collector(endpoint)
        self._provider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(sample_ratio)),
            resource=resource,
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(
            BatchSpanProcessor(
                self._exporter,
                max_queue_size=MAX_QUEUED,
                schedule_delay_millis=BATCH_SECONDS * 1_000,
                max_export_batch_size=MAX_BATCH,
            )
        )
        self._tracer = self._provider.get_tracer("tokensvc")

    def begin_request(self, traceparent: str, attributes: Attributes) -> Span:
        """The span of a request, which continues the trace of its header field, if that is valid.

        Nothing else of the trace is taken from the client: `tracestate` may have any text.
        """
        parent = _PROPAGATOR.extract({"traceparent": traceparent})
        span = self._tracer.start_span(
            "request", context=parent, kind=SpanKind.SERVER, attributes=dict(attributes)
        )
        return _Recorded(self._tracer, span)

    def close(self) -> None:
        """Send what is queued, if the collector takes it soon, and end the thread."""
        self._exporter.stop()
        self._provider.shutdown()


class _Recorded(Span):
    """A span of OpenTelemetry. One that is not sampled records nothing, and has a trace ID."""

    def __init__(self, tracer: trace.Tracer, span: trace.Span) -> None:
        self._tracer = tracer
        self._span = span
        self._context = trace.set_span_in_context(span)
        self.trace_id = trace.format_trace_id(span.get_span_context().trace_id)

    def begin(self, name: str, attributes: Attributes) -> Span:
        return _Recorded(self._tracer, self._child(name, attributes, began_at=None))

    def end(self, attributes: Attributes = NOTHING, *, error: str = "") -> None:
        _end(self._span, attributes, error)

    def rename(self, name: str) -> None:
        self._span.update_name(name)

    def note(self, name: str, seconds: float, attributes: Attributes, *, error: str = "") -> None:
        if self._span.get_span_context().trace_flags.sampled:
            began_at = time.time_ns() - int(seconds * 1e9)
            _end(self._child(name, attributes, began_at=began_at), NOTHING, error)

    def header_fields(self) -> Mapping[str, str]:
        fields: dict[str, str] = {}
        _PROPAGATOR.inject(fields, context=self._context)
        return fields

    def _child(self, name: str, attributes: Attributes, *, began_at: int | None) -> trace.Span:
        return self._tracer.start_span(
            name,
            context=self._context,
            kind=SpanKind.CLIENT,
            attributes=attributes,
            start_time=began_at,
        )


def _end(span: trace.Span, attributes: Attributes, error: str) -> None:
    span.set_attributes(attributes)
    if error:
        span.set_attribute("error.type", error)
        span.set_status(StatusCode.ERROR)
    span.end()


class _Collector(SpanExporter):
    """Sends spans to the collector, and logs now and then that it does not take them.

    The library logs each attempt. Its last line is kept as the reason, and not logged.
    """

    def __init__(self, endpoint: str) -> None:
        self._host = urlsplit(endpoint).netloc
        self._exporter = trace_exporter.OTLPSpanExporter(endpoint, timeout=EXPORT_SECONDS)
        self._stops_at = math.inf
        self._reported_at = -math.inf
        self._has_failed = False
        self._reason = ""
        self._attempts = logging.getLogger(trace_exporter.__name__)
        self._attempts.addFilter(self._keep_reason)

    def stop(self) -> None:
        """Send batches for a moment more."""
        self._stops_at = time.monotonic() + FLUSH_SECONDS

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        if time.monotonic() > self._stops_at:
            return SpanExportResult.FAILURE
        result = self._exporter.export(spans)
        if result is not SpanExportResult.SUCCESS:
            self._report()
        elif self._has_failed:
            self._has_failed = False
            _log.info("The collector of traces at %s takes spans again", self._host)
        return result

    def shutdown(self) -> None:
        self._attempts.removeFilter(self._keep_reason)
        self._exporter.shutdown()  # type: ignore[no-untyped-call] # It has no annotations.

    def _report(self) -> None:
        now = time.monotonic()
        if now - self._reported_at < REPORT_SECONDS:
            return
        self._has_failed = True
        self._reported_at = now
        _log.warning(
            "The collector of traces at %s takes no spans, so they are dropped: %s. Check"
            " tracing.endpoint and the collector.",
            self._host,
            self._reason,
        )

    def _keep_reason(self, record: logging.LogRecord) -> bool:
        self._reason = record.getMessage().rstrip(".")
        return False
