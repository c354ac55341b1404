"""Local IVS as one Flask application: control plane, playback edge and control API."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from flask import Flask, Response, current_app, jsonify
from werkzeug.exceptions import HTTPException, InternalServerError, RequestEntityTooLarge
from werkzeug.http import http_date

from local_ivs import api, control, overview, protocol
from local_ivs.clock import MovableClock, SystemClock
from local_ivs.database import Database
from local_ivs.edge import blueprint as edge
from local_ivs.edge_reader import EdgeReader
from local_ivs.errors import (
    ApiError,
    DatabaseUnusableError,
    LocalIvsError,
    RequestTooLargeError,
)
from local_ivs.recent import RecentRequests

if TYPE_CHECKING:
    from local_ivs.clock import Clock
    from local_ivs.config import LocalIvsConfig

MAX_BODY_BYTES = 1024 * 1024


def create_app(config: LocalIvsConfig, clock: Clock | None = None) -> Flask:
    """The application with its state in `config.data_path`; opens no file before a request.

    Args:
        config: Where the state is stored, and how Local IVS behaves.
        clock: The source of the time. Default: the machine's clock.
    """
    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    database = Database(config.state_file)
    app.extensions["local_ivs_database"] = database
    movable = MovableClock(clock or SystemClock(), database)
    recent = RecentRequests(movable)
    recent.watch(app)
    _date_responses(app, movable)
    app.register_blueprint(overview.create_blueprint(database, movable, recent))
    app.register_blueprint(control.create_blueprint(database, movable, recent))
    app.register_blueprint(edge.create_blueprint(database, EdgeReader(database), movable))
    app.register_blueprint(api.create_blueprint(config, database, movable))
    app.register_error_handler(HTTPException, _handle_http_error)
    app.register_error_handler(LocalIvsError, _handle_local_ivs_error)

    @app.get("/healthz")
    def health() -> Response:
        with database.reading() as connection:
            connection.execute("SELECT 1 FROM channels LIMIT 1")
        return jsonify(status="ok")

    return app


def _date_responses(app: Flask, clock: Clock) -> None:
    """Date every response by this clock, so that a moved clock shows as that of IVS does."""

    @app.after_request
    def add_date(response: Response) -> Response:
        # Without its state Local IVS can't read its clock; the response reports the error.
        with suppress(DatabaseUnusableError):
            response.headers["Date"] = http_date(clock.now())
        return response


def _handle_http_error(error: HTTPException) -> Response:
    """The response to an error of Flask or an unexpected exception, in the API's error format."""
    if isinstance(error, RequestEntityTooLarge):
        return _response(RequestTooLargeError(f"The request body exceeds {MAX_BODY_BYTES} bytes."))
    if isinstance(error, InternalServerError):
        return _response(ApiError("A bug in Local IVS: see the traceback in its log."))
    return Response(f"{error.code} {error.name}\n", error.code, mimetype="text/plain")


def _handle_local_ivs_error(error: LocalIvsError) -> Response:
    """The response to a failure of Local IVS itself, such as a damaged state file.

    The error is logged too, because AWS's clients don't show the text of such a response.
    """
    current_app.logger.error("%s", error)
    return _response(ApiError(str(error)))


def _response(error: ApiError) -> Response:
    response = protocol.failure(error)
    return Response(response.body, response.status, dict(response.headers))
