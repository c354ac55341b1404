"""Routes for operators, with the scope `operate`: `GET /v1/keys` and `POST /v1/tokens:inspect`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Final

from flask import Blueprint, Response, jsonify, request
from pydantic import ConfigDict, Field, StrictStr, with_config

from tokensvc.access.requests import LONGEST_ORIGIN
from tokensvc.arns import ChannelArn, Region
from tokensvc.clock import Moment
from tokensvc.errors import InvalidArn, InvalidRequest, NoSigningKey, Problem
from tokensvc.ivs.limits import LONGEST_ARN
from tokensvc.keyring.listing import list_key_pairs
from tokensvc.keyring.model import Ring
from tokensvc.playback.inspected_signature import known_keys
from tokensvc.playback.inspected_target import refusal_in
from tokensvc.playback.inspection import Evidence, inspect
from tokensvc.service import Service
from tokensvc.web.bodies import Form, read_json
from tokensvc.web.identity import authenticate_request

KEYS_PATH: Final = "/v1/keys"
INSPECT_PATH: Final = "/v1/tokens:inspect"
LONGEST_BODY_BYTES: Final = 64 * 1024


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, slots=True, kw_only=True)
class InspectionRequest:
    """The body of `POST /v1/tokens:inspect`.

    Attributes:
        token: the token, or a playback URL with it.
        channel_arn: the channel that is to be played, if that is known.
        origin: the origin of the page that plays it, such as `https://www.example.com`.
    """

    token: Annotated[StrictStr, Field(min_length=1)]
    channel_arn: Annotated[StrictStr, Field(max_length=LONGEST_ARN)] | None = None
    origin: Annotated[StrictStr, Field(max_length=LONGEST_ORIGIN)] | None = None


def create_blueprint(service: Service) -> Blueprint:
    """The blueprint with both routes."""
    routes = Blueprint("operators", __name__)
    form = Form(InspectionRequest)

    @routes.get(KEYS_PATH)
    def keys() -> Response:
        authenticate_request(request.environ, service).require("operate")
        listed = [
            pair.members()
            for region, ring in _rings(service)
            for pair in list_key_pairs(region, ring, None)
        ]
        return jsonify(keys=listed)

    @routes.post(INSPECT_PATH)
    def inspect_token() -> Response:
        authenticate_request(request.environ, service).require("operate")
        body = form.read(read_json(request.environ, longest_bytes=LONGEST_BODY_BYTES))
        moment = Moment.of(service.clock)
        evidence = Evidence(
            now=moment.now,
            keys=known_keys(_rings(service)),
            channel_arn=_channel_arn(body.channel_arn),
            origin=body.origin,
            get_channel=service.directory.get,
            refusal_of_viewer=refusal_in(
                service.bans.within(service.access_max_age_seconds, moment), moment.now
            ),
        )
        return jsonify(inspect(body.token.strip(), evidence).members())

    return routes


def _rings(service: Service) -> Iterator[tuple[Region, Ring]]:
    moment = Moment.of(service.clock)
    for region, view in service.rings.items():
        # A region that never had a key pair signed no token.
        with contextlib.suppress(NoSigningKey):
            yield region, view.ring(moment)


def _channel_arn(text: str | None) -> ChannelArn | None:
    try:
        return None if text is None else ChannelArn.parse(text)
    except InvalidArn as exc:
        raise InvalidRequest(
            exc.detail,
            hint=exc.hint,
            problems=(Problem("channel_arn", "channel_arn", str(exc)),),
        ) from exc
