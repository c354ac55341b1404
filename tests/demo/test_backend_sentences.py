"""The whole text of every refusal of the example backend, in one table for a reviewer.

All other tests of the backend assert codes, fields, rules and data only. The refusals of the
service, which the backend passes on, have a table of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from demo.backend import create_app
from demo.configuration import Configuration
from tests.demo.site import served

PAGE = "http://127.0.0.1"
PLAYBACK, REFUSED = "/playback-urls", "/refused-urls"
NO_SERVICE = "http://127.0.0.1:9"


def problem(
    status: int, title: str, code: str, detail: str, hint: str | None = None
) -> dict[str, object]:
    """A problem document without wrong members."""
    document = {"status": status, "title": title, "code": code, "detail": detail}
    return document | ({} if hint is None else {"hint": hint})


def invalid(field: str, rule: str, message: str) -> dict[str, object]:
    """The problem document of a body with one wrong member."""
    errors = [{"field": field, "rule": rule, "message": message}]
    return problem(400, "Bad Request", "invalid_request", message) | {"errors": errors}


REFUSALS: list[tuple[tuple[str, str], dict[str, Any], dict[str, object]]] = [
    (
        ("POST", PLAYBACK),
        {"headers": {"Origin": "https://evil.example"}, "json": {}},
        problem(
            403,
            "Forbidden",
            "not_permitted",
            "The demo's backend accepts requests from the demo's own page only.",
            "Call `POST /v1/playback-urls` of tokensvc with an API key instead.",
        ),
    ),
    (
        ("GET", "/"),
        {"headers": {"Host": "attacker.example"}},
        problem(
            403,
            "Forbidden",
            "not_permitted",
            "The demo accepts requests with a loopback Host header only.",
            "Open the page at http://127.0.0.1 and the demo's port.",
        ),
    ),
    (
        ("POST", PLAYBACK),
        {"json": []},
        invalid("", "json_object", "The body must be a JSON object."),
    ),
    (
        ("POST", PLAYBACK),
        {"json": {"channel": "other"}},
        invalid("channel", "unknown_field", "'channel' is not allowed in this request."),
    ),
    (
        ("POST", REFUSED),
        {"json": {"fault": "mood"}},
        invalid("fault", "enum", "fault must be one of: expired, other-channel, unknown-key."),
    ),
    (
        ("POST", PLAYBACK),
        {"json": {}},
        problem(
            503,
            "Service Unavailable",
            "service_unavailable",
            "The service tokensvc does not respond.",
            "Check that it is still running, and read its log.",
        ),
    ),
]


@pytest.fixture
def client() -> FlaskClient:
    """The backend of a service that is not running."""
    return create_app(_configuration(NO_SERVICE)).test_client()


@pytest.fixture
def service_with_public_channels() -> Iterator[str]:
    """The URL of a service that returns plain URLs."""
    service = Flask("service")
    plain = {"playback_url": "http://127.0.0.1:1/a.m3u8", "token": None}
    service.post("/v1/playback-urls")(lambda: plain)
    with served(service) as url:
        yield url


def _configuration(service_url: str) -> Configuration:
    return Configuration(
        service_url=service_url,
        api_key="tsk_1",
        channel="demo",
        other_channel="other",
        edge_url="http://127.0.0.1:8001",
        moderator_key="tsk_moderator",
        issuer_url="http://127.0.0.1:8003",
    )


@pytest.mark.parametrize(("request_line", "options", "expected"), REFUSALS)
def test_each_refusal_has_its_sentences(
    client: FlaskClient,
    request_line: tuple[str, str],
    options: dict[str, Any],
    expected: dict[str, object],
) -> None:
    """What happened, then what to do."""
    method, path = request_line
    headers = {"Host": "127.0.0.1", "Origin": PAGE} | options.get("headers", {})
    response = client.open(path, method=method, **options | {"headers": headers})
    assert response.status_code == expected["status"]
    assert response.content_type == "application/problem+json"
    assert response.get_json(force=True) == expected


def test_a_public_other_channel_has_its_sentences(service_with_public_channels: str) -> None:
    """It has no token that the page could show."""
    response = (
        create_app(_configuration(service_with_public_channels))
        .test_client()
        .post(
            REFUSED,
            json={"fault": "other-channel"},
            headers={"Host": "127.0.0.1", "Origin": PAGE},
        )
    )
    assert response.get_json(force=True) == problem(
        409,
        "Conflict",
        "channel_not_private",
        "The channel other is public, so it has no tokens.",
        "Make it private: run `tokensvc channels protect other`.",
    )
