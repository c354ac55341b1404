"""The last requests, for the people who look: which operation or route, and what came of it.

Neither URLs nor bodies are kept: they hold tokens, session IDs and keys.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flask import g, request

if TYPE_CHECKING:
    from flask import Flask, Response

    from tokensvc.localivs.clock import Clock

MOST_KEPT = 200
NOT_OF_INTEREST = ("/_local/", "/healthz")  # Nor is the page itself, at "/".


@dataclass(frozen=True)
class RecentRequest:
    """A request that was answered.

    Attributes:
        at: Unix seconds, when it was answered.
        method: The HTTP method.
        what: The operation's name, or the route of the edge, its parameters unfilled.
        account_id: The caller's account, where the request was signed; else empty.
        region: The caller's region, where the request was signed; else empty.
        status: The HTTP status.
        error: The AWS error name; empty where there is none.
        milliseconds: How long the answer took.
    """

    at: float
    method: str
    what: str
    account_id: str
    region: str
    status: int
    error: str
    milliseconds: float


class RecentRequests:
    """The last requests of this process, newest first; shared by threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: deque[RecentRequest] = deque(maxlen=MOST_KEPT)

    def watch(self, app: Flask) -> None:
        """Keep each request that the application answers from now on."""
        app.before_request(self._begin)
        app.after_request(self._end)

    def latest(self) -> tuple[RecentRequest, ...]:
        """The last requests, newest first."""
        with self._lock:
            return tuple(reversed(self._kept))

    def _begin(self) -> None:
        g.began = time.perf_counter()

    def _end(self, response: Response) -> Response:
        if request.path != "/" and not request.path.startswith(NOT_OF_INTEREST):
            route = request.url_rule.rule if request.url_rule else "unknown route"
            caller = g.get("caller")
            kept = RecentRequest(
                at=self._clock.now(),
                method=request.method,
                what=g.get("operation", route),
                account_id=caller.account_id if caller else "",
                region=caller.region if caller else "",
                status=response.status_code,
                error=response.headers.get("x-amzn-ErrorType", ""),
                milliseconds=round((time.perf_counter() - g.began) * 1000, 1),
            )
            with self._lock:
                self._kept.append(kept)
        return response
