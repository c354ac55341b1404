"""The player page `/demo` and its backend, `POST /demo/playback-urls`, for loopback only.

The backend asks for no API key: it is itself the application that holds one caller's grants. What
keeps strangers out is that it exists in demo mode only, which binds to loopback; that it answers to
a loopback Host alone, so that no name of an attacker's can be pointed at it (DNS rebinding); and
that it takes posts from its own page alone, so that no other page in the browser can ask.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, TypeVar
from urllib.parse import urlsplit

from flask import Blueprint, Response, jsonify, request
from pydantic import ConfigDict, Field, TypeAdapter, with_config

from tokensvc.errors import NotPermitted, Problem, SettingsInvalid
from tokensvc.playback.issuance import Circumstances
from tokensvc.settings.rules import is_loopback
from tokensvc.web.bodies import checked, read_json
from tokensvc.web.demo.urls import Demo, DemoRequest, Fault, Visit, good_url, refused_url
from tokensvc.web.headers import request_id

T = TypeVar("T")
LONGEST_BODY_BYTES = 1024


@with_config(ConfigDict(extra="forbid", strict=True))
@dataclass(frozen=True, slots=True)
class RefusedDemoRequest:
    """What the page asks of a URL that doesn't play: what is to be wrong with it."""

    fault: Annotated[Fault, Field(strict=False)]  # JSON has no enumerations.


def create_blueprint(demo: Demo) -> Blueprint:
    """The page and its backend, to be registered without a prefix, in demo mode only.

    Raises:
        SettingsInvalid: when `demo.edge_origin` is not on loopback.
    """
    if not _is_on_loopback(demo.edge_origin):
        message = f"The demo plays from loopback only, which {demo.edge_origin!r} is not."
        raise SettingsInvalid(message, problems=(Problem("edge_origin", "loopback", message),))
    headers = _security_headers(demo.edge_origin)
    demo_request_form = TypeAdapter(DemoRequest)
    refused_form = TypeAdapter(RefusedDemoRequest)
    blueprint = Blueprint("demo", __name__, static_folder="page", static_url_path="/demo/page")
    blueprint.before_request(_refuse_strangers)

    @blueprint.get("/demo")
    def page() -> Response:
        return blueprint.send_static_file("index.html")

    @blueprint.post("/demo/playback-urls")
    def playback_urls() -> Response:
        return jsonify(good_url(demo, _asked(demo_request_form), _visit()).members())

    @blueprint.post("/demo/refused-urls")
    def refused_urls() -> Response:
        fault = _asked(refused_form).fault
        return jsonify(playback_url=refused_url(demo, fault, _visit()))

    @blueprint.after_request
    def harden(response: Response) -> Response:
        response.headers.update(headers)
        return response

    return blueprint


def _refuse_strangers() -> None:
    if not _is_on_loopback(request.host_url):
        raise NotPermitted(
            "The demo answers to names of this machine only.",
            hint="Open http://127.0.0.1 with the service's port, /demo.",
        )
    # Browsers send Origin with every POST, and no page can forge it.
    if request.method == "POST" and request.headers.get("Origin") != _own_origin():
        raise NotPermitted(
            "The demo's backend serves the demo's own page only.",
            hint="Ask POST /v1/playback-urls with an API key instead.",
        )


def _own_origin() -> str:
    return request.host_url.rstrip("/")


def _is_on_loopback(url: str) -> bool:
    try:
        return is_loopback(urlsplit(url).hostname or "")
    except ValueError:
        return False


def _asked(form: TypeAdapter[T]) -> T:
    return checked(form, read_json(request, longest_bytes=LONGEST_BODY_BYTES))


def _visit() -> Visit:
    return Visit(_own_origin(), Circumstances(request_id()))


def _security_headers(edge_origin: str) -> dict[str, str]:
    """What lets the page load its own files, and video and playlists from the edge; no more."""
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
