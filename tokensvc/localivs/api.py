"""The control plane: every request of the IVS API, from its HTTP form to its answer."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, g, request

from tokensvc.localivs import protocol
from tokensvc.localivs.calls import Call
from tokensvc.localivs.credentials import read_caller
from tokensvc.localivs.errors import AnswerLostError, ApiError, OperationNotServedError
from tokensvc.localivs.faults import Faults
from tokensvc.localivs.limits import Rates
from tokensvc.localivs.operations import READING, WRITING
from tokensvc.localivs.schema import CONTROL_PLANE
from tokensvc.localivs.service_model import IvsModel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokensvc.localivs.calls import Caller
    from tokensvc.localivs.clock import Clock
    from tokensvc.localivs.config import LocalIvsConfig
    from tokensvc.localivs.database import Database

# The WSGI servers that hand their client's socket to the application.
SERVERS = ("gunicorn", "werkzeug")
METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH")


class ControlPlane:
    """Answers the requests of the IVS API, each in one transaction."""

    def __init__(self, config: LocalIvsConfig, database: Database, clock: Clock) -> None:
        self._config = config
        self._database = database
        database.ensure(CONTROL_PLANE)
        self._clock = clock
        self._model = IvsModel()
        self._rates = Rates()
        self._faults = Faults(database)

    def answer(self) -> protocol.Answer:
        """The answer to Flask's current request.

        Raises:
            AnswerLostError: a planned fault wants the connection closed instead.
        """
        try:
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
            with self._faults.around(operation.name):
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
    """Every path that no other part of Local IVS takes: the model says what it means."""
    control_plane = ControlPlane(config, database, clock)
    blueprint = Blueprint("api", __name__)

    @blueprint.route("/<path:path>", methods=METHODS)
    def operation(path: str) -> Response:  # noqa: ARG001 - the model routes by the request itself
        answer = control_plane.answer()
        return Response(answer.body, answer.status, dict(answer.headers))

    @blueprint.errorhandler(AnswerLostError)
    def close_connection(error: AnswerLostError) -> Response:
        for server in SERVERS:
            connection = request.environ.get(f"{server}.socket")
            if connection is not None:
                with suppress(OSError):  # A client that has hung up by itself.
                    connection.shutdown(socket.SHUT_RDWR)
        # Nobody receives this: what is written to the closed connection is lost.
        return Response(str(error), 500)

    return blueprint
