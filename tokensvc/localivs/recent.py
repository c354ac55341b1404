"""The last requests, for the people who look: which operation or route, and what came of it.

Neither URLs nor bodies are kept: they hold tokens, session IDs and keys.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from flask import g, request

from tokensvc.localivs.errors import DatabaseUnusableError
from tokensvc.localivs.moments import rfc3339

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

    def document(self) -> dict[str, Any]:
        """The request as JSON data, its time as RFC 3339."""
        return asdict(self) | {"at": rfc3339(self.at)}


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
            # Without its state Local IVS has no time either; the answer says what is wrong.
            with suppress(DatabaseUnusableError):
                self._keep(response)
        return response

    def _keep(self, response: Response) -> None:
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
