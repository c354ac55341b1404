"""Calls the application on the event loop of a worker, with whole requests.

A request that must wait (`MustWait`) runs again: when what it waits for is complete, or in a small
pool of threads. A response whose parts are made one by one, such as a batch, lets other requests
take turns in between. What can't be served in time is refused with `overloaded` (`overload`,
`waiting_pool`).
"""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from tokensvc.meter import Meter
from tokensvc.waiting import MustWait, no_waiting
from tokensvc.web.access_log import AccessLog
from tokensvc.web.bodies import WHOLE_BODY
from tokensvc.web.cors import Cors
from tokensvc.web.http1 import Response
from tokensvc.web.overload import Admission, Refusals
from tokensvc.web.tracing import RequestSpans
from tokensvc.web.waiting_pool import CALLER_ID, PoolIsFull, WaitingPool

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

T = TypeVar("T")

TURN_SECONDS: Final = 0.000_5
"""For how long the parts of one response are made before other requests get their turn."""


MAX_WAITS: Final = 3
"""How often a request waits on the loop for what other threads complete, such as the lookup of its
channel and then the entitlement hook."""


class Application(Protocol):
    """A WSGI application that is started once per process."""

    def start(self) -> None:
        """Start what the application needs. Raises TokensvcError."""
        ...

    def close(self) -> None:
        """Stop it."""
        ...

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request (PEP 3333)."""
        ...


@dataclass(frozen=True, slots=True)
class ConnectionTerms:
    """How long a client may take, in seconds, and how much it may do.

    Attributes:
        head_seconds: from accept, or from the first byte of a later request, to the whole head.
        body_seconds: from the head to the whole body.
        write_seconds: how long a client may not read a response that it was sent.
        max_seconds: after this time a connection is closed with its next response, so that a
            balancer's long-lived connections spread over new workers.
        max_requests: the number of responses after which a connection is closed.
        work_seconds: how long the application may take for a request that it has.
        drain_seconds: how long a stopping service still accepts connections.
    """

    head_seconds: float = 10.0
    body_seconds: float = 20.0
    write_seconds: float = 20.0
    max_seconds: float = 300.0
    max_requests: int = 1_000
    work_seconds: float = 15.0
    drain_seconds: float = 0.0

    @property
    def longest_request_seconds(self) -> float:
        """From the first byte of a request to the last of its response."""
        return self.head_seconds + self.body_seconds + self.work_seconds + self.write_seconds


class Front:
    """The application, and how a worker calls it. Not for several threads.

    Attributes:
        terms: how long clients may take.
        cors: the CORS fields of what is refused here; None without allowed origins.
    """

    def __init__(
        self,
        application: Application,
        *,
        threads: int,
        terms: ConnectionTerms | None = None,
        access_log: AccessLog | None = None,
        meter: Meter | None = None,
        cors: Cors | None = None,
        spans: RequestSpans | None = None,
    ) -> None:
        self.cors = cors
        self.terms = terms or ConnectionTerms()
        self._application = application
        self._access_log = access_log
        self._meter = meter
        self._spans = spans
        self._pool = WaitingPool(threads)
        self._admission = Admission()
        self._refusals = Refusals()

    async def start(self) -> None:
        """Start what the application needs.

        Raises:
            TokensvcError: it can't start.
        """
        await asyncio.to_thread(self._application.start)

    def record_refusal(
        self, peer_address: str, status: int, *, size_bytes: int, request_id: str
    ) -> None:
        """Log what a connection refused before it was a request."""
        if self._access_log is not None:
            self._access_log.write_refusal(
                peer_address, status, size_bytes=size_bytes, request_id=request_id
            )

    async def close(self) -> None:
        """Stop the application."""
        await asyncio.to_thread(self._application.close)
        self._pool.close()

    def __call__(
        self, environ: WSGIEnvironment, has_left: Callable[[], bool]
    ) -> Response | Coroutine[Any, Any, Response | None]:
        """The response to a request whose turn it is, with all its parts.

        A coroutine makes it if that takes more than this turn. Its result is None if the client has
        left before the end.

        Args:
            environ: the request (PEP 3333), with its `WHOLE_BODY`.
            has_left: whether the client has left.
        """
        if self.cors is not None and (preflight := self.cors.preflight(environ)) is not None:
            self._log(environ, preflight, time.monotonic())
            return preflight
        if not self._admission.admits(environ):
            refusal = self._overloaded(environ)
            if self._meter is not None:
                self._meter.answered(environ["PATH_INFO"], refusal.status, 0.0)
            return refusal
        begun_at = time.monotonic()
        begin: Callable[[], Response] = partial(call, self._application, environ)
        if self._spans is not None:
            begin = self._spans.begin(environ, begin)
        try:
            with no_waiting():
                begun = begin()
        except MustWait as exc:
            begins = self._run_again(environ, begin, exc)
            return self._answer_later(environ, begins, begun_at, has_left)
        if isinstance(begun.parts, list):
            self._log(environ, begun, begun_at)
            return begun
        return self._answer_later(environ, _at_once(begun), begun_at, has_left)

    async def _answer_later(
        self,
        environ: WSGIEnvironment,
        begins: Coroutine[Any, Any, Response],
        begun_at: float,
        has_left: Callable[[], bool],
    ) -> Response | None:
        response: Response | None
        try:
            begun = await begins
            is_whole = isinstance(begun.parts, list)
            response = begun if is_whole else await self._whole(environ, begun, has_left)
        except PoolIsFull:
            response = self._overloaded(environ)
        if response is not None:
            self._log(environ, response, begun_at)
        elif self._spans is not None:
            self._spans.end(environ, None)
        return response

    def _overloaded(self, environ: WSGIEnvironment) -> Response:
        response = self._refusals.next(environ)
        if self.cors is None:
            return response
        return self.cors.added_to(response, self.cors.fields(environ))

    def _log(self, environ: WSGIEnvironment, response: Response, begun_at: float) -> None:
        seconds = time.monotonic() - begun_at
        if self._meter is not None:
            self._meter.answered(environ["PATH_INFO"], response.status, seconds)
        if self._spans is not None:
            self._spans.end(environ, response)
        if self._access_log is not None:
            self._access_log.write(
                environ,
                response.status,
                size_bytes=sum(map(len, response.parts)),
                duration_seconds=seconds,
            )

    async def _run(self, environ: WSGIEnvironment, step: Callable[[], T]) -> T:
        """The result of the step, which runs on the loop unless it must wait in a thread.

        Raises:
            PoolIsFull: it must wait in a thread, and was not run there.
        """
        try:
            with no_waiting():
                return step()
        except MustWait as exc:
            must_wait = exc
        return await self._run_again(environ, step, must_wait)

    async def _run_again(
        self, environ: WSGIEnvironment, step: Callable[[], T], must_wait: MustWait
    ) -> T:
        """The result of a step that must wait. Raises PoolIsFull."""
        for _ in range(MAX_WAITS):
            if not must_wait.until:
                break
            awaited = [asyncio.wrap_future(each) for each in must_wait.until]
            await asyncio.wait(awaited, timeout=must_wait.seconds)
            try:
                with no_waiting():
                    return step()
            except MustWait as exc:
                must_wait = exc
        return await self._pool.run(step, environ.get(CALLER_ID))

    async def _whole(
        self, environ: WSGIEnvironment, response: Response, has_left: Callable[[], bool]
    ) -> Response | None:
        """The response with all its parts; None if the client leaves before that.

        Then no other part is made. If a part must wait, it is made in a thread: the iterator
        continues with the part that raised `MustWait`.
        """
        parts = iter(response.parts)
        made: list[bytes] = []
        make: Callable[[], bool] = partial(_make_parts, parts, made)
        if self._spans is not None:
            make = self._spans.continued(environ, make)
        try:
            while await self._run(environ, make):
                await asyncio.sleep(0)
                if has_left():
                    return None
        finally:
            close = getattr(response.parts, "close", None)
            if close is not None:
                close()
        headers = response.headers
        if all(name.lower() != "content-length" for name, _ in headers):
            headers = [*headers, ("Content-Length", str(sum(map(len, made))))]
        return replace(response, headers=headers, parts=made)


async def _at_once(response: Response) -> Response:
    return response


def _make_parts(parts: Iterator[bytes], made: list[bytes]) -> bool:
    """Make parts for one turn. Returns whether there may be more."""
    end_at = time.monotonic() + TURN_SECONDS
    for part in parts:
        made.append(part)
        if time.monotonic() >= end_at:
            return True
    return False


def call(application: WSGIApplication, environ: WSGIEnvironment) -> Response:
    """The response of a WSGI application, which calls `start_response` before it returns.

    Raises:
        MustWait: the application must wait, within `no_waiting()`.
    """
    started: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(
        status: str, headers: list[tuple[str, str]], _exc_info: object = None
    ) -> Callable[[bytes], object]:
        started[:] = [(status, headers)]
        return _no_write

    if WHOLE_BODY in environ:  # A request that had to wait begins again.
        environ["wsgi.input"] = io.BytesIO(environ[WHOLE_BODY])
    parts = application(environ, start_response)
    ((status, headers),) = started
    return Response(int(status[:3]), headers, parts)


def _no_write(_data: bytes) -> object:
    raise NotImplementedError("The application must return its body (PEP 3333).")
