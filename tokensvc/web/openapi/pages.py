"""`GET /openapi.json`: the OpenAPI document. `GET /docs`: the same as a page, by Swagger UI.

The files of Swagger UI come from an installed package, and the page loads nothing from elsewhere.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import resources
from typing import Final

from flask import Blueprint, Response, abort, request

from tokensvc.waiting import may_wait
from tokensvc.web.openapi.document import text

MAX_AGE_SECONDS: Final = 3_600

_SWAGGER_UI: Final = "templates/swagger"
"""The folder of Swagger UI in the package flask-openapi-swagger."""

_CSS: Final = "text/css; charset=utf-8"
_JAVASCRIPT: Final = "text/javascript; charset=utf-8"
_ASSETS: Final = {
    "swagger-ui.css": ("flask_openapi_swagger", f"{_SWAGGER_UI}/css/swagger-ui.css", _CSS),
    "swagger-ui-bundle.js": (
        "flask_openapi_swagger",
        f"{_SWAGGER_UI}/js/swagger-ui-bundle.js",
        _JAVASCRIPT,
    ),
    "page.css": ("tokensvc.web", "static/docs.css", _CSS),
}
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The scripts and styles of Swagger UI are files of this origin, and its icons `data:` URLs."""

_PAGE: Final = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>tokensvc: the HTTP API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/swagger-ui.css">
<link rel="stylesheet" href="docs/page.css">
<div id="api"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</html>
"""
_START: Final = """\
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#api",
  deepLinking: true,
  persistAuthorization: false,
  validatorUrl: null,
});
"""


def create_blueprint() -> Blueprint:
    """The blueprint with these routes."""
    routes = Blueprint("openapi", __name__)
    document = cache(text)

    @routes.get("/openapi.json")
    def openapi() -> Response:
        may_wait()  # To make the document takes longer than a turn of the event loop may.
        answer = _cached(document(), "application/json")
        # The document says nothing secret, and tools of any origin may read it.
        answer.headers["Access-Control-Allow-Origin"] = "*"
        answer.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        return answer

    @routes.get("/docs")
    def page() -> Response:
        answer = Response(_PAGE, content_type="text/html; charset=utf-8")
        answer.headers["Content-Security-Policy"] = _POLICY
        return answer

    @routes.get("/docs/<name>")
    def asset(name: str) -> Response:
        if name == "start.js":
            return _cached(_START, _JAVASCRIPT)
        if name not in _ASSETS:
            abort(404)
        package, path, content_type = _ASSETS[name]
        may_wait()  # It reads a file.
        file = resources.files(package).joinpath(path)
        return _cached(file.read_text(encoding="utf-8"), content_type)

    return routes


def _cached(content: str, content_type: str) -> Response:
    data = content.encode()
    answer = Response(data, content_type=content_type)
    answer.set_etag(hashlib.sha256(data).hexdigest()[:32])
    answer.headers["Cache-Control"] = f"public, max-age={MAX_AGE_SECONDS}"
    answer.make_conditional(request)
    answer.headers.pop("Date")  # `make_conditional` sets it, and every server does too.
    return answer
