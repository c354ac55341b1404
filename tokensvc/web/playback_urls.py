"""`POST /v1/playback-urls` and `POST /v1/playback-urls:batch`: signed playback URLs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, TypeGuard, TypeVar

from flask import Blueprint, Response, jsonify, request
from pydantic import ConfigDict, Field, TypeAdapter, with_config

from tokensvc.access.callers import Caller
from tokensvc.claims import Resolution
from tokensvc.errors import Unavailable
from tokensvc.playback.issuance import Circumstances, PlaybackRequest
from tokensvc.web import problems
from tokensvc.web.bodies import checked, read_json
from tokensvc.web.headers import request_id
from tokensvc.web.identity import caller_of
from tokensvc.web.service import Service

LONGEST_BODY_BYTES = 64 * 1024
LONGEST_BATCH_BODY_BYTES = 1024 * 1024
MOST_REQUESTS = 100
LONGEST_BATCH_SECONDS = 10.0
"""After this no further request of a batch is begun: each may wait for an IVS that fails."""

LONGEST_ARN = 128  # characters; IVS: botocore model, ChannelArn
LONGEST_ORIGIN = 300  # characters: a host name of 253, its scheme and its port
MOST_ORIGINS = 100

T = TypeVar("T")

_STRICT = ConfigDict(extra="forbid", strict=True)


@with_config(_STRICT)
@dataclass(frozen=True, slots=True, kw_only=True)
class PlaybackUrlBody:
    """The body of a request for one URL; which values are possible the claims' rules say."""

    channel: Annotated[str, Field(min_length=1, max_length=LONGEST_ARN)]
    viewer_id: str | None = None
    ttl_seconds: Annotated[int, Field(ge=1)] | None = None
    allowed_origins: Annotated[
        tuple[Annotated[str, Field(max_length=LONGEST_ORIGIN)], ...],
        Field(max_length=MOST_ORIGINS),
    ] = ()
    strict_origin_enforcement: bool = False
    single_use: bool = False
    maximum_resolution: Resolution | None = None

    def asked(self) -> PlaybackRequest:
        """The request that it stands for."""
        return PlaybackRequest(**dataclasses.asdict(self))


@with_config(_STRICT)
@dataclass(frozen=True, slots=True, kw_only=True)
class BatchBody:
    """The body of a batch; its items are checked one by one, so that a bad one harms no other."""

    requests: Annotated[list[object], Field(min_length=1, max_length=MOST_REQUESTS)]


def create_blueprint(service: Service) -> Blueprint:
    """The two routes."""
    routes = Blueprint("playback_urls", __name__)
    one_form = TypeAdapter(PlaybackUrlBody)
    batch_form = TypeAdapter(BatchBody)

    @routes.post("/v1/playback-urls")
    def one() -> Response:
        caller = caller_of(request, service)
        return jsonify(issued(caller, read(read_json(request, longest_bytes=LONGEST_BODY_BYTES))))

    @routes.post("/v1/playback-urls:batch")
    def batch() -> Response:
        caller = caller_of(request, service)
        body = checked(batch_form, read_json(request, longest_bytes=LONGEST_BATCH_BODY_BYTES))
        give_up_at = service.clock.monotonic() + LONGEST_BATCH_SECONDS
        items = [in_its_place(partial(read, item)) for item in body.requests]
        # A fault in looking ahead is logged, and costs no item its own look-up.
        in_its_place(partial(service.issuer.look_ahead, caller, filter(_is_request, items)))
        results = [
            in_its_place(partial(issued_before, give_up_at, caller, item))
            if _is_request(item)
            else item
            for item in items
        ]
        return jsonify(results=results)

    def read(body: object) -> PlaybackRequest:
        return checked(one_form, body).asked()

    def issued(caller: Caller, asked: PlaybackRequest) -> dict[str, object]:
        return service.issuer.issue(caller, asked, Circumstances(request_id())).members()

    def issued_before(
        give_up_at: float, caller: Caller, asked: PlaybackRequest
    ) -> dict[str, object]:
        if service.clock.monotonic() >= give_up_at:
            raise Unavailable(f"The batch took longer than {LONGEST_BATCH_SECONDS:g} s.")
        return issued(caller, asked)

    def in_its_place(do: Callable[[], T]) -> T | dict[str, object]:
        """What comes of one item, or the problem that stands for it."""
        try:
            return do()
        except Exception as raised:  # noqa: BLE001 -- One item's fault is told in its place, and logged there.
            return problems.document(problems.public_error(raised))

    return routes


def _is_request(item: object) -> TypeGuard[PlaybackRequest]:
    return isinstance(item, PlaybackRequest)
