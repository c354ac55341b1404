"""The ASGI application in front of Flask: it reads a whole request, then calls Flask inline.

A client that sends slowly costs a buffer and no thread. A request that must wait (`MustWait`) runs
again: when what it waits for is complete, or in a small pool of threads. A response whose parts are
made one by one, such as a batch, lets other requests take turns in between. What can't be served in
time is refused with `overloaded` (`overload`, `waiting_pool`).
"""

from __future__ import annotations

import asyncio
import io
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from tokensvc.errors import TokensvcError
from tokensvc.waiting import MustWait, no_waiting
from tokensvc.web.access_log import AccessLog
from tokensvc.web.bodies import WHOLE_BODY
from tokensvc.web.headers import REQUEST_ID_HEADER
from tokensvc.web.overload import Admission, Refusals
from tokensvc.web.waiting_pool import PoolIsFull, WaitingPool

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]

T = TypeVar("T")

DRAINING = "tokensvc.draining"
"""The environ key, and the key of the lifespan state, that is true while the service stops."""

MAX_BODY_BYTES = 1024 * 1024
"""The largest body of any route. A larger one is cut off, and its route refuses it."""

_REQUEST_ID: Final = REQUEST_ID_HEADER.lower().encode()

TURN_SECONDS: Final = 0.000_5
"""For how long the parts of one response are made before other requests get their turn."""


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
    """An ASGI 3 application that serves a WSGI application."""

    def __init__(
        self,
        application: Application,
        *,
        threads: int,
        terms: ConnectionTerms | None = None,
        access_log: AccessLog | None = None,
    ) -> None:
        self.terms = terms or ConnectionTerms()
        self._application = application
        self._access_log = access_log
        self._pool = WaitingPool(threads)
        self._admission = Admission()
        self._refusals = Refusals()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one scope: the lifespan of the worker, or a request."""
        match scope["type"]:
            case "lifespan":
                await self._live(receive, send)
            case "http":
                await self._serve(scope, receive, send)
            case other:
                raise ValueError(f"The scope {other} is not supported.")

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await asyncio.to_thread(self._application.start)
        except TokensvcError as exc:
            await send({"type": "lifespan.startup.failed", "message": str(exc)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await asyncio.to_thread(self._application.close)
        self._pool.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_admitted = self._admission.admits(scope)
        body = await _read_body(receive)
        if body is None:
            return  # The client has left.
        response: Response | None
        if is_admitted:
            response = await self._answer(scope, body, receive)
        else:
            response = self._refusal(scope)
        if response is None:
            return
        await send(
            {
                "type": "http.response.start",
                "status": response.status,
                "headers": response.headers,
            }
        )
        await send({"type": "http.response.body", "body": b"".join(response.parts)})

    async def _answer(self, scope: Scope, body: bytes, receive: Receive) -> Response | None:
        """The response with all its parts; None if the client has left before that."""
        environ = environ_of(scope, body)

        def begin() -> Response:
            environ["wsgi.input"] = io.BytesIO(body)  # A request that had to wait begins again.
            return call(self._application, environ)

        begun_at = time.monotonic()
        try:
            begun = await self._run(begin)
            is_whole = isinstance(begun.parts, list)
            response = begun if is_whole else await self._whole(begun, receive)
        except PoolIsFull:
            response = self._refusal(scope)
        if response is not None and self._access_log is not None:
            self._access_log.write(
                environ,
                response.status,
                size_bytes=sum(map(len, response.parts)),
                request_id=_request_id_of(response),
                duration_seconds=time.monotonic() - begun_at,
            )
        return response

    def _refusal(self, scope: Scope) -> Response:
        fields, body = self._refusals.next(scope)
        return Response(HTTPStatus.SERVICE_UNAVAILABLE, fields, [body])

    async def _run(self, step: Callable[[], T]) -> T:
        """The result of the step, which runs on the loop unless it must wait in a thread.

        Raises:
            PoolIsFull: it must wait in a thread, and was not run there.
        """
        try:
            with no_waiting():
                return step()
        except MustWait as exc:
            must_wait = exc
        if must_wait.until:
            awaited = [asyncio.wrap_future(each) for each in must_wait.until]
            await asyncio.wait(awaited, timeout=must_wait.seconds)
            try:
                with no_waiting():
                    return step()
            except MustWait:
                pass
        return await self._pool.run(step)

    async def _whole(self, response: Response, receive: Receive) -> Response | None:
        """The response with all its parts; None if the client leaves before that.

        Then no other part is made. If a part must wait, it is made in a thread: the iterator
        continues with the part that raised `MustWait`.
        """
        parts = iter(response.parts)
        made: list[bytes] = []
        left: asyncio.Task[None] | None = None
        try:
            while await self._run(partial(_make_parts, parts, made)):
                left = left or asyncio.create_task(_until_disconnect(receive))
                await asyncio.sleep(0)
                if left.done():
                    return None
        finally:
            if left is not None:
                left.cancel()
            close = getattr(response.parts, "close", None)
            if close is not None:
                close()
        headers = response.headers
        if all(name != b"content-length" for name, _ in headers):
            length = str(sum(map(len, made)))
            headers = [*headers, (b"content-length", length.encode())]
        return replace(response, headers=headers, parts=made)


def _make_parts(parts: Iterator[bytes], made: list[bytes]) -> bool:
    """Make parts for one turn. Returns whether there may be more."""
    end_at = time.monotonic() + TURN_SECONDS
    for part in parts:
        made.append(part)
        if time.monotonic() >= end_at:
            return True
    return False


async def _until_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


@dataclass(frozen=True, slots=True)
class Response:
    """A response; the header names are in lower case.

    Attributes:
        status: the HTTP status.
        headers: the header fields.
        parts: the body: a list, or an iterator that makes it part by part.
    """

    status: int
    headers: list[tuple[bytes, bytes]]
    parts: Iterable[bytes]


def _request_id_of(response: Response) -> str | None:
    for name, value in response.headers:
        if name == _REQUEST_ID:
            return value.decode("latin-1")
    return None


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

    parts = application(environ, start_response)
    ((status, headers),) = started
    return Response(
        int(status.split(" ", 1)[0]),
        [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers],
        parts,
    )


def environ_of(scope: Scope, body: bytes) -> WSGIEnvironment:
    """The WSGI environ of an ASGI HTTP scope with its whole body (PEP 3333).

    `SCRIPT_NAME` is empty whatever the client sends.
    """
    server_name, server_port = scope["server"] or ("", None)
    client = scope["client"]
    environ: WSGIEnvironment = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        # PEP 3333: the bytes of the decoded path as Latin-1 characters.
        "PATH_INFO": scope["path"].encode().decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": server_name,
        "SERVER_PORT": str(server_port or ""),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": client[0] if client else "",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": io.BytesIO(body),
        "wsgi.input_terminated": True,
        WHOLE_BODY: body,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        DRAINING: scope.get("state", {}).get(DRAINING, False),
    }
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        key = name.upper().replace("-", "_")
        if key not in {"CONTENT_TYPE", "CONTENT_LENGTH"}:
            key = f"HTTP_{key}"
        # RFC 9110 §5.3: repeated fields are one list.
        environ[key] = f"{environ[key]},{value}" if key in environ else value
    return environ


async def _read_body(receive: Receive) -> bytes | None:
    """The body, at most one byte longer than any route accepts; None if the client has left."""
    parts = []
    size = 0
    while size <= MAX_BODY_BYTES:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if not message.get("more_body", False):
            break
    return b"".join(parts)[: MAX_BODY_BYTES + 1]


def _no_write(_data: bytes) -> object:
    raise NotImplementedError("The application must return its body (PEP 3333).")
