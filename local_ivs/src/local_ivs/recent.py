"""Records the recent requests for people to read: operation or route, status and error.

URLs and bodies are not recorded, because they contain tokens, session IDs and keys.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from flask import g, request

from local_ivs.errors import DatabaseUnusableError
from local_ivs.timestamps import rfc3339

if TYPE_CHECKING:
    from flask import Flask, Response

    from local_ivs.clock import Clock

MAX_REQUESTS = 200
UNRECORDED_PATHS = ("/_local/", "/healthz")  # And the page at "/".


@dataclass(frozen=True)
class RecentRequest:
    """A request that Local IVS has responded to.

    Attributes:
        at: Unix seconds: the time of the response.
        method: The HTTP method.
        what: The operation's name, or the route pattern of the edge, without parameter values.
        account_id: The caller's account if the request was signed; otherwise empty.
        region: The caller's region if the request was signed; otherwise empty.
        status: The HTTP status.
        error: The AWS error name; empty if there is none.
        milliseconds: How long the request took.
    """

    at: float
    method: str
    what: str
    account_id: str
    region: str
    status: int
    error: str
    milliseconds: float

    def document(self) -> dict[str, Any]:
        """The request as JSON data, with its time as RFC 3339."""
        return asdict(self) | {"at": rfc3339(self.at)}


class RecentRequests:
    """The recent requests of this process; thread-safe."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._requests: deque[RecentRequest] = deque(maxlen=MAX_REQUESTS)

    def watch(self, app: Flask) -> None:
        """Record each request to the application from now on."""
        app.before_request(self._start_timer)
        app.after_request(self._record_response)

    def latest(self) -> tuple[RecentRequest, ...]:
        """The recent requests, newest first."""
        with self._lock:
            return tuple(reversed(self._requests))

    def _start_timer(self) -> None:
        g.started_at = time.perf_counter()

    def _record_response(self, response: Response) -> Response:
        if request.path != "/" and not request.path.startswith(UNRECORDED_PATHS):
            # Without its state Local IVS can't read its clock; the response reports the error.
            with suppress(DatabaseUnusableError):
                self._record(response)
        return response

    def _record(self, response: Response) -> None:
        route = request.url_rule.rule if request.url_rule else "unknown route"
        caller = g.get("caller")
        recent = RecentRequest(
            at=self._clock.now(),
            method=request.method,
            what=g.get("operation", route),
            account_id=caller.account_id if caller else "",
            region=caller.region if caller else "",
            status=response.status_code,
            error=response.headers.get("x-amzn-ErrorType", ""),
            milliseconds=round((time.perf_counter() - g.started_at) * 1000, 1),
        )
        with self._lock:
            self._requests.append(recent)
