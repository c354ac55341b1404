"""The backend of the example application. It gets playback URLs from tokensvc for its own page.

The browser never sees the API key. For each viewer who may watch, the backend sends one request to
tokensvc (`request_url`), and gives the playback URL to the page.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, TypeVar

from flask import Flask, Response, jsonify, request

from demo import protection, refusals
from demo.configuration import Configuration
from demo.moderation import Action, moderate
from demo.protection import own_origin
from demo.refusals import invalid_member
from demo.refused_urls import Fault, refused_url
from demo.service_client import ServiceClient
from demo.viewers import GUEST_ID, IdentityProvider, Viewer

MAX_BODY_BYTES = 1024

Choice = TypeVar("Choice", bound=StrEnum)


def create_app_from_environment() -> Flask:
    """Return the backend that the environment variables configure.

    Raises:
        ConfigurationInvalid: a variable is missing or can't be used.
    """
    return create_app(Configuration.from_environment(os.environ))


def create_app(configuration: Configuration) -> Flask:
    """Return the backend: the page, its playback URLs, and the URLs that IVS refuses."""
    app = Flask(__name__, static_folder="page", static_url_path="/page")
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    protection.install(app, edge_url=configuration.edge_url, service_url=configuration.service_url)
    refusals.install(app)
    tokensvc = ServiceClient(configuration.service_url, configuration.api_key)

    def request_url(**options: object) -> Mapping[str, Any]:
        # A backend with users would first check that this user may watch, and would use an ID of
        # the user as `viewer_id`, so that the user's playback can be stopped.
        defaults = {
            "channel": configuration.channel,
            "viewer_id": GUEST_ID,
            "allowed_origins": [own_origin()],  # The URL plays in pages of this origin only.
        }
        return tokensvc.request_playback_url(defaults | options)

    @app.get("/")
    def page() -> Response:
        return app.send_static_file("index.html")

    @app.get("/configuration")
    def page_configuration() -> Response:
        return jsonify(service_url=configuration.service_url, channel=configuration.channel)

    @app.post("/playback-urls")
    def playback_urls() -> Response:
        # The page chooses these options only. tokensvc checks their values.
        options = _read_body("ttl_seconds", "maximum_resolution", "watch_until")
        return jsonify(request_url(**options))

    @app.post("/sign-in")
    def sign_in() -> Response:
        # The page sends this token to tokensvc itself, without this backend.
        viewer = _choice(Viewer, _read_body("viewer"), "viewer")
        return jsonify(id_token=IdentityProvider(configuration.issuer_url).sign_in(viewer))

    @app.post("/moderation")
    def moderation() -> Response:
        # A backend with users would first check that this user is a moderator.
        body = _read_body("action", "viewer")
        return jsonify(
            moderate(
                ServiceClient(configuration.service_url, configuration.moderator_key),
                _choice(Action, body, "action"),
                _choice(Viewer, body, "viewer"),
                channel=configuration.channel,
                issuer_url=configuration.issuer_url,
            )
        )

    @app.post("/refused-urls")
    def refused_urls() -> Response:
        fault = _choice(Fault, _read_body("fault"), "fault")
        url = refused_url(fault, request_url, configuration.other_channel)
        return jsonify(playback_url=url)

    return app


def _read_body(*allowed: str) -> dict[str, object]:
    """Return the request's JSON object, which may have these members only.

    Raises:
        Refusal: it is another JSON value, or has other members.
        HTTPException: the body is not JSON, or is too large.
    """
    body = request.get_json()
    if not isinstance(body, dict):
        raise invalid_member("", "json_object", "The body must be a JSON object.")
    for name in body:
        if name not in allowed:
            raise invalid_member(name, "unknown_field", f"{name!r} is not allowed in this request.")
    return body


def _choice(kind: type[Choice], body: Mapping[str, object], name: str) -> Choice:
    """The member of the body with this name. Raises Refusal if it is none of the values."""
    try:
        return kind(str(body.get(name)))
    except ValueError:
        known = ", ".join(kind)
        raise invalid_member(name, "enum", f"{name} must be one of: {known}.") from None
