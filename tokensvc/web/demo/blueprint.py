"""The player page `/demo` and its backend `POST /demo/playback-urls`, for loopback only.

The backend asks for no API key: it is itself the application that holds one caller's grants. What
keeps strangers out is that it exists in demo mode only, which binds to loopback; that it answers to
a loopback Host alone, so that no name of an attacker's can be pointed at it (DNS rebinding); and
that it takes posts from its own page alone, so that no other page in the browser can ask.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit

from flask import Blueprint, Response, jsonify, request
from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config

from tokensvc.clock import rfc3339
from tokensvc.errors import (
    InvalidRequest,
    NotPermitted,
    Problem,
    SettingsInvalid,
    UnsupportedMediaType,
)
from tokensvc.playback.issuance import PlaybackUrl
from tokensvc.web.demo.urls import Demo, Fault, Wish, good_url, refused_url

T = TypeVar("T")


@with_config(ConfigDict(extra="forbid", strict=True))
@dataclass(frozen=True, slots=True)
class RefusedWish:
    """What the page asks of a URL that doesn't play."""

    fault: Fault


def create_blueprint(demo: Demo) -> Blueprint:
    """The page and its backend, to be registered without a prefix, in demo mode only.

    Raises:
        SettingsInvalid: when `demo.edge_origin` is not on loopback.
    """
    if not _is_loopback(urlsplit(demo.edge_origin).hostname):
        message = f"The demo plays from loopback only, which {demo.edge_origin} is not."
        raise SettingsInvalid(message, problems=(Problem("edge_origin", "loopback", message),))
    headers = _security_headers(demo.edge_origin)
    blueprint = Blueprint("demo", __name__, static_folder="page", static_url_path="/demo/page")
    blueprint.before_request(_refuse_strangers)

    @blueprint.get("/demo")
    def page() -> Response:
        return blueprint.send_static_file("index.html")

    @blueprint.post("/demo/playback-urls")
    def playback_urls() -> Response:
        return _never_stored(_described(good_url(demo, _asked(Wish), _own_origin())))

    @blueprint.post("/demo/refused-urls")
    def refused_urls() -> Response:
        url = refused_url(demo, _asked(RefusedWish).fault, _own_origin())
        return _never_stored({"playback_url": url})

    @blueprint.after_request
    def harden(response: Response) -> Response:
        response.headers.update(headers)
        return response

    return blueprint


def _refuse_strangers() -> None:
    if not _is_loopback(urlsplit(f"//{request.host}").hostname):
        raise NotPermitted(
            "The demo answers to names of this machine only.",
            way_out="Open http://127.0.0.1 with the service's port, /demo.",
        )
    if request.method == "POST" and not _is_from_own_page():
        raise NotPermitted(
            "The demo's backend serves the demo's own page only.",
            way_out="Ask POST /v1/playback-urls with an API key instead.",
        )


def _is_from_own_page() -> bool:
    # Browsers send Origin with every POST and no page can forge it; one without is no browser's.
    return request.headers.get("Origin") == _own_origin()


def _own_origin() -> str:
    return request.host_url.rstrip("/")


def _is_loopback(host: str | None) -> bool:
    if host is None:
        return False
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _asked(form: type[T]) -> T:
    if not request.is_json:
        raise UnsupportedMediaType(
            "The body is not JSON.", way_out="Send Content-Type: application/json."
        )
    try:
        return TypeAdapter(form).validate_json(request.get_data())
    except ValidationError as exc:
        problems = tuple(
            Problem(".".join(map(str, error["loc"])), error["type"], error["msg"])
            for error in exc.errors(include_input=False, include_url=False)
        )
        raise InvalidRequest("That is nothing the demo can make.", problems=problems) from exc


def _described(good: PlaybackUrl) -> dict[str, str | int | None]:
    """What the page shows of a URL; the token itself it finds in there."""
    return {
        "playback_url": good.playback_url,
        "channel_arn": str(good.channel_arn),
        "expires_at": None if good.expires_at is None else rfc3339(good.expires_at),
        "ttl_seconds": good.ttl_seconds,
        "refresh_after_seconds": good.refresh_after_seconds,
        "key_id": good.key_id,
    }


def _never_stored(body: dict[str, str | int | None]) -> Response:
    response = jsonify(body)
    response.headers["Cache-Control"] = "no-store"
    return response


def _security_headers(edge_origin: str) -> dict[str, str]:
    """Nothing is loaded but the page's own files, and video and playlists from the edge."""
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
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
