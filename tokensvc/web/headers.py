"""What every answer carries: the request's ID, and headers that suit an API without pages.

A route that wants others, such as the player page, sets its own and is left alone.
"""

from __future__ import annotations

import re
import uuid

from flask import Flask, Response, g, request

REQUEST_ID_HEADER = "X-Request-Id"
# What a proxy may name a request: nothing that could forge a line of a log.
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)

_DEFAULTS = {
    # Tokens open streams, and problems tell of grants: neither is for a cache.
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def install(app: Flask) -> None:
    """Make every answer of the app carry them."""
    app.after_request(_complete)


def request_id() -> str:
    """The ID of the request being served: the one that it came with, if it is one, or a new one."""
    if "request_id" not in g:
        offered = request.headers.get(REQUEST_ID_HEADER, "")
        g.request_id = offered if _REQUEST_ID.fullmatch(offered) else uuid.uuid4().hex
    return str(g.request_id)


def _complete(response: Response) -> Response:
    response.headers[REQUEST_ID_HEADER] = request_id()
    for name, value in _DEFAULTS.items():
        response.headers.setdefault(name, value)
    return response
