"""`POST /v1/viewer-session-revocations`: kick or ban a viewer, with the scope `moderate`."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from flask import Blueprint, Response, jsonify, request

from tokensvc.access.revocation_requests import RevocationRequest
from tokensvc.service import Service
from tokensvc.web.bodies import Form, read_json
from tokensvc.web.headers import request_id
from tokensvc.web.identity import authenticate_request

PATH: Final = "/v1/viewer-session-revocations"
LONGEST_BODY_BYTES: Final = 64 * 1024


def create_blueprint(service: Service) -> Blueprint:
    """The blueprint with the route."""
    routes = Blueprint("viewer_session_revocations", __name__)
    form = Form(RevocationRequest)

    @routes.post(PATH)
    def revoke() -> tuple[Response, HTTPStatus]:
        caller = authenticate_request(request.environ, service)
        body = form.read(read_json(request.environ, longest_bytes=LONGEST_BODY_BYTES))
        made = service.revoker.revoke(caller, body, request_id())
        return jsonify(made.members()), HTTPStatus.ACCEPTED

    return routes
