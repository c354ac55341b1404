"""The format of problem documents, and their texts, for the tests of all routes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from werkzeug.test import TestResponse

from tokensvc.web.openapi.operations import OPERATIONS

STATUS_OF_CODE = {
    "invalid_request": 400,
    "unauthenticated": 401,
    "not_entitled": 403,
    "country_not_allowed": 403,
    "not_permitted": 403,
    "viewer_banned": 403,
    "viewer_revoked": 403,
    "channel_not_found": 404,
    "not_found": 404,
    "method_not_allowed": 405,
    "channel_not_private": 409,
    "body_too_large": 413,
    "unsupported_media_type": 415,
    "rate_limited": 429,
    "internal_error": 500,
    "no_signing_key": 503,
    "custody_unavailable": 503,
    "ivs_unavailable": 503,
    "issuer_unavailable": 503,
    "clock_off": 503,
    "state_unavailable": 503,
    "schema_unsupported": 503,
    "audit_unavailable": 503,
    "entitlement_unavailable": 503,
    "overloaded": 503,
    "draining": 503,
}
TITLE_OF_CODE = {
    "invalid_request": "Invalid request",
    "unauthenticated": "Authentication required",
    "not_entitled": "Not entitled",
    "country_not_allowed": "Not available in this country",
    "not_permitted": "The caller lacks a scope",
    "viewer_banned": "Banned",
    "viewer_revoked": "Viewer sessions revoked",
    "channel_not_found": "Channel not found",
    "not_found": "Not found",
    "method_not_allowed": "Method not allowed",
    "channel_not_private": "The channel is public",
    "body_too_large": "Request body too large",
    "unsupported_media_type": "Unsupported media type",
    "internal_error": "Internal error",
    "no_signing_key": "No signing key in this region",
    "custody_unavailable": "Private key custody unavailable",
    "ivs_unavailable": "Amazon IVS unavailable",
    "issuer_unavailable": "Identity provider unavailable",
    "rate_limited": "Too many requests",
    "clock_off": "The clock is off",
    "state_unavailable": "Shared state unavailable",
    "schema_unsupported": "State of a newer release",
    "audit_unavailable": "Audit log unavailable",
    "entitlement_unavailable": "Entitlement hook unavailable",
    "overloaded": "Service overloaded",
    "draining": "Service stopping",
}
CODES_OF_OPERATIONS = {
    (each.method.upper(), each.path): {kind.code for kind in each.all_refusals}
    for each in OPERATIONS
}
REQUIRED = {"type", "title", "status", "code", "detail", "request_id"}
POSSIBLE = REQUIRED | {"hint", "errors", "errors_omitted", "retry_after_seconds", "checks"}


def assert_problem_document(document: Any, code: str) -> None:
    """Assert that the document is a problem with that code and only the documented members."""
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
    if STATUS_OF_CODE[code] in {429, 503}:
        assert document["retry_after_seconds"] >= 1


def assert_problem(response: TestResponse, code: str) -> dict[str, Any]:
    """Assert that the response is a problem with that code, and return the document."""
    document = response.get_json(force=True)
    assert_problem_document(document, code)
    assert response.status_code == STATUS_OF_CODE[code]
    assert response.content_type == "application/problem+json"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["X-Request-Id"] == document["request_id"]
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "Access-Control-Allow-Origin" not in response.headers
    retry_after = document.get("retry_after_seconds")
    assert response.headers.get("Retry-After") == (retry_after and str(retry_after))
    assert ("WWW-Authenticate" in response.headers) == (code == "unauthenticated")
    assert ("Allow" in response.headers) == (code == "method_not_allowed")
    # The OpenAPI document says which codes a route can answer with.
    of_route = CODES_OF_OPERATIONS.get((response.request.method, response.request.path))
    assert of_route is None or code in of_route
    assert isinstance(document, dict)
    return document


@dataclass(frozen=True)
class Text:
    """The whole text of a problem.

    Attributes:
        errors: the field, rule and message of each entry of `errors`.
    """

    status: int
    code: str
    title: str
    detail: str
    hint: str | None = None
    errors: tuple[tuple[str, str, str], ...] = ()

    @classmethod
    def of(cls, document: dict[str, Any]) -> Text:
        """The text of that document."""
        listed = [(one["field"], one["rule"], one["message"]) for one in document.get("errors", [])]
        return cls(
            document["status"],
            document["code"],
            document["title"],
            document["detail"],
            document.get("hint"),
            tuple(listed),
        )


def problem(code: str, detail: str, hint: str | None = None, *errors: tuple[str, str, str]) -> Text:
    """The text of a problem with that code."""
    return Text(STATUS_OF_CODE[code], code, TITLE_OF_CODE[code], detail, hint, errors)


def invalid(field: str, rule: str, message: str, hint: str | None = None) -> Text:
    """The text of a problem with one wrong field, whose message is also the detail."""
    return problem("invalid_request", message, hint, (field, rule, message))


def unavailable(code: str, detail: str) -> Text:
    """The text of a temporary error, which always has the same hint."""
    hint = (
        "Try again after `retry_after_seconds`. If the error persists, report the `request_id` to"
        " an operator of the service."
    )
    return problem(code, detail, hint)


def not_ready(code: str, *causes: tuple[str, str, str]) -> Text:
    """The text of /readyz with these causes."""
    detail = "The service can't process every request right now; `errors` lists each cause."
    hint = "Run `tokensvc keys doctor` on a host of the service."
    return problem(code, detail, hint, *causes)
