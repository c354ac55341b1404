"""`POST /v1/playback-urls` and `POST /v1/playback-urls:batch`: signed playback URLs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, TypeGuard, TypeVar

from flask import Blueprint, Response, jsonify, request
from pydantic import ConfigDict, Field, TypeAdapter, with_config

from tokensvc.access.callers import Caller
from tokensvc.access.requests import PlaybackRequest
from tokensvc.errors import Unavailable
from tokensvc.service import Service
from tokensvc.web import problems
from tokensvc.web.bodies import read_json, validate
from tokensvc.web.headers import request_id
from tokensvc.web.identity import authenticate_request

LONGEST_BODY_BYTES = 64 * 1024
LONGEST_BATCH_BODY_BYTES = 1024 * 1024
MAX_REQUESTS = 100
LONGEST_BATCH_SECONDS = 10.0
"""A batch starts no request after this time: each may wait for the timeout of a failing IVS."""

T = TypeVar("T")


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, slots=True, kw_only=True)
class BatchBody:
    """The body of a batch. Its items are validated one by one: a bad item fails alone."""

    requests: Annotated[list[object], Field(min_length=1, max_length=MAX_REQUESTS)]


def create_blueprint(service: Service) -> Blueprint:
    """The blueprint with both routes."""
    routes = Blueprint("playback_urls", __name__)
    single_form = TypeAdapter(PlaybackRequest)
    batch_form = TypeAdapter(BatchBody)

    @routes.post("/v1/playback-urls")
    def single() -> Response:
        caller = authenticate_request(request, service)
        return jsonify(issue(caller, parse(read_json(request, longest_bytes=LONGEST_BODY_BYTES))))

    @routes.post("/v1/playback-urls:batch")
    def batch() -> Response:
        caller = authenticate_request(request, service)
        body = validate(batch_form, read_json(request, longest_bytes=LONGEST_BATCH_BODY_BYTES))
        deadline = service.clock.monotonic() + LONGEST_BATCH_SECONDS
        items = [result_or_problem(partial(parse, item)) for item in body.requests]
        # If the prefetch fails, the error is logged and each item looks up its own channel.
        prefetch = partial(service.issuer.prefetch_channels, caller, filter(_is_request, items))
        result_or_problem(prefetch)
        results = [
            result_or_problem(partial(issue_before, deadline, caller, item))
            if _is_request(item)
            else item
            for item in items
        ]
        return jsonify(results=results)

    def parse(body: object) -> PlaybackRequest:
        return validate(single_form, body)

    def issue(caller: Caller, playback_request: PlaybackRequest) -> dict[str, object]:
        return service.issuer.issue(caller, playback_request, request_id()).members()

    def issue_before(
        deadline: float, caller: Caller, playback_request: PlaybackRequest
    ) -> dict[str, object]:
        if service.clock.monotonic() >= deadline:
            raise Unavailable(f"The batch took longer than {LONGEST_BATCH_SECONDS:g} s.")
        return issue(caller, playback_request)

    def result_or_problem(action: Callable[[], T]) -> T | dict[str, object]:
        """The result of the action for one item, or the problem document of its error."""
        try:
            return action()
        except Exception as raised:  # noqa: BLE001 -- `public_error` logs it; the other items continue.
            return problems.document(problems.public_error(raised))

    return routes


def _is_request(item: object) -> TypeGuard[PlaybackRequest]:
    return isinstance(item, PlaybackRequest)
