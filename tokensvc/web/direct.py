"""Answers `POST /v1/playback-urls` ahead of Flask, whose routing costs more than the signature.

The answer is the same: both call `playback_urls.SingleUrl`, and the HTTP tests run through both.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING

from tokensvc.service import Service
from tokensvc.web import headers, problems
from tokensvc.web.front import OVERLOADED
from tokensvc.web.playback_urls import SingleUrl

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_STATUS_LINES = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}


class DirectRoute:
    """A WSGI application with one route of its own; every other request goes to `others`."""

    def __init__(self, service: Service, others: WSGIApplication) -> None:
        self._single_url = SingleUrl(service)
        self._others = others

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request (PEP 3333)."""
        is_direct = (
            environ["PATH_INFO"] == SingleUrl.path
            and environ["REQUEST_METHOD"] == "POST"
            and OVERLOADED not in environ
        )
        if not is_direct:
            return self._others(environ, start_response)
        request_id = headers.request_id_of(environ)
        try:
            members = self._single_url(environ, request_id)
        except Exception as raised:  # noqa: BLE001 # `public_error` logs it.
            error = problems.public_error(raised, request_id)
            return _answer(
                start_response,
                error.http_status,
                problems.MEDIA_TYPE,
                problems.document(error, request_id),
                problems.headers_of(error) | {headers.REQUEST_ID_HEADER: request_id},
            )
        return _answer(
            start_response,
            HTTPStatus.OK,
            "application/json",
            members,
            {headers.REQUEST_ID_HEADER: request_id},
        )


def _answer(
    start_response: StartResponse,
    status: int,
    media_type: str,
    document: Mapping[str, object],
    more_headers: Mapping[str, str],
) -> Iterable[bytes]:
    body = json.dumps(document, separators=(",", ":")).encode() + b"\n"
    all_headers = {
        **headers.DEFAULTS,
        "Content-Type": media_type,
        "Content-Length": str(len(body)),
        **more_headers,
    }
    start_response(_STATUS_LINES[status], list(all_headers.items()))
    return [body]
