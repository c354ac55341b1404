"""The span of each request that a worker answers: which route, with which status and code.

Requests that are refused before their turn, preflights and probes have none.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from pydantic_core import from_json

from tokensvc.spans import Attributes, Span, within
from tokensvc.web.headers import ROUTE, request_id_of
from tokensvc.web.http1 import Response
from tokensvc.web.overload import ALWAYS_ANSWERED
from tokensvc.web.playback_urls import Batch, SingleUrl

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

T = TypeVar("T")

SPAN: Final = "tokensvc.span"
"""The environ key with the span of a request that is traced."""

_DIRECT: Final = (SingleUrl.path, Batch.path)
_METHODS: Final = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
_FIRST_REFUSAL: Final = 400
_FIRST_SERVER_ERROR: Final = 500


class Traces(Protocol):
    """Records spans."""

    def begin_request(self, traceparent: str, attributes: Attributes) -> Span:
        """The span of a request, which continues the trace of that header field, if it is valid."""
        ...


class RequestSpans:
    """The spans of the requests of one worker."""

    def __init__(self, traces: Traces) -> None:
        self._traces = traces

    def begin(self, environ: WSGIEnvironment, step: Callable[[], T]) -> Callable[[], T]:
        """Begin the span of a request. The step is a part of it, and is returned as `continued`."""
        if environ["PATH_INFO"].endswith(ALWAYS_ANSWERED):
            return step
        method = environ["REQUEST_METHOD"]
        environ[SPAN] = self._traces.begin_request(
            environ.get("HTTP_TRACEPARENT", ""),
            {
                "http.request.method": method if method in _METHODS else "_OTHER",
                "tokensvc.request_id": request_id_of(environ),
            },
        )
        return self.continued(environ, step)

    def continued(self, environ: WSGIEnvironment, step: Callable[[], T]) -> Callable[[], T]:
        """The step, with the span of the request as the current one, in whatever thread it runs."""
        span = environ.get(SPAN)
        return step if span is None else partial(_run_within, span, step)

    def end(self, environ: WSGIEnvironment, response: Response | None) -> None:
        """End the span of a request; without a response if the client has left before."""
        span: Span | None = environ.get(SPAN)
        if span is None:
            return
        method = environ["REQUEST_METHOD"]
        name = method if method in _METHODS else "HTTP"
        attributes: dict[str, str | int] = {}
        if route := _route_of(environ):
            attributes["http.route"] = route
        span.rename(f"{name} {route}".rstrip())
        if response is None:
            span.end(attributes, error="client_left")
            return
        attributes["http.response.status_code"] = response.status
        code = _code_of(response) if response.status >= _FIRST_REFUSAL else ""
        if code:
            attributes["tokensvc.code"] = code
        # As OpenTelemetry has it: a refusal of what the client sent is no error of this service.
        has_failed = response.status >= _FIRST_SERVER_ERROR
        span.end(attributes, error=code or str(response.status) if has_failed else "")


def _route_of(environ: WSGIEnvironment) -> str:
    """The path of the route, without what clients name in it; "" for a path that has no route."""
    path: str = environ["PATH_INFO"]
    return environ.get(ROUTE) or (path if path in _DIRECT else "")


def _code_of(response: Response) -> str:
    """The code in the problem document that the response is; "" if it is none."""
    with suppress(ValueError):
        document = from_json(b"".join(response.parts))
        if isinstance(document, dict):
            return str(document.get("code", ""))
    return ""


def _run_within(span: Span, step: Callable[[], T]) -> T:
    with within(span):
        return step()
