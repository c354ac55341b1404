"""One connection of a worker: slow clients hurt no other client.

gunicorn's ASGI protocol has no deadline for the first head, for a whole body or for a client that
never reads, and accepts any number of connections. This subclass adds them, and answers what is not
valid HTTP with a problem document.
"""

from __future__ import annotations

import asyncio
import json
import re
import select
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from gunicorn.asgi.parser import PythonProtocol
from gunicorn.asgi.protocol import ASGIProtocol

from tokensvc import errors
from tokensvc.errors import TokensvcError
from tokensvc.web import problems
from tokensvc.web.overload import RECEIVED_AT

if TYPE_CHECKING:
    from tokensvc.web.front import ConnectionTerms
    from tokensvc.web.worker import Worker

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

# RFC 9110 §5.6.2 and §5.5.
_TOKEN: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_LINE_BREAK: Final = re.compile(rb"[\r\n]")


class FieldParser(PythonProtocol):  # type: ignore[misc] # gunicorn ships no types.
    """gunicorn's parser. It checks a header field as a whole, which gunicorn does byte by byte."""

    __slots__ = ()

    def _is_valid_token(self, data: bytes) -> bool:
        return _TOKEN.fullmatch(data) is not None

    def _has_invalid_header_chars(self, value: bytes) -> bool:
        return _CONTROL.search(value) is not None


class Connection(ASGIProtocol):  # type: ignore[misc] # gunicorn ships no types.
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
        """Accept the connection, unless the worker has too many."""
        if not self.worker.has_room():
            self._is_refused = True
            transport.abort()
            return
        self.worker.connections.add(self)
        super().connection_made(transport)
        self._wait_for("first head")
        self._expect("head", self._terms.head_seconds)

    def data_received(self, data: bytes) -> None:
        """Read a part of a request."""
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
        """Forget the connection."""
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
        """Limit how long the client may not read."""
        super().pause_writing()
        self._limit_writing()

    def resume_writing(self) -> None:
        """The client reads again."""
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

    # --- Requests and answers

    def _setup_callback_parser(self) -> None:
        """Use our parser, whatever other parser is installed beside gunicorn."""
        self._callback_parser = FieldParser(
            on_headers_complete=self._on_headers_complete,
            on_body=self._on_body,
            on_message_complete=self._on_message_complete,
            limit_request_line=self.cfg.limit_request_line,
            limit_request_fields=self.cfg.limit_request_fields,
            limit_request_field_size=self.cfg.limit_request_field_size,
        )

    async def _serve_http_request(self, request: Any, sockname: Any, peername: Any) -> bool:
        """Answer one request; whether the connection stays open.

        gunicorn's own method runs a task for each request and supports responses that are sent in
        parts. Ours come whole, and without these two a request costs a tenth less.
        """
        messages: list[Mapping[str, Any]] = []

        async def send(message: Mapping[str, Any]) -> None:
            messages.append(message)

        scope = self._build_http_scope(request, sockname, peername)
        try:
            await self.app(scope, self._body_receiver.receive, send)
        except Exception:
            self.log.exception("The service failed because of an internal error.")
            self._send_error_response(HTTPStatus.INTERNAL_SERVER_ERROR, "")
            return False
        if self._closed or not messages:
            return False  # The client has left.
        start, end = messages
        return self._send_response(request, start["status"], start["headers"], end["body"])

    def _send_response(
        self, request: Any, status: int, headers: list[tuple[bytes, bytes]], body: bytes
    ) -> bool:
        if any(_LINE_BREAK.search(value) for _, value in headers):
            self.log.error("A response has a line break in a header field, and was not sent.")
            self._send_error_response(HTTPStatus.INTERNAL_SERVER_ERROR, "")
            return False
        closes = self._will_close(request, response_requires_close=False)
        if self._response_omits_body(request.method, status):
            headers, body = self._strip_body_framing_headers(headers, status), b""
        self._send_response_start(status, headers, request, close=closes)
        self._send_body(body)
        return not closes

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
