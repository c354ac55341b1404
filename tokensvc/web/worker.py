"""A gunicorn worker whose slow clients hurt no other client.

gunicorn's ASGI worker has no deadline for the first head, for a whole body or for a client that
never reads, and accepts any number of connections. This subclass adds them. It is the only module
that touches gunicorn's internals, so gunicorn is pinned to a minor version, and
tests/web/test_worker.py tests each use.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from gunicorn.arbiter import Arbiter
from gunicorn.asgi.lifespan import LifespanManager
from gunicorn.asgi.protocol import ASGIProtocol
from gunicorn.workers.gasgi import ASGIWorker

from tokensvc import errors
from tokensvc.errors import TokensvcError
from tokensvc.web import problems

if TYPE_CHECKING:
    from tokensvc.web.front import ConnectionTerms

HEARTBEAT_SECONDS = 1.0

# What the server itself refuses, before the application sees the request.
_REFUSALS: Final[Mapping[int, TokensvcError]] = {
    error.http_status: error
    for error in (
        errors.InvalidRequest("The request is not valid HTTP."),
        errors.RequestTimeout("The request was not complete in time."),
        errors.UriTooLong("The request line is too long.", hint="Send values in the body."),
        errors.HeadersTooLarge("The header fields are too long or too many."),
        errors.TransferCodingUnknown("The transfer coding is not supported."),
    )
}
_INTERNAL_ERROR: Final = TokensvcError("The service failed because of an internal error.")


class Worker(ASGIWorker):  # type: ignore[misc] # gunicorn ships no types.
    """Serves the ASGI application on an event loop, with the deadlines of its `terms`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.connections: set[_Connection] = set()

    async def _serve(self) -> None:
        await self._start_application()
        for listener in self.sockets:
            server = await self.loop.create_server(
                lambda: _Connection(self), sock=listener.sock, backlog=self.cfg.backlog
            )
            self.servers.append(server)
        # gunicorn replaces a worker that does not notify it within `timeout`.
        while self.alive and self.ppid == os.getppid():
            self.notify()
            await asyncio.sleep(HEARTBEAT_SECONDS)
        for server in self.servers:
            server.close()
        for connection in list(self.connections):
            connection.close_if_idle()
        await self._shutdown()

    async def _start_application(self) -> None:
        self.lifespan = LifespanManager(self.asgi, self.log, self.state)
        try:
            await self.lifespan.startup()
        except RuntimeError as exc:
            self.lifespan = None
            self.log.critical("The service can't start: %s", exc)
            # With this exit status, gunicorn stops instead of starting the worker again.
            raise SystemExit(Arbiter.WORKER_BOOT_ERROR) from exc


class _Connection(ASGIProtocol):  # type: ignore[misc] # gunicorn ships no types.
    """One connection: each phase of a request has a deadline."""

    def __init__(self, worker: Worker) -> None:
        super().__init__(worker)
        self._terms: ConnectionTerms = worker.asgi.terms
        self._loop: asyncio.AbstractEventLoop = worker.loop
        self._opened_at = self._loop.time()
        self._deadline: asyncio.TimerHandle | None = None
        self._write_deadline: asyncio.TimerHandle | None = None
        self._is_idle = False
        self._has_next_head = False  # Bytes of the next request came before the response was sent.
        self._is_refused = False

    # --- The phases of a request

    def connection_made(self, transport: Any) -> None:
        if self.worker.nr_conns >= self.worker.worker_connections:
            self._is_refused = True
            transport.abort()
            return
        self.worker.connections.add(self)
        super().connection_made(transport)
        self._expect("head", self._terms.head_seconds)

    def data_received(self, data: bytes) -> None:
        if self._is_idle:
            self._expect_next_head()
        elif self._deadline is None:
            self._has_next_head = True
        super().data_received(data)

    def _on_headers_complete(self) -> Any:
        self._has_next_head = False
        self._expect("body", self._terms.body_seconds)
        return super()._on_headers_complete()

    def _on_message_complete(self) -> None:
        self._cancel_deadline()
        super()._on_message_complete()

    def _arm_keepalive_timer(self) -> None:
        self._is_idle = True
        super()._arm_keepalive_timer()
        if self._has_next_head:
            self._expect_next_head()

    def _expect_next_head(self) -> None:
        self._is_idle = False
        self._cancel_keepalive_timer()
        self._expect("head", self._terms.head_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_deadline()
        if self._write_deadline is not None:
            self._write_deadline.cancel()
        self.worker.connections.discard(self)
        if not self._is_refused:
            super().connection_lost(exc)

    def close_if_idle(self) -> None:
        """Close the connection unless it has a request."""
        if self._is_idle:
            self._keepalive_timeout()

    # --- Deadlines

    def _expect(self, part: str, seconds: float) -> None:
        self._cancel_deadline()
        self._deadline = self._loop.call_later(seconds, self._give_up, part)

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self, part: str) -> None:
        self._deadline = None
        self.log.debug("A client did not send the whole %s in time", part)
        self._send_error_response(408, "")
        self._close_transport()
        # gunicorn's handler waits for a head, or for the body.
        if self._request_ready is not None:
            self._request_ready.set()
        if self._body_receiver is not None:
            self._body_receiver.signal_disconnect()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._limit_writing()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._write_deadline is not None:
            self._write_deadline.cancel()
            self._write_deadline = None

    def _close_transport(self) -> None:
        super()._close_transport()
        # close() waits until the client has read everything.
        self._limit_writing()

    def _limit_writing(self) -> None:
        if self._write_deadline is None and not self._conn_lost_handled:
            self._write_deadline = self._loop.call_later(
                self._terms.write_seconds, self.transport.abort
            )

    # --- Answers

    def _will_close(self, request: Any, response_requires_close: Any) -> bool:
        age_seconds = self._loop.time() - self._opened_at
        return (
            self.req_count >= self._terms.max_requests
            or age_seconds >= self._terms.max_seconds
            or bool(super()._will_close(request, response_requires_close))
        )

    def _is_websocket_upgrade(self, _request: Any) -> bool:
        return False

    def _send_error_response(self, status: int, message: str, extra_headers: Any = ()) -> None:
        """Answer a request that is not valid HTTP with a problem document (RFC 9457)."""
        del message  # It may quote the request.
        error = _REFUSALS.get(status, _INTERNAL_ERROR)
        document = problems.members_of(error)
        body = json.dumps(document).encode()
        lines = [
            f"HTTP/1.1 {status} {error.title}",
            f"Content-Type: {problems.MEDIA_TYPE}",
            f"Content-Length: {len(body)}",
            "Cache-Control: no-store",
            "Connection: close",
            *(f"{name}: {value}" for name, value in extra_headers),
        ]
        self._safe_write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
