"""Headers of every response: the request ID, and the security headers of an API without pages.

A route that needs different headers, such as a page, sets its own; they are kept.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from flask import Flask, Response, g, request

from tokensvc.access.request_limits import fields_of

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

REQUEST_ID_HEADER = "X-Request-Id"
ROUTE: Final = "tokensvc.route"
"""The environ key with the path of a route of Flask, without what the client names in it."""

# The form of a request ID that is accepted from outside: no character that could forge a log line,
# and not the secret of an API key.
_REQUEST_ID = re.compile(r"(?![0-9A-Fa-f]{64})[A-Za-z0-9._-]{1,64}", re.ASCII)

DEFAULTS = {
    # Tokens start streams, and problem documents name grants: no cache may store them.
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def install(app: Flask) -> None:
    """Add these headers to every response of the app."""
    app.after_request(_add_headers)


def request_id() -> str:
    """The ID of the current request: the one in its X-Request-Id header if valid, or a new one."""
    if "request_id" not in g:
        g.request_id = request_id_of(request.environ)
    return str(g.request_id)


def request_id_of(environ: WSGIEnvironment) -> str:
    """The ID in the X-Request-Id header if it is valid, or a new one, which is put there."""
    offered = str(environ.get("HTTP_X_REQUEST_ID", ""))
    if _REQUEST_ID.fullmatch(offered):
        return offered
    # A request that must wait runs again, with the same ID.
    environ["HTTP_X_REQUEST_ID"] = made = os.urandom(16).hex()
    return made


def _add_headers(response: Response) -> Response:
    response.headers[REQUEST_ID_HEADER] = request_id()
    if request.url_rule is not None:
        request.environ[ROUTE] = request.url_rule.rule
    response.headers.update(fields_of(request.environ))
    for name, value in DEFAULTS.items():
        response.headers.setdefault(name, value)
    return response
