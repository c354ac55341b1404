"""Refusals of the example backend: problem documents (RFC 9457), like those of tokensvc."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus

from flask import Flask, Response, json
from werkzeug.exceptions import HTTPException

MEDIA_TYPE = "application/problem+json"


class Refusal(Exception):
    """The backend refuses a request, with this HTTP status and problem document."""

    def __init__(self, status: int, document: Mapping[str, object]) -> None:
        super().__init__(str(document.get("detail", "")))
        self.status = status
        self.document = document


def refusal(
    status: HTTPStatus,
    code: str,
    detail: str,
    *,
    hint: str = "",
    errors: Sequence[Mapping[str, str]] = (),
) -> Refusal:
    """Return a refusal with a problem document of this backend's own."""
    document: dict[str, object] = {
        "title": status.phrase,
        "status": int(status),
        "code": code,
        "detail": detail,
    }
    if hint:
        document["hint"] = hint
    if errors:
        document["errors"] = errors
    return Refusal(status, document)


def invalid_member(name: str, rule: str, message: str) -> Refusal:
    """Return the refusal of a request body with one wrong member. "" is the body itself."""
    error = {"field": name, "rule": rule, "message": message}
    return refusal(HTTPStatus.BAD_REQUEST, "invalid_request", message, errors=[error])


def install(app: Flask) -> None:
    """Answer every refusal, and every error of Flask, with a problem document."""

    @app.errorhandler(Refusal)
    def refused(raised: Refusal) -> Response:
        return _response(raised)

    @app.errorhandler(HTTPException)
    def failed(raised: HTTPException) -> Response:
        # Flask's own errors: an unknown path, a body that is too large, an internal error.
        code = re.sub(r"[^a-z]+", "_", raised.name.lower())
        status = HTTPStatus(raised.code or HTTPStatus.INTERNAL_SERVER_ERROR)
        response = _response(refusal(status, code, raised.description or raised.name))
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            response.headers["Allow"] = dict(raised.get_headers())["Allow"]
        return response


def _response(raised: Refusal) -> Response:
    return Response(json.dumps(raised.document), status=raised.status, content_type=MEDIA_TYPE)
