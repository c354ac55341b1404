"""`POST /v1/playback-urls` and `POST /v1/playback-urls:batch`: signed playback URLs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

from flask import Blueprint, Response, jsonify, request
from pydantic import ConfigDict, Field, with_config

from tokensvc.access.callers import Caller
from tokensvc.access.requests import PlaybackRequest
from tokensvc.clock import Clock
from tokensvc.errors import Unavailable
from tokensvc.playback.batch_questions import BatchQuestions
from tokensvc.playback.urls import PlaybackUrl
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
"""A batch starts no item after this time: each may wait for its line in the audit log."""

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
        caller = authenticate_request(environ, self._service, is_counted=False)
        limits = self._service.request_limits
        if limits is not None:
            limits.count_caller(environ, caller, request_id)
        request = self.parse(read_json(environ, longest_bytes=LONGEST_BODY_BYTES))
        if limits is not None:
            limits.count_viewer(environ, caller, request, request_id)
        country = _client_country(self._service, environ, caller)
        return self._service.issuer.issue(caller, request, request_id, country).members()

    def parse(self, body: object) -> PlaybackRequest:
        """The request in a parsed body. Raises InvalidRequest."""
        return self._form.read(body)


class Batch:
    """`POST /v1/playback-urls:batch` without a framework."""

    path: Final = "/v1/playback-urls:batch"

    def __init__(self, service: Service) -> None:
        self._service = service
        self._single_url = SingleUrl(service)
        self._form = Form(BatchBody)

    def __call__(self, environ: WSGIEnvironment, request_id: str) -> BatchResults:
        """The results of a request (PEP 3333), which are made when they are taken.

        Everything that usually waits happens now, and nothing is issued or audited yet.

        Raises:
            TokensvcError, werkzeug.exceptions.HTTPException: the whole batch is refused.
        """
        caller = authenticate_request(environ, self._service, is_counted=False)
        document = read_json(environ, longest_bytes=LONGEST_BATCH_BODY_BYTES)
        body = self._form.read(document)
        give_up_at = self._service.clock.monotonic() + LONGEST_BATCH_SECONDS
        items = [
            _result_or_problem(partial(self._single_url.parse, item), request_id)
            for item in body.requests
        ]
        if (limits := self._service.request_limits) is not None:
            refusals = limits.count_items(environ, caller, items, request_id)
            items = [
                item if refusal is None else problems.document(refusal, request_id)
                for item, refusal in zip(items, refusals, strict=True)
            ]
        requests = [item for item in items if isinstance(item, PlaybackRequest)]
        # If this fails, the error is logged, and each item does it for itself.
        country = _client_country(self._service, environ, caller)
        issuer = self._service.issuer
        _result_or_problem(partial(issuer.prepare, caller, requests), request_id)
        questions = issuer.questions(caller, requests, request_id, country)
        issue = partial(issuer.issue, caller, request_id=request_id, client_country=country)
        return BatchResults(self._service.clock, issue, items, request_id, give_up_at, questions)


class BatchResults:
    """Makes the result of each item of a batch, in order: a URL or a problem document.

    An item that raises `MustWait` is made again by the next call; nothing of it was audited.
    """

    def __init__(
        self,
        clock: Clock,
        issue: Callable[[PlaybackRequest], PlaybackUrl],
        items: Sequence[PlaybackRequest | dict[str, object]],
        request_id: str,
        give_up_at: float,
        questions: BatchQuestions | None,
    ) -> None:
        """Results of a batch.

        Args:
            clock: the time.
            issue: issues a URL to the caller who sent the batch.
            items: the requests, and the problem documents of those that are not valid.
            request_id: the ID of the whole request.
            give_up_at: when no other URL is issued, in monotonic seconds.
            questions: what the entitlement hook is asked first, if anything.
        """
        self._clock = clock
        self._issue_url = issue
        self._items = items
        self._request_id = request_id
        self._give_up_at = give_up_at
        self._questions = questions
        self._next = 0

    def __iter__(self) -> BatchResults:
        return self

    def __next__(self) -> dict[str, object] | None:
        """The next result; None if there is none yet, and the next call goes on."""
        if self._questions is not None:
            if _result_or_problem(self._questions.step, self._request_id) is True:
                return None
            self._questions = None  # All are answered. Or it failed: each item asks for itself.
        if self._next == len(self._items):
            raise StopIteration
        item = self._items[self._next]
        result = (
            _result_or_problem(partial(self._issue, item), self._request_id)
            if isinstance(item, PlaybackRequest)
            else item
        )
        self._next += 1
        return result

    def _issue(self, request: PlaybackRequest) -> dict[str, object]:
        if self._clock.monotonic() >= self._give_up_at:
            raise Unavailable(f"The batch took longer than {LONGEST_BATCH_SECONDS:g} s.")
        return self._issue_url(request).members()


def create_blueprint(service: Service) -> Blueprint:
    """The blueprint with both routes."""
    routes = Blueprint("playback_urls", __name__)
    issue_one = SingleUrl(service)
    issue_batch = Batch(service)

    @routes.post(SingleUrl.path)
    def single() -> Response:
        return jsonify(issue_one(request.environ, request_id()))

    @routes.post(Batch.path)
    def batch() -> Response:
        results = issue_batch(request.environ, request_id())
        may_wait()  # This view makes all results in one turn, which would be too long for a loop.
        return jsonify(results=[result for result in results if result is not None])

    return routes


def _client_country(service: Service, environ: WSGIEnvironment, caller: Caller) -> str | None:
    """The country of the client; None for a caller without an identity, which is a backend."""
    if service.client_countries is None or caller.identity is None:
        return None
    return service.client_countries.of(environ)


def _result_or_problem(action: Callable[[], T], request_id: str) -> T | dict[str, object]:
    """The result of the action for one item, or the problem document of its error."""
    try:
        return action()
    except Exception as raised:  # noqa: BLE001 -- `public_error` logs it; the other items continue.
        return problems.document(problems.public_error(raised, request_id), request_id)
