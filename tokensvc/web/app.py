"""The Flask application: its routes, and what all routes have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Flask
from flask.json.provider import DefaultJSONProvider

from tokensvc.service import Service
from tokensvc.web import (
    bans,
    headers,
    health,
    jwks,
    operators,
    playback_urls,
    player,
    problems,
    viewer_session_revocations,
)
from tokensvc.web.cors import Cors, CorsApplication
from tokensvc.web.direct import DirectRoutes
from tokensvc.web.openapi import pages
from tokensvc.web.ops import routes as ops
from tokensvc.web.proxies import behind_proxies

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


def create_app(service: Service) -> Flask:
    """The WSGI application that serves `service`, with its direct routes ahead of Flask.

    This function does not start the service: each worker starts it after the fork.
    """
    app = _routes(service)
    _serve(app, service, DirectRoutes(service, app.wsgi_app))
    return app


def create_flask_app(service: Service) -> Flask:
    """The Flask application alone, which serves every route."""
    app = _routes(service)
    _serve(app, service, app.wsgi_app)
    return app


def _serve(app: Flask, service: Service, application: WSGIApplication) -> None:
    """Answer the requests of `app` with the application, behind the proxies of the settings."""
    if service.allowed_origins:
        application = CorsApplication(application, Cors(service.allowed_origins))
    app.wsgi_app = behind_proxies(  # type: ignore[method-assign, assignment]
        application, root_path=service.root_path, trusted=service.trusted_proxies
    )


def _routes(service: Service) -> Flask:
    app = Flask(__name__, static_folder=None, template_folder=None)
    # An OPTIONS request is refused like any other method, unless it is a preflight (`cors`).
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    # No redirect corrects a path, because a redirect would lose the body of a POST.
    app.url_map.merge_slashes = False
    # Members in the order in which they are documented.
    app.json = provider = DefaultJSONProvider(app)
    provider.sort_keys = False
    headers.install(app)
    problems.install(app)
    app.register_blueprint(playback_urls.create_blueprint(service))
    app.register_blueprint(viewer_session_revocations.create_blueprint(service))
    app.register_blueprint(operators.create_blueprint(service))
    app.register_blueprint(bans.create_blueprint(service))
    app.register_blueprint(jwks.create_blueprint(service))
    app.register_blueprint(health.create_blueprint(service))
    app.register_blueprint(player.create_blueprint())
    app.register_blueprint(pages.create_blueprint())
    if service.recent_decisions is not None:
        app.register_blueprint(ops.create_blueprint(service, service.recent_decisions))
    return app
