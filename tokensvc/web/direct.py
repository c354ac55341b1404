"""Answers the requests for playback URLs ahead of Flask, whose routing costs more than a signature.

The answers are the same: both call `playback_urls.SingleUrl` and `playback_urls.Batch`, and the
HTTP tests run through both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from pydantic_core import to_json

from tokensvc.access import request_limits
from tokensvc.service import Service
from tokensvc.web import headers, problems
from tokensvc.web.playback_urls import Batch, BatchResults, SingleUrl

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_JSON: Final = "application/json"
_OK: Final = HTTPStatus.OK.value
_STATUS_LINES = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}


class DirectRoutes:
    """A WSGI application with two routes of its own; every other request goes to `others`."""

    def __init__(self, service: Service, others: WSGIApplication) -> None:
        self._single_url = SingleUrl(service)
        self._batch = Batch(service)
        self._others = others

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request (PEP 3333)."""
        if environ["REQUEST_METHOD"] == "POST":
            if environ["PATH_INFO"] == SingleUrl.path:
                return _answer(environ, start_response, self._answer_single)
            if environ["PATH_INFO"] == Batch.path:
                return _answer(environ, start_response, self._answer_batch)
        return self._others(environ, start_response)

    def _answer_single(self, environ: WSGIEnvironment, request_id: str) -> Iterable[bytes]:
        return [_encode(self._single_url(environ, request_id)) + b"\n"]

    def _answer_batch(self, environ: WSGIEnvironment, request_id: str) -> Iterable[bytes]:
        return _BatchJson(self._batch(environ, request_id))


class _BatchJson:
    """The body of a batch, one part for each result.

    A part that raises `MustWait` is made again by the next call.
    """

    def __init__(self, results: BatchResults) -> None:
        self._results = results
        self._before = b'{"results":['
        self._is_over = False

    def __iter__(self) -> _BatchJson:
        return self

    def __next__(self) -> bytes:
        if self._is_over:
            raise StopIteration
        try:
            result = next(self._results)
        except StopIteration:
            self._is_over = True
            return b"]}\n"
        if result is None:
            return b""
        part = self._before + _encode(result)
        self._before = b","
        return part


def _answer(
    environ: WSGIEnvironment,
    start_response: StartResponse,
    body_of: Callable[[WSGIEnvironment, str], Iterable[bytes]],
) -> Iterable[bytes]:
    request_id = headers.request_id_of(environ)
    fields = {**headers.DEFAULTS, "Content-Type": _JSON, headers.REQUEST_ID_HEADER: request_id}
    status = _OK
    try:
        body = body_of(environ, request_id)
    except Exception as raised:  # noqa: BLE001 # `public_error` logs it.
        error = problems.public_error(raised, request_id)
        status = error.http_status
        fields |= {"Content-Type": problems.MEDIA_TYPE, **problems.headers_of(error)}
        body = [_encode(problems.document(error, request_id)) + b"\n"]
    if request_limits.COUNTED in environ:
        fields |= request_limits.fields_of(environ)
    if isinstance(body, list):
        fields["Content-Length"] = str(sum(map(len, body)))
    start_response(_STATUS_LINES[status], list(fields.items()))
    return body


def _encode(document: Mapping[str, object]) -> bytes:
    return to_json(document)
