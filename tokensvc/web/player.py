"""`GET /v1/player.js`: the module for pages that play private channels (docs/players.md).

It is public, and a page of any origin may import it: a browser loads modules with CORS.
"""

from __future__ import annotations

import hashlib
from importlib import resources

from flask import Blueprint, Response, request

MAX_AGE_SECONDS = 3_600
"""For how long a browser plays with the module of the release before."""


def create_blueprint() -> Blueprint:
    """The blueprint with the route."""
    routes = Blueprint("player", __name__)
    module = resources.files("tokensvc.web").joinpath("static/player.js").read_bytes()
    etag = hashlib.sha256(module).hexdigest()[:32]

    @routes.get("/v1/player.js")
    def player() -> Response:
        answer = Response(module, content_type="text/javascript; charset=utf-8")
        answer.set_etag(etag)
        answer.headers["Cache-Control"] = f"public, max-age={MAX_AGE_SECONDS}"
        answer.headers["Access-Control-Allow-Origin"] = "*"
        answer.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        answer.make_conditional(request)
        answer.headers.pop("Date")  # `make_conditional` sets it, and every server does too.
        return answer

    return routes
