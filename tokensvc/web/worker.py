"""A gunicorn worker whose slow clients hurt no other client.

gunicorn's ASGI worker has no deadline for the first head, for a whole body or for a client that
never reads, and accepts any number of connections. This subclass adds them, and stops without
losing a request. Only this module and `master` touch gunicorn's internals, so gunicorn is pinned to
a minor version, and tests/web/worker tests each use.
"""

from __future__ import annotations

import asyncio
import json
import os
import select
import socket
import time
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar, Final

from gunicorn.arbiter import Arbiter
from gunicorn.asgi.lifespan import LifespanManager
from gunicorn.asgi.protocol import ASGIProtocol
from gunicorn.workers.gasgi import ASGIWorker

from tokensvc import errors
from tokensvc.errors import TokensvcError
from tokensvc.web import problems
from tokensvc.web.front import DRAINING
from tokensvc.web.overload import RECEIVED_AT

if TYPE_CHECKING:
    from tokensvc.web.front import ConnectionTerms
    from tokensvc.web.master import SharedFacts

HEARTBEAT_SECONDS: Final = 1.0
IDLE_GRACE_SECONDS: Final = 1.0
"""For how long a stopping worker keeps an idle connection: the client may just send a request."""

_EVICTION_ORDER: Final = ("first head", "idle", "body", "unread")
"""Which connections a full worker closes for a new one: those that wait for their client."""

