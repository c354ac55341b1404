"""The one shape of refusals: what every route's every error is held to."""

from __future__ import annotations

from typing import Any

from werkzeug.test import TestResponse

STATUS_OF_CODE = {
    "invalid_request": 400,
    "unauthenticated": 401,
    "not_entitled": 403,
    "not_permitted": 403,
    "channel_not_found": 404,
    "not_found": 404,
    "method_not_allowed": 405,
    "channel_not_private": 409,
    "body_too_large": 413,
    "unsupported_media_type": 415,
    "internal_error": 500,
    "no_signing_key": 503,
    "custody_unavailable": 503,
    "ivs_unavailable": 503,
    "state_unavailable": 503,
    "overloaded": 503,
}
REQUIRED = {"type", "title", "status", "code", "detail", "request_id"}
POSSIBLE = REQUIRED | {"hint", "errors", "retry_after_seconds", "checks"}


def assert_problem_document(document: Any, code: str) -> None:
    """The document is a problem of that code, with the members that it must and may have."""
    assert isinstance(document, dict)
    assert set(document) >= REQUIRED
    assert set(document) <= POSSIBLE
    assert document["code"] == code
    assert document["status"] == STATUS_OF_CODE[code]
    assert document["type"] == f"urn:problem-type:tokensvc:{code}"
    for member in ("title", "detail", "request_id", *({"hint"} & set(document))):
        assert isinstance(document[member], str)
        assert document[member]
    for error in document.get("errors", []):
        assert set(error) == {"field", "rule", "message"}
        assert error["rule"]
        assert error["message"]
    if STATUS_OF_CODE[code] == 503:
        assert document["retry_after_seconds"] >= 1


def assert_problem(response: TestResponse, code: str) -> dict[str, Any]:
    """The problem document of an answer that refuses with that code, headers and all."""
    document = response.get_json(force=True)
    assert_problem_document(document, code)
    assert response.status_code == STATUS_OF_CODE[code]
    assert response.content_type == "application/problem+json"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["X-Request-Id"] == document["request_id"]
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "Access-Control-Allow-Origin" not in response.headers
    if STATUS_OF_CODE[code] == 503:
        assert response.headers["Retry-After"] == str(document["retry_after_seconds"])
    else:
        assert "Retry-After" not in response.headers
    assert ("WWW-Authenticate" in response.headers) == (code == "unauthenticated")
    assert ("Allow" in response.headers) == (code == "method_not_allowed")
    assert isinstance(document, dict)
    return document
