"""The Flask application: its routes, and what all routes have in common."""

from __future__ import annotations

from flask import Flask
from flask.json.provider import DefaultJSONProvider

from tokensvc.service import Service
from tokensvc.web import headers, health, jwks, playback_urls, problems
from tokensvc.web.direct import DirectRoutes


def create_app(service: Service) -> Flask:
    """The WSGI application that serves `service`, with its direct routes ahead of Flask.

    This function does not start the service: each worker starts it after the fork.
    """
    app = create_flask_app(service)
    app.wsgi_app = DirectRoutes(service, app.wsgi_app)  # type: ignore[method-assign]
    return app


def create_flask_app(service: Service) -> Flask:
    """The Flask application alone, which serves every route."""
    app = Flask(__name__, static_folder=None, template_folder=None)
    # An OPTIONS request is refused like any other method: the API is for backends and has no CORS.
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    # No redirect corrects a path, because a redirect would lose the body of a POST.
    app.url_map.merge_slashes = False
    # Members in the order in which they are documented.
    app.json = provider = DefaultJSONProvider(app)
    provider.sort_keys = False
    headers.install(app)
    problems.install(app)
    app.register_blueprint(playback_urls.create_blueprint(service))
    app.register_blueprint(jwks.create_blueprint(service))
    app.register_blueprint(health.create_blueprint(service))
    return app
