"""The section [tracing]: the URL of a collector."""

from __future__ import annotations

import pytest

from tests.settings.files import MINIMAL, Load
from tokensvc.errors import SettingsInvalid


def test_without_the_section_nothing_is_traced(load: Load) -> None:
    """And every request is, once there is a collector."""
    tracing = load(MINIMAL).tracing
    assert (tracing.endpoint, tracing.sample_ratio, tracing.service_name) == (None, 1.0, "tokensvc")


@pytest.mark.parametrize(
    ("url", "endpoint"),
    [
        ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
        ("http://collector:4318/", "http://collector:4318/v1/traces"),
        ("https://collector.example.com/otlp/v1/traces", None),
        ("http://[::1]:4318/v1/traces", None),
    ],
)
def test_the_usual_path_is_added(load: Load, url: str, endpoint: str | None) -> None:
    """Only if there is none."""
    settings = load(MINIMAL, {"TOKENSVC_TRACING__ENDPOINT": url})
    assert settings.tracing.endpoint == (endpoint or url)


@pytest.mark.parametrize(
    "url",
    [
        "collector:4318",
        "grpc://collector:4317",
        "http://",
        "http://user:secret@collector",
        "http://collector?key=secret",
        "http://collector#here",
        "http://collector:99999",
        "http://cöllector",
        "http://collector /v1/traces",
    ],
)
def test_what_is_no_url_of_a_collector(load: Load, url: str) -> None:
    """A secret belongs into OTEL_EXPORTER_OTLP_HEADERS."""
    with pytest.raises(SettingsInvalid) as caught:
        load(MINIMAL, {"TOKENSVC_TRACING__ENDPOINT": url})
    (problem,) = caught.value.problems
    assert problem.field.startswith("tracing.endpoint ")  # And the variable.
    assert "secret" not in problem.message
