"""The ASGI application in front of Flask: it reads a whole request, then calls Flask inline.

A client that sends slowly costs a buffer and no thread. A request that must wait (`MustWait`) runs
again in a small pool of threads; if the pool is full, it is refused with `overloaded`.
"""

from __future__ import annotations

import asyncio
import io
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from tokensvc.errors import TokensvcError, Unavailable
from tokensvc.waiting import MustWait, no_waiting

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]

OVERLOADED = "tokensvc.overloaded"
"""The environ key with the error that the application must answer with."""

DRAINING = "tokensvc.draining"
"""The environ key, and the key of the lifespan state, that is true while the service stops."""

MAX_BODY_BYTES = 1024 * 1024
"""The largest body of any route. A larger one is cut off, and its route refuses it."""

_WAITING_PER_THREAD = 16


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
        self, application: Application, *, threads: int, terms: ConnectionTerms | None = None
    ) -> None:
        self.terms = terms or ConnectionTerms()
        self._application = application
        self._threads = threads
        self._pool: ThreadPoolExecutor | None = None
        self._in_pool = 0

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
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="request")
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._pool, self._application.start)
        except TokensvcError as exc:
            await send({"type": "lifespan.startup.failed", "message": str(exc)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await loop.run_in_executor(self._pool, self._application.close)
        self._pool.shutdown(wait=False, cancel_futures=True)
        await send({"type": "lifespan.shutdown.complete"})

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _read_body(receive)
        if body is None:
            return  # The client has left.
        try:
            with no_waiting():
                response = call(self._application, environ_of(scope, body))
        except MustWait:
            response = await self._call_in_pool(environ_of(scope, body))
        await send(
            {
                "type": "http.response.start",
                "status": response.status,
                "headers": response.headers,
            }
        )
        await send({"type": "http.response.body", "body": response.body})

    async def _call_in_pool(self, environ: WSGIEnvironment) -> Response:
        if self._in_pool >= self._threads * _WAITING_PER_THREAD:
            environ[OVERLOADED] = Unavailable("Too many requests are waiting.")
            return call(self._application, environ)
        self._in_pool += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._pool, call, self._application, environ)
        finally:
            self._in_pool -= 1


@dataclass(frozen=True, slots=True)
class Response:
    """A whole response; the header names are in lower case."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


def call(application: WSGIApplication, environ: WSGIEnvironment) -> Response:
    """The whole response of a WSGI application.

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
    try:
        body = b"".join(parts)
    finally:
        close = getattr(parts, "close", None)
        if close is not None:
            close()
    ((status, headers),) = started
    return Response(
        int(status.split(" ", 1)[0]),
        [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers],
        body,
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
