"""The player page `/demo` and its backend, `POST /demo/playback-urls`, for loopback only.

The backend requires no API key: it acts as an application that has the grants of one caller.
Unauthenticated clients are kept out in three ways. The backend exists in demo mode only, which
binds to loopback. It accepts requests with a loopback Host header only, so that an attacker's host
name can't be resolved to it (DNS rebinding). It accepts POST requests from its own page only, so
that no other page in the browser can call it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, TypeVar
from urllib.parse import urlsplit

from flask import Blueprint, Response, jsonify, request
from pydantic import ConfigDict, Field, TypeAdapter, with_config

from tokensvc.errors import NotPermitted, Problem, SettingsInvalid
from tokensvc.playback.issuance import RequestContext
from tokensvc.settings.rules import is_loopback
from tokensvc.web.bodies import read_json, validate
from tokensvc.web.demo.urls import (
    Demo,
    DemoRequest,
    PageContext,
    TokenFault,
    refused_url,
    valid_url,
)
from tokensvc.web.headers import request_id

T = TypeVar("T")
MAX_BODY_BYTES = 1024


@with_config(ConfigDict(extra="forbid", strict=True))
@dataclass(frozen=True, slots=True)
class RefusedUrlRequest:
    """The page's request for a URL that IVS refuses because of this fault."""

    fault: Annotated[TokenFault, Field(strict=False)]  # JSON has no enumerations.


def create_blueprint(demo: Demo) -> Blueprint:
    """Return the page and its backend. Register it without a prefix, in demo mode only.

    Raises:
        SettingsInvalid: `demo.edge_origin` is not on loopback.
    """
    if not _is_on_loopback(demo.edge_origin):
        message = f"The demo plays from loopback only. {demo.edge_origin!r} is not on loopback."
        raise SettingsInvalid(message, problems=(Problem("edge_origin", "loopback", message),))
    headers = _security_headers(demo.edge_origin)
    valid_url_body = TypeAdapter(DemoRequest)
    refused_url_body = TypeAdapter(RefusedUrlRequest)
    blueprint = Blueprint("demo", __name__, static_folder="page", static_url_path="/demo/page")
    blueprint.before_request(_require_loopback_and_own_page)

    @blueprint.get("/demo")
    def page() -> Response:
        return blueprint.send_static_file("index.html")

    @blueprint.post("/demo/playback-urls")
    def playback_urls() -> Response:
        return jsonify(valid_url(demo, _read_body(valid_url_body), _page_context()).members())

    @blueprint.post("/demo/refused-urls")
    def refused_urls() -> Response:
        fault = _read_body(refused_url_body).fault
        return jsonify(playback_url=refused_url(demo, fault, _page_context()))

    @blueprint.after_request
    def harden(response: Response) -> Response:
        response.headers.update(headers)
        return response

    return blueprint


def _require_loopback_and_own_page() -> None:
    if not _is_on_loopback(request.host_url):
        raise NotPermitted(
            "The demo accepts requests with a loopback Host header only.",
            hint="Open /demo at http://127.0.0.1 and the service's port.",
        )
    # Browsers send Origin with every POST, and a page can't change it.
    if request.method == "POST" and request.headers.get("Origin") != _own_origin():
        raise NotPermitted(
            "The demo's backend accepts requests from the demo's own page only.",
            hint="Use `POST /v1/playback-urls` with an API key instead.",
        )


def _own_origin() -> str:
    return request.host_url.rstrip("/")


def _is_on_loopback(url: str) -> bool:
    try:
        return is_loopback(urlsplit(url).hostname or "")
    except ValueError:
        return False


def _read_body(form: TypeAdapter[T]) -> T:
    return validate(form, read_json(request, longest_bytes=MAX_BODY_BYTES))


def _page_context() -> PageContext:
    return PageContext(_own_origin(), RequestContext(request_id()))


def _security_headers(edge_origin: str) -> dict[str, str]:
    """Let the page load its own files, and playlists and video from the edge, and nothing else."""
    policy = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self'",
        "connect-src": f"'self' {edge_origin}",
        "media-src": edge_origin,
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    return {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "Cross-Origin-Opener-Policy": "same-origin",
    }
