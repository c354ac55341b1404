"""The control plane: every request of the IVS API, from its HTTP form to its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, request

from tokensvc.localivs import protocol
from tokensvc.localivs.calls import Call
from tokensvc.localivs.credentials import read_caller
from tokensvc.localivs.errors import ApiError, OperationNotServedError
from tokensvc.localivs.operations import READING, WRITING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokensvc.localivs.calls import Caller
    from tokensvc.localivs.clock import Clock
    from tokensvc.localivs.config import LocalIvsConfig
    from tokensvc.localivs.database import Database
    from tokensvc.localivs.service_model import IvsModel

METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH")


class ControlPlane:
    """Answers the requests of the IVS API, each in one transaction."""

    def __init__(
        self, *, model: IvsModel, database: Database, clock: Clock, config: LocalIvsConfig
    ) -> None:
        self._model = model
        self._database = database
        self._clock = clock
        self._config = config

    def answer(self) -> protocol.Answer:
        """The answer to Flask's current request."""
        try:
            operation, path = self._model.route(request.method, request.path)
            if operation.name not in READING and operation.name not in WRITING:
                raise OperationNotServedError(f"Local IVS does not serve {operation.name}.")
            caller = read_caller(request.headers.get("Authorization"))
            members = protocol.read_members(
                operation,
                path=path,
                query=request.args.to_dict(flat=False),
                body=request.get_data(),
            )
            return protocol.success(operation, self._run(operation.name, caller, members))
        except ApiError as error:
            return protocol.failure(error)

    def _run(self, name: str, caller: Caller, members: Mapping[str, Any]) -> Mapping[str, Any]:
        if name in READING:
            run, transaction = READING[name], self._database.reading
        else:
            run, transaction = WRITING[name], self._database.transaction
        with transaction() as connection:
            call = Call(
                operation=name,
                caller=caller,
                now=self._clock.now(),
                base_url=request.host_url.rstrip("/"),
                connection=connection,
                effect_delay_seconds=self._config.effect_delay_seconds,
            )
            return run(call, members)


def create_blueprint(control_plane: ControlPlane) -> Blueprint:
    """Every path that no other part of Local IVS takes: the model says what it means."""
    blueprint = Blueprint("api", __name__)

    @blueprint.route("/<path:path>", methods=METHODS)
    def operation(path: str) -> Response:  # noqa: ARG001 - the router reads the request itself
        answer = control_plane.answer()
        return Response(answer.body, answer.status, dict(answer.headers))

    return blueprint