_BOOT_FAILED: Final = 1  # The exit status for which gunicorn starts another worker.
_POLL_SECONDS: Final = 0.05

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
    """Serves the ASGI application on an event loop, with the deadlines of its `terms`.

    At SIGTERM it first drains: it accepts connections as before for `drain_seconds`, and readiness
    answers `draining`. A worker that SIGHUP replaces skips this. Then it closes its listeners,
    answers the requests that it has, and exits.

    Attributes:
        facts: what it shares with the master, set by `master.pre_fork`.
    """

    facts: SharedFacts
    alive: bool
    boot_retry_seconds: ClassVar[float] = 5.0
    """The time between two attempts to replace a worker, while the others serve."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.connections: set[_Connection] = set()
        # The waiting connections by what they wait for, each in the order in which they began to.
        self.waiting: dict[str, dict[_Connection, None]] = {what: {} for what in _EVICTION_ORDER}
        self._must_stop = asyncio.Event()
        self._must_stop_at_once = asyncio.Event()

    @property
    def is_stopping(self) -> bool:
        """Whether each response closes its connection."""
        return self._must_stop.is_set()

    def load_wsgi(self) -> None:
        """Do nothing: `_start_application` loads the application, and handles every failure."""

    def handle_exit_signal(self) -> None:
        """Stop, at SIGTERM. From now on each response closes its connection.

        `alive` stays true: without it gunicorn would also close connections whose last response
        did not say so, and lose the next request.
        """
        self._must_stop.set()

    def handle_quit_signal(self) -> None:
        """Stop without waiting for requests, at SIGINT or SIGQUIT."""
        super().handle_quit_signal()
        self._must_stop.set()
        self._must_stop_at_once.set()

    async def _serve(self) -> None:
        heartbeat = self.loop.create_task(self._send_heartbeats())
        await self._start_application()
        for listener in self.sockets:
            server = await self.loop.create_server(
                lambda: _Connection(self), sock=listener.sock, backlog=self.cfg.backlog
            )
            self.servers.append(server)
        while self.alive and self.ppid == os.getppid():
            if await _is_set_within(HEARTBEAT_SECONDS, self._must_stop):
                break
        self._must_stop.set()
        await self._stop()
        heartbeat.cancel()

    async def _send_heartbeats(self) -> None:
        """Notify gunicorn, which replaces a worker that is silent for `timeout`."""
        while True:
            self.notify()
            await asyncio.sleep(HEARTBEAT_SECONDS)

    # --- Start

    async def _start_application(self) -> None:
        try:
            self.asgi = self.app.wsgi()
            self.lifespan = LifespanManager(self.asgi, self.log, self.state)
            await self.lifespan.startup()
        except Exception as exc:
            self.lifespan = None
            self.log.critical("The service can't start: %s", exc)
            if not self.facts.has_started:
                # With this exit status, gunicorn stops instead of starting the worker again.
                raise SystemExit(Arbiter.WORKER_BOOT_ERROR) from exc
            await _is_set_within(self.boot_retry_seconds, self._must_stop)
            raise SystemExit(_BOOT_FAILED) from exc
        self.facts.record_start()

    # --- Connections

    def has_room(self) -> bool:
        """Whether the worker can take a connection, if necessary in place of one that waits."""
        if len(self.connections) < self.worker_connections:
            return True
        longest_first = chain.from_iterable(self.waiting.values())
        evicted = next((each for each in longest_first if not each.has_unread_bytes()), None)
        if evicted is None:
            return False
        evicted.evict()
        return True

    # --- Stop

    async def _stop(self) -> None:
        stopped_at = self.loop.time()
        if not self.facts.is_replaced(self.age):
            self.state[DRAINING] = True
            await _is_set_within(self.asgi.terms.drain_seconds, self._must_stop_at_once)
        await self._close_listeners()
        await self._finish_connections(close_idle_at=stopped_at + IDLE_GRACE_SECONDS)
        if not self._must_stop_at_once.is_set():
            await self.lifespan.shutdown()

    async def _close_listeners(self) -> None:
        """Close the listeners, and serve the connections that the kernel has accepted for them.

        The kernel resets these if no other process has the listener.
        """
        waiting: list[socket.socket] = []
        for listener, server in zip(self.sockets, self.servers, strict=True):
            waiting.extend(_accepted(listener.sock))
            server.close()
        for connection in waiting:
            await self.loop.connect_accepted_socket(lambda: _Connection(self), connection)

    async def _finish_connections(self, *, close_idle_at: float) -> None:
        """Wait until the last request is answered, at most as long as a request may take."""
        give_up_at = self.loop.time() + self.asgi.terms.longest_request_seconds
        while self.connections and self.loop.time() < give_up_at:
            if self.loop.time() >= close_idle_at:
                for connection in list(self.connections):
                    connection.close_if_idle()
            if await _is_set_within(_POLL_SECONDS, self._must_stop_at_once):
                return


class _Connection(ASGIProtocol):  # type: ignore[misc] # gunicorn ships no types.
    """One connection: each phase of a request has a deadline."""

    def __init__(self, worker: Worker) -> None:
        super().__init__(worker)
        self._terms: ConnectionTerms = worker.asgi.terms
        self._loop: asyncio.AbstractEventLoop = worker.loop
        self._opened_at = self._loop.time()
        self._received_at = 0.0  # By time.monotonic(): the loop's time stands still in a turn.
        self._deadline: asyncio.TimerHandle | None = None
        self._write_deadline: asyncio.TimerHandle | None = None
        self._waits_for: str | None = None
        self._is_idle = False
        self._has_begun = False  # The client has sent the first byte of the first request.
        self._has_next_head = False  # Bytes of the next request came before the response was sent.
        self._is_refused = False

    # --- The phases of a request

    def connection_made(self, transport: Any) -> None:
        if not self.worker.has_room():
            self._is_refused = True
            transport.abort()
            return
        self.worker.connections.add(self)
        super().connection_made(transport)
        self._wait_for("first head")
        self._expect("head", self._terms.head_seconds)

    def data_received(self, data: bytes) -> None:
        self._has_begun = True
        if self._is_idle:
            self._expect_next_head()
        elif self._deadline is None:
            self._has_next_head = True
        super().data_received(data)

    def _on_headers_complete(self) -> Any:
        self._received_at = time.monotonic()
        self._has_next_head = False
        self._wait_for("body")
        self._expect("body", self._terms.body_seconds)
        return super()._on_headers_complete()

    def _build_http_scope(self, *args: Any) -> Any:
        return {**super()._build_http_scope(*args), RECEIVED_AT: self._received_at}

    def _on_message_complete(self) -> None:
        self._cancel_deadline()
        self._wait_for(None)
        super()._on_message_complete()

    def _feed_callback_parser(self, data: bytes) -> bool:
        try:
            return bool(super()._feed_callback_parser(data))
        except ValueError:  # A Content-Length with more digits than Python converts.
            self._refuse(400)
            return False

    def eof_received(self) -> None:
        """Refuse a request whose end is missing; the connection is closed in any case."""
        if self._has_begun and self._deadline is not None:
            self._refuse(400)

    def _arm_keepalive_timer(self) -> None:
        self._is_idle = True
        self._wait_for("idle")
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
        self._forget()
        if not self._is_refused:
            super().connection_lost(exc)

    def close_if_idle(self) -> None:
        """Close the connection unless it has a request, or a part of one."""
        is_idle = self._is_idle or not self._has_begun
        if is_idle and not self.has_unread_bytes():
            self._keepalive_timeout()

    def has_unread_bytes(self) -> bool:
        """Whether the kernel has bytes of the client, or its end, that the loop has not read."""
        poll = select.poll()
        poll.register(self.transport.get_extra_info("socket").fileno(), select.POLLIN)
        return bool(poll.poll(0))

    def evict(self) -> None:
        """Abort the connection, which waits for its client, to make room for another."""
        self._forget()
        self.transport.abort()

    def _wait_for(self, what: str | None) -> None:
        """Record what the connection waits for; None while it answers a request."""
        if self._waits_for is not None:
            self.worker.waiting[self._waits_for].pop(self, None)
        self._waits_for = what
        if what is not None:
            self.worker.waiting[what][self] = None

    def _forget(self) -> None:
        self._wait_for(None)
        self.worker.connections.discard(self)

    # --- Deadlines

    def _expect(self, part: str, seconds: float) -> None:
        self._cancel_deadline()
        self._deadline = self._loop.call_later(seconds, self._give_up, part)

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self, part: str) -> None:
        self.log.debug("A client did not send the whole %s in time", part)
        self._refuse(408)

    def _refuse(self, status: int) -> None:
        """Answer with an error instead of the application, and close the connection."""
        self._cancel_deadline()
        self._send_error_response(status, "")
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
            self._wait_for(None)

    def _close_transport(self) -> None:
        super()._close_transport()
        # close() waits until the client has read everything.
        self._limit_writing()

    def _limit_writing(self) -> None:
        if self._write_deadline is None and not self._conn_lost_handled:
            self._wait_for("unread")
            self._write_deadline = self._loop.call_later(
                self._terms.write_seconds, self.transport.abort
            )

    # --- Answers

    def _will_close(self, request: Any, response_requires_close: Any) -> bool:
        age_seconds = self._loop.time() - self._opened_at
        return (
            self.worker.is_stopping
            or self.req_count >= self._terms.max_requests
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


async def _is_set_within(seconds: float, event: asyncio.Event) -> bool:
    """Wait for the event; whether it is set by then."""
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False
    return True


def _accepted(listener: socket.socket) -> Iterator[socket.socket]:
    """The connections that wait to be accepted."""
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:  # None is left, or no descriptor for it.
            return
        yield connection
