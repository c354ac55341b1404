"""The control plane: handles every request of the IVS API, from HTTP request to response."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, g, request

from local_ivs import protocol
from local_ivs.calls import Call
from local_ivs.credentials import read_caller
from local_ivs.errors import (
    AccessDeniedError,
    ApiError,
    NoResponseError,
    OperationNotServedError,
)
from local_ivs.faults import Faults
from local_ivs.hosts import USE_INSTEAD, is_local
from local_ivs.limits import Rates
from local_ivs.operations import READING, WRITING
from local_ivs.schema import CONTROL_PLANE
from local_ivs.service_model import IvsModel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local_ivs.calls import Caller
    from local_ivs.clock import Clock
    from local_ivs.config import LocalIvsConfig
    from local_ivs.database import Database

# These WSGI servers give the application the client's socket, in the WSGI environment.
SERVERS = ("gunicorn", "werkzeug")
METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH")


class ControlPlane:
    """Handles the requests of the IVS API, each in one transaction."""

    def __init__(self, config: LocalIvsConfig, database: Database, clock: Clock) -> None:
        self._config = config
        self._database = database
        database.ensure(CONTROL_PLANE)
        self._clock = clock
        self._model = IvsModel()
        self._rates = Rates()
        self._faults = Faults(database)

    def handle_request(self) -> protocol.ApiResponse:
        """The response to Flask's current request.

        Raises:
            NoResponseError: a planned fault requires that the connection is closed instead.
        """
        try:
            if not is_local(request.host_url):
                raise AccessDeniedError(
                    "Local IVS serves the API under an IP address or as localhost only. "
                    f"{USE_INSTEAD}"
                )
            operation, path = self._model.route(request.method, request.path)
            g.operation = operation.name
            if operation.name not in READING and operation.name not in WRITING:
                raise OperationNotServedError(f"Local IVS does not serve {operation.name}.")
            g.caller = read_caller(request.headers.get("Authorization"))
            members = protocol.read_members(
                operation,
                path=path,
                query=request.args.to_dict(flat=False),
                body=request.get_data(),
            )
            if self._config.throttle:
                self._rates.admit(operation.name, g.caller, members, self._clock.now())
            with self._faults.apply_next(operation.name):
                result = self._run(operation.name, g.caller, members)
            return protocol.success(operation, result)
        except ApiError as error:
            return protocol.failure(error)

    def _run(self, name: str, caller: Caller, members: Mapping[str, Any]) -> Mapping[str, Any]:
        if name in READING:
            run, transaction = READING[name], self._database.reading
        else:
            run, transaction = WRITING[name], self._database.transaction
        now = self._clock.now()
        with transaction() as connection:
            call = Call(
                operation=name,
                caller=caller,
                now=now,
                base_url=request.host_url.rstrip("/"),
                connection=connection,
                effect_delay_seconds=self._config.effect_delay_seconds,
            )
            return run(call, members)


def create_blueprint(config: LocalIvsConfig, database: Database, clock: Clock) -> Blueprint:
    """The routes of the IVS API: every path that no other part of Local IVS handles."""
    control_plane = ControlPlane(config, database, clock)
    blueprint = Blueprint("api", __name__)

    @blueprint.route("/<path:path>", methods=METHODS)
    def operation(path: str) -> Response:  # noqa: ARG001 - IvsModel routes by the request itself
        response = control_plane.handle_request()
        return Response(response.body, response.status, dict(response.headers))

    @blueprint.errorhandler(NoResponseError)
    def close_connection(error: NoResponseError) -> Response:
        for server in SERVERS:
            connection = request.environ.get(f"{server}.socket")
            if connection is not None:
                with suppress(OSError):  # The client has already closed the connection.
                    connection.shutdown(socket.SHUT_RDWR)
        # The client never receives this response: the connection is closed.
        return Response(str(error), 500)

    return blueprint
