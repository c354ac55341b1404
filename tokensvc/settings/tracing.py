"""The section `[tracing]`: where traces are sent."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from tokensvc.settings.http_values import check_collector_url
from tokensvc.settings.section import Section


class TracingSettings(Section):
    """Traces for OpenTelemetry: a span for each request and for what it calls. Needs [otel]."""

    endpoint: Annotated[str, AfterValidator(check_collector_url)] | None = Field(
        default=None,
        description="URL of a collector that takes OTLP over HTTP. Without a path, /v1/traces is"
        " added. If not set, nothing is traced.",
        examples=["http://127.0.0.1:4318"],
    )
    sample_ratio: Annotated[float, Field(ge=0, le=1)] = Field(
        default=1.0,
        description="Part of the requests that is traced, from 0 to 1. A request that continues a"
        " trace is traced if that trace is.",
    )
    service_name: Annotated[str, StringConstraints(min_length=1)] = Field(
        default="tokensvc", description="Name of this service in traces."
    )
