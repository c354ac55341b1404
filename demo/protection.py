"""Keeps other clients away from the example's page and backend, which have no login.

The backend acts with its API key for anyone who reaches it. Other clients are kept out in three
ways. The backend listens on loopback only. It accepts requests with a loopback Host header only, so
that an attacker's host name can't be resolved to it (DNS rebinding). It accepts POST requests from
its own page only, so that no other page in the browser can call it. Your own backend authenticates
its users instead.
"""

from __future__ import annotations

from http import HTTPStatus

from flask import Flask, Response, request

from demo.configuration import is_on_loopback
from demo.refusals import refusal


def install(app: Flask, *, edge_url: str, service_url: str) -> None:
    """Check every request of the app, and add security headers to every response."""
    headers = _security_headers(edge_url, service_url)

    @app.after_request
    def harden(response: Response) -> Response:
        response.headers.update(headers)
        return response

    app.before_request(_require_loopback_and_own_page)


def own_origin() -> str:
    """The origin of the page that sent the current request, such as `http://127.0.0.1:8002`."""
    return request.host_url.rstrip("/")


def _require_loopback_and_own_page() -> None:
    if not is_on_loopback(request.host_url):
        raise refusal(
            HTTPStatus.FORBIDDEN,
            "not_permitted",
            "The demo accepts requests with a loopback Host header only.",
            hint="Open the page at http://127.0.0.1 and the demo's port.",
        )
    # Browsers send Origin with every POST, and a page can't change it.
    if request.method == "POST" and request.headers.get("Origin") != own_origin():
        raise refusal(
            HTTPStatus.FORBIDDEN,
            "not_permitted",
            "The demo's backend accepts requests from the demo's own page only.",
            hint="Call `POST /v1/playback-urls` of tokensvc with an API key instead.",
        )


def _security_headers(edge_url: str, service_url: str) -> dict[str, str]:
    """Let the page load its files, the player module, playlists and video, and nothing else."""
    policy = {
        "default-src": "'none'",
        "script-src": f"'self' {service_url}/v1/player.js",
        "style-src": "'self'",
        "img-src": "'self'",
        "connect-src": f"'self' {edge_url} {service_url}/v1/playback-urls",
        "media-src": edge_url,
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    return {
        "Cache-Control": "no-store",  # A response with a playback URL must not be cached.
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
