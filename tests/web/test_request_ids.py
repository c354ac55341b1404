"""The ID of a request: of the client, or a new one."""

from __future__ import annotations

import pytest

from tests.support.deployment import Deployment


@pytest.mark.parametrize("request_id", ["a", "Root=1-67891233-abc".replace("=", "-"), 64 * "x"])
def test_the_request_id_of_the_client_is_used(deployment: Deployment, request_id: str) -> None:
    """In the response and in the audit."""
    response = deployment.client().post(
        "/v1/playback-urls",
        json={"channel": "demo"},
        headers={"Authorization": f"Bearer {deployment.key}", "X-Request-Id": request_id},
    )
    assert response.headers["X-Request-Id"] == request_id
    assert [event.request_id for event in deployment.audit.events] == [request_id]


@pytest.mark.parametrize(
    "offered",
    ["", 65 * "x", "two words", "tab\there", "ü", "a;b", '"a"', 64 * "f", 64 * "F"],
)
def test_an_invalid_request_id_is_replaced(deployment: Deployment, offered: str) -> None:
    """By 32 hex digits, new for each request: it can't forge a log line, nor log a secret."""
    answers = [
        deployment.client()
        .get("/healthz", headers={"X-Request-Id": offered})
        .headers["X-Request-Id"]
        for _ in range(2)
    ]
    assert len(set(answers)) == 2
    assert all(len(answer) == 32 and int(answer, 16) for answer in answers)
