"""Refuses requests that have waited too long, so that those that are served are served fast.

A worker that gets more requests than it can serve reads many at once, and each waits for its turn
on the event loop. A request that has waited for `MAX_AGE_SECONDS` is refused at once, which costs
little: its client can try again, and the requests behind it are not late too.

Reading many requests may take long itself, and a machine may stand still for a moment. So the first
`MIN_SERVED` requests of each round are served whatever their age. The requests of a round are those
that were received before the first of them got its turn.
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable
from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from tokensvc.web import headers, problems
from tokensvc.web.http1 import RECEIVED_AT, Response

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

MAX_AGE_SECONDS: Final = 0.03
"""The longest wait for a turn. Before that, a request has waited in its socket while the requests
of the round before had their turns or were refused. With twice the requests that a worker can
serve, and a refusal at a third of the cost, a round takes about twice as long as this."""

MIN_SERVED: Final = 32
"""The number of requests of any age that are served in each round: about 10 ms of work."""

ALWAYS_ANSWERED: Final = ("/healthz", "/readyz")
"""An orchestrator must not replace a worker because it is busy. Under any prefix of the path."""

_LOG_SECONDS: Final = 5.0

_log = logging.getLogger(__name__)


class Admission:
    """Decides which requests a worker serves. Not for several threads."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._round_began_at = -math.inf
        self._served_in_round = 0

    def admits(self, environ: WSGIEnvironment) -> bool:
        """Whether to serve the request, whose turn it is. Call it once for each request."""
        received_at = environ.get(RECEIVED_AT, math.inf)
        now = self._now()
        if received_at > self._round_began_at:
            self._round_began_at = now
            self._served_in_round = 0
        is_served = (
            now - received_at <= MAX_AGE_SECONDS
            or self._served_in_round < MIN_SERVED
            or environ["PATH_INFO"].endswith(ALWAYS_ANSWERED)
        )
        self._served_in_round += is_served
        return is_served


class Refusals:
    """Makes the answer `overloaded`, without the application, and logs how many there were."""

    def __init__(self) -> None:
        self._count = 0
        self._logged_at = -math.inf

    def next(self, environ: WSGIEnvironment) -> Response:
        """The answer to that request."""
        self._count += 1
        now = time.monotonic()
        if now - self._logged_at >= _LOG_SECONDS:
            _log.warning("Too many requests: %d were refused so far.", self._count)
            self._logged_at = now
        request_id = headers.request_id_of(environ)
        fields, before, after = _prebuilt()
        body = f"{before}{request_id}{after}".encode()
        length = ("Content-Length", str(len(body)))
        return Response(
            HTTPStatus.SERVICE_UNAVAILABLE,
            [*fields, (headers.REQUEST_ID_HEADER, request_id), length],
            [body],
        )


@cache
def _prebuilt() -> tuple[list[tuple[str, str]], str, str]:
    """The header fields, and the body before and after the request ID."""
    error = problems.overloaded()
    fields = {
        **headers.DEFAULTS,
        "Content-Type": problems.MEDIA_TYPE,
        **problems.headers_of(error),
    }
    place = "%"
    body = json.dumps(problems.document(error, place), separators=(",", ":"))
    before, _, after = body.rpartition(place)
    return list(fields.items()), before, after
