"""The section `[metrics]`: where Prometheus reads the metrics."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from tokensvc.settings.section import Section


class MetricsSettings(Section):
    """Metrics for Prometheus, on an address of their own. Don't publish it: it has no login."""

    host: Annotated[str, StringConstraints(min_length=1)] = Field(
        default="127.0.0.1", description="Address on which /metrics is served."
    )
    port: Annotated[int, Field(ge=1, le=65_535)] | None = Field(
        default=None,
        description="Port on which /metrics is served. If not set, nothing is measured.",
        examples=[9464],
    )
