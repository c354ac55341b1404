"""`POST /v1/playback-urls` and `POST /v1/playback-urls:batch`: signed playback URLs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Final, TypeGuard, TypeVar

from flask import Blueprint, Response, jsonify, request
from pydantic import ConfigDict, Field, with_config

from tokensvc.access.callers import Caller
from tokensvc.access.requests import PlaybackRequest
from tokensvc.errors import Unavailable
from tokensvc.service import Service
from tokensvc.waiting import may_wait
from tokensvc.web import problems
from tokensvc.web.bodies import Form, read_json
from tokensvc.web.headers import request_id
from tokensvc.web.identity import authenticate_request

LONGEST_BODY_BYTES = 64 * 1024
LONGEST_BATCH_BODY_BYTES = 1024 * 1024
MAX_REQUESTS = 100
LONGEST_BATCH_SECONDS = 10.0
"""A batch starts no request after this time: each may wait for a lookup in IVS."""

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

T = TypeVar("T")


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, slots=True, kw_only=True)
class BatchBody:
    """The body of a batch. Its items are validated one by one: a bad item fails alone."""

    requests: Annotated[list[object], Field(min_length=1, max_length=MAX_REQUESTS)]


class SingleUrl:
    """`POST /v1/playback-urls` without a framework."""

    path: Final = "/v1/playback-urls"

    def __init__(self, service: Service) -> None:
        self._service = service
        self._form = Form(PlaybackRequest)

    def __call__(self, environ: WSGIEnvironment, request_id: str) -> dict[str, object]:
        """The members of the answer to a request (PEP 3333).

        Raises:
            TokensvcError, werkzeug.exceptions.HTTPException: the request is refused.
        """
        caller = authenticate_request(environ, self._service)
        request = self.parse(read_json(environ, longest_bytes=LONGEST_BODY_BYTES))
        return self._service.issuer.issue(caller, request, request_id).members()

    def parse(self, body: object) -> PlaybackRequest:
        """The request in a parsed body. Raises InvalidRequest."""
        return self._form.read(body)


def create_blueprint(service: Service) -> Blueprint:
    """The blueprint with both routes."""
    routes = Blueprint("playback_urls", __name__)
    issue_one = SingleUrl(service)
    batch_form = Form(BatchBody)

    @routes.post(SingleUrl.path)
    def single() -> Response:
        return jsonify(issue_one(request.environ, request_id()))

    @routes.post("/v1/playback-urls:batch")
    def batch() -> Response:
        may_wait()  # A batch may take long, and each of its items is a side effect.
        caller = authenticate_request(request.environ, service)
        document = read_json(request.environ, longest_bytes=LONGEST_BATCH_BODY_BYTES)
        body = batch_form.read(document)
        deadline = service.clock.monotonic() + LONGEST_BATCH_SECONDS
        items = [result_or_problem(partial(issue_one.parse, item)) for item in body.requests]
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

    def issue_before(
        deadline: float, caller: Caller, playback_request: PlaybackRequest
    ) -> dict[str, object]:
        if service.clock.monotonic() >= deadline:
            raise Unavailable(f"The batch took longer than {LONGEST_BATCH_SECONDS:g} s.")
        return service.issuer.issue(caller, playback_request, request_id()).members()

    def result_or_problem(action: Callable[[], T]) -> T | dict[str, object]:
        """The result of the action for one item, or the problem document of its error."""
        try:
            return action()
        except Exception as raised:  # noqa: BLE001 -- `public_error` logs it; the other items continue.
            error = problems.public_error(raised, request_id())
            return problems.document(error, request_id())

    return routes


def _is_request(item: object) -> TypeGuard[PlaybackRequest]:
    return isinstance(item, PlaybackRequest)
