"""A collector of traces: a real receiver of OTLP over HTTP, and the spans that it was sent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2

from tests.support.webhook_receiver import Message

Value = str | int | float | bool


@dataclass(frozen=True)
class ReceivedSpan:
    """A span as a collector reads it.

    Attributes:
        name: its name.
        kind: "SERVER" or "CLIENT".
        trace_id: the trace, in hex.
        span_id: the span, in hex.
        parent_id: the span of which it is a part, in hex; "" if there is none.
        attributes: what it says.
        is_error: whether its status is an error.
        resource: what its process says of itself.
    """

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    attributes: dict[str, Value]
    is_error: bool
    resource: dict[str, Value]


def received_spans(messages: Iterable[Message]) -> Sequence[ReceivedSpan]:
    """The spans in these messages."""
    return [
        ReceivedSpan(
            name=span.name,
            kind=trace_pb2.Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
            trace_id=span.trace_id.hex(),
            span_id=span.span_id.hex(),
            parent_id=span.parent_span_id.hex(),
            attributes=_values(span.attributes),
            is_error=span.status.code == trace_pb2.Status.STATUS_CODE_ERROR,
            resource=_values(group.resource.attributes),
        )
        for message in messages
        for group in ExportTraceServiceRequest.FromString(message.body).resource_spans
        for scope in group.scope_spans
        for span in scope.spans
    ]


def received_text(messages: Iterable[Message]) -> str:
    """Everything that a collector was sent, as text."""
    return "\n".join(str(ExportTraceServiceRequest.FromString(each.body)) for each in messages)


def _values(attributes: Iterable[KeyValue]) -> dict[str, Value]:
    return {
        each.key: getattr(each.value, each.value.WhichOneof("value") or "") for each in attributes
    }
