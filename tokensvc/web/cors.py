"""Lets pages of the allowed origins request playback URLs (CORS, the Fetch standard).

Only the routes for playback URLs answer with CORS, and only to the exact origins of the settings.
Credentials that a browser adds by itself, such as cookies, are never allowed: a page sends its
token in `Authorization`. What the server refuses before the application sees the request carries
the same fields, so that a page can read why.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from tokensvc.web import headers
from tokensvc.web.http1 import FieldParser, Response
from tokensvc.web.playback_urls import Batch, SingleUrl

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

PATHS: Final = (SingleUrl.path, Batch.path)
"""The routes for browsers. Under any prefix of the path."""

MAX_AGE_SECONDS: Final = 7_200
"""How long a browser remembers that it may send such requests: the most that Chromium accepts."""

_PREFLIGHT: Final = {
    "Access-Control-Allow-Methods": "POST",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, X-Request-Id",
    "Access-Control-Max-Age": str(MAX_AGE_SECONDS),
}
_EXPOSED: Final = "Retry-After, X-Request-Id, RateLimit, RateLimit-Policy"
_RESOURCE_POLICY: Final = "Cross-Origin-Resource-Policy"


class Cors:
    """The CORS fields of answers, for the origins of the settings."""

    def __init__(self, allowed_origins: Iterable[str]) -> None:
        self._allowed = frozenset(allowed_origins)

    def fields(self, environ: WSGIEnvironment) -> Mapping[str, str]:
        """The fields of the answer to that request; none for other routes."""
        return self._fields(environ["PATH_INFO"], environ.get("HTTP_ORIGIN", ""))

    def fields_of_refused(self, parser: FieldParser) -> Mapping[str, str]:
        """The fields of the answer to a request of which only that was read.

        If it was refused before its origin was read, the only allowed origin is taken for it: its
        page could not read the refusal otherwise, and the answer has nothing secret.
        """
        path = (parser.path or b"").partition(b"?")[0].decode("latin-1")
        read = dict(parser.headers or parser.read_so_far())
        is_whole = bool(parser.headers)
        fallback = "" if is_whole or len(self._allowed) != 1 else next(iter(self._allowed))
        return self._fields(path, read.get(b"origin", fallback.encode()).decode("latin-1"))

    def preflight(self, environ: WSGIEnvironment) -> Response | None:
        """The answer to a preflight of an allowed origin; None for any other request."""
        if environ["REQUEST_METHOD"] != "OPTIONS":
            return None
        fields = self.fields(environ)
        is_asked = "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ
        if not is_asked or "Access-Control-Allow-Origin" not in fields:
            return None
        request_id = {headers.REQUEST_ID_HEADER: headers.request_id_of(environ)}
        answered = {**headers.DEFAULTS, **request_id, **fields, **_PREFLIGHT}
        return Response(HTTPStatus.NO_CONTENT, list(answered.items()), [])

    @staticmethod
    def added_to(response: Response, fields: Mapping[str, str]) -> Response:
        """The response with these fields, which replace those of the same name."""
        kept = [(name, value) for name, value in response.headers if name not in fields]
        return replace(response, headers=[*kept, *fields.items()])

    def _fields(self, path: str, origin: str) -> Mapping[str, str]:
        if not path.endswith(PATHS):
            return {}
        if origin not in self._allowed:
            return {"Vary": "Origin"}
        return {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Expose-Headers": _EXPOSED,
            _RESOURCE_POLICY: "cross-origin",
            "Vary": "Origin",
        }


class CorsApplication:
    """A WSGI application with CORS, for any server."""

    def __init__(self, application: WSGIApplication, cors: Cors) -> None:
        self._application = application
        self._cors = cors

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request (PEP 3333)."""
        preflight = self._cors.preflight(environ)
        if preflight is not None:
            start_response("204 No Content", preflight.headers)
            return []
        fields = self._cors.fields(environ)

        def start(status: str, answer: list[tuple[str, str]], *exc_info: Any) -> Any:
            kept = [(name, value) for name, value in answer if name not in fields]
            return start_response(status, [*kept, *fields.items()], *exc_info)

        return self._application(environ, start if fields else start_response)
