"""One connection of a worker: slow clients hurt no other client.

A connection reads a whole request, bounded, before the application gets it, and then reads on only
for the next one. Each phase has a deadline: the head, the body, the time between two requests, and
the time in which the client reads nothing of a response. What is not valid HTTP is answered with a
problem document.
"""

from __future__ import annotations

import asyncio
import math
import select
import time
from collections.abc import Coroutine
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from gunicorn.asgi.parser import ParseError

from tokensvc.web import http1
from tokensvc.web.http1 import FieldParser, Response
from tokensvc.web.http_refusals import refusal, request_id_of_refused

if TYPE_CHECKING:
    from tokensvc.web.worker import Worker

FIRST_HEAD: Final = "first head"
IDLE: Final = "idle"
BODY: Final = "body"
UNREAD: Final = "unread"
WAITING: Final = (FIRST_HEAD, IDLE, BODY, UNREAD)
"""What a connection waits for from its client, in the order in which a full worker closes those
that wait. A later request whose head is not whole counts as `idle`."""

_MAX_REQUEST_BYTES: Final = 2 * http1.MAX_BODY_BYTES
"""Of a whole request as it is sent: chunks of one byte need six, and much time to be read."""
_EMPTY_LINE_PARTS: Final = (b"\r\n", b"\r", b"\n")
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_LINGER_SECONDS: Final = 2.0
_MAX_PARSED_BYTES: Final = 16 * 1024
"""In one turn of the loop: chunks of one byte take 5 ms."""
_MAX_UNREAD_BYTES: Final = 64 * 1024
"""Of responses: more are not made while the client does not read."""
_MAX_NEXT_BYTES: Final = 64 * 1024
"""Of later requests, while one is answered: more stay in the socket."""


class Connection(asyncio.Protocol):
    """One connection: its requests are answered one after another."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._front = worker.front
        self._terms = worker.front.terms
        self._opened_at = time.monotonic()
        self._answered = 0
        self._waits_for: str | None = None
        self._deadline_at = math.inf  # All times are those of `time.monotonic`.
        self._write_deadline_at = math.inf
        self._has_begun = False  # The client has sent the first byte of the first request.
        self._has_ended = False  # It sends no more. It may still read.
        self._is_between_requests = False
        self._is_answering = False
        self._is_closed = False
        self._parser = FieldParser(
            on_headers_complete=self._take_head,
            on_body=self._take_body,
            limit_request_line=worker.cfg.limit_request_line,
            limit_request_fields=worker.cfg.limit_request_fields,
            limit_request_field_size=worker.cfg.limit_request_field_size,
        )
        self._received_at: float | None = None
        self._body = bytearray()
        self._request_bytes = 0
        self._unparsed = b""
        self._next = b""

    # --- The transport

    def connection_made(self, transport: Any) -> None:
        """Accept the connection, unless the worker has too many."""
        self._transport = transport
        if not self._worker.has_room():
            self._is_closed = True
            self._transport.abort()
            return
        self._worker.connections.add(self)
        self._transport.set_write_buffer_limits(high=_MAX_UNREAD_BYTES)
        self._environ = http1.environ_of_connection(transport)
        self._wait_for(FIRST_HEAD)
        self._deadline_at = self._opened_at + self._terms.head_seconds

    def data_received(self, data: bytes) -> None:
        """Read a part of a request."""
        if self._is_closed:
            return
        self._has_begun = True
        if self._unparsed:
            self._unparsed += data
            return
        if self._is_answering:
            self._next += data
            if len(self._next) > _MAX_NEXT_BYTES:
                self._transport.pause_reading()
            return
        if self._is_between_requests:
            self._begin_next_head(data)
        self._feed(data)

    def eof_received(self) -> bool:
        """Answer the whole requests that the client has sent, then close the connection."""
        self._has_ended = True
        if self._is_closed:
            self._transport.close()
        elif not self._is_answering and not self._unparsed:
            self._end()
        return True  # The transport stays open for what the client still reads.

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        del exc  # The client has left, or we have closed the connection.
        self._is_closed = True
        self._forget()

    def pause_writing(self) -> None:
        """Limit how long the client may not read."""
        self._limit_writing()

    def resume_writing(self) -> None:
        """The client reads again."""
        if self._is_closed:
            return
        self._write_deadline_at = math.inf
        if self._is_between_requests:
            self._read_next()
        elif self._is_answering:
            self._wait_for(None)
        else:
            self._wait_for(IDLE if self._received_at is None else BODY)
            self._transport.resume_reading()

    # --- A request

    def _feed(self, data: bytes) -> None:
        """Parse as much as one turn allows, and the rest in later ones."""
        self._unparsed = b""
        self._feed_part(data[:_MAX_PARSED_BYTES])
        rest = data[_MAX_PARSED_BYTES:]
        if self._is_answering:
            self._next = rest + self._next
        elif rest and not self._is_closed:
            self._unparsed = rest
            self._transport.pause_reading()
            self._worker.loop.call_soon(self._feed_rest)

    def _feed_rest(self) -> None:
        if self._is_closed:
            return
        self._feed(self._unparsed)
        if self._unparsed or self._is_answering or self._is_closed:
            return
        if self._has_ended:
            self._end()
        elif self._write_deadline_at == math.inf:
            self._transport.resume_reading()

    def _feed_part(self, data: bytes) -> None:
        try:
            self._parser.feed(data)
        except (ParseError, ValueError) as exc:  # ValueError: a number with too many digits.
            self._refuse(http1.status_of_refusal(exc))
            return
        self._request_bytes += len(data)
        if self._parser.is_complete or len(self._body) > http1.MAX_BODY_BYTES:
            self._is_answering = True
            self._deadline_at = math.inf
            self._wait_for(None)
            self._worker.loop.call_soon(self._answer)
        elif self._request_bytes > _MAX_REQUEST_BYTES:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        elif self._received_at is not None and self._waits_for != BODY:
            self._wait_for(BODY)
            self._deadline_at = self._received_at + self._terms.body_seconds
            if not self._body and http1.expects_continue(self._parser):
                self._transport.write(_CONTINUE)

    def _take_head(self) -> bool:
        http1.check_transfer_coding(self._parser)
        self._received_at = time.monotonic()
        return False

    def _take_body(self, part: bytes) -> None:
        self._body += part

    def _answer(self) -> None:
        if self._is_closed:
            return
        body = bytes(self._body[: http1.MAX_BODY_BYTES + 1])
        try:
            environ = http1.environ_of(self._parser, body, self._environ)
            environ[http1.RECEIVED_AT] = self._received_at
            environ[http1.DRAINING] = self._worker.is_draining
            answer = self._front(environ, self._has_left)
        except Exception as exc:  # noqa: BLE001 # A bug; `_fail` logs it.
            self._fail(exc)
            return
        if isinstance(answer, Response):
            self._send(answer)
        else:
            self._worker.run_task(self._answer_later(answer))

    async def _answer_later(self, answer: Coroutine[Any, Any, Response | None]) -> None:
        try:
            response = await answer
        except Exception as exc:  # noqa: BLE001 # A bug; `_fail` logs it.
            self._fail(exc)
            return
        if response is not None:
            self._send(response)
        elif not self._is_closed:
            self._close()

    def _has_left(self) -> bool:
        # Most clients that send no more have left: a batch, which is long, is not made for them.
        return self._is_closed or self._has_ended

    def _fail(self, bug: Exception) -> None:
        message = "The service failed because of an internal error."
        self._worker.log.error(message, exc_info=bug)
        self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR)

    # --- Its response

    def _send(self, response: Response) -> None:
        if self._is_closed:
            return
        self._answered += 1
        closes = self._closes()
        try:
            data = http1.bytes_of(
                response,
                self._worker.date.now(),
                closes=closes,
                is_head=self._parser.method == b"HEAD",
            )
        except ValueError as exc:
            self._fail(exc)
            return
        self._transport.write(data)
        if closes:
            self._close()
        else:
            self._begin_next_request()

    def _closes(self) -> bool:
        return (
            self._worker.is_stopping
            or self._answered >= self._terms.max_requests
            or not self._parser.is_complete  # The rest of a body that was cut off may come.
            or not http1.keeps_connection(self._parser)
            or time.monotonic() - self._opened_at >= self._terms.max_seconds
        )

    def _begin_next_request(self) -> None:
        self._next = self._parser.remaining() + self._next
        self._parser.reset()
        self._received_at = None
        self._body.clear()
        self._request_bytes = 0
        self._is_answering = False
        self._is_between_requests = True
        self._deadline_at = time.monotonic() + self._worker.cfg.keepalive
        if self._write_deadline_at == math.inf:
            self._read_next()

    def _read_next(self) -> None:
        """Read the next request, of which the client may have sent a part already."""
        self._wait_for(IDLE)
        if not self._has_ended and not self._transport.is_reading():
            self._transport.resume_reading()
        if self._next:
            received, self._next = self._next, b""
            self._begin_next_head(received)
            self._feed(received)
        if self._has_ended and not self._is_answering and not self._unparsed:
            self._end()

    def _begin_next_head(self, data: bytes) -> None:
        if data in _EMPTY_LINE_PARTS:  # Some clients send one behind a body (RFC 9112 §2.2).
            return
        self._is_between_requests = False
        self._deadline_at = time.monotonic() + self._terms.head_seconds

    # --- Deadlines

    def check_deadline(self, now: float) -> None:
        """End the connection if its client is late at that time."""
        if now >= self._write_deadline_at:
            self._transport.abort()
        elif now >= self._deadline_at:
            if self._is_between_requests:
                self.close_if_idle()
            else:
                self._refuse(HTTPStatus.REQUEST_TIMEOUT)

    def _limit_writing(self) -> None:
        if self._write_deadline_at == math.inf:
            self._write_deadline_at = time.monotonic() + self._terms.write_seconds
            self._wait_for(UNREAD)
            self._transport.pause_reading()

    # --- The end

    def _end(self) -> None:
        """Refuse a request whose end does not come, or close the connection without one."""
        if self._has_begun and not self._is_between_requests:
            self._refuse(HTTPStatus.BAD_REQUEST)
        elif not self._is_closed:
            self._close()

    def close_if_idle(self) -> None:
        """Close the connection unless it has a request, or a part of one."""
        is_idle = self._is_between_requests or not self._has_begun
        if is_idle and not self.has_unread_bytes():
            self._close()

    def has_unread_bytes(self) -> bool:
        """Whether the kernel has bytes of the client, or its end, that the loop has not read."""
        poll = select.poll()
        poll.register(self._transport.get_extra_info("socket").fileno(), select.POLLIN)
        return bool(poll.poll(0))

    def evict(self) -> None:
        """Abort the connection, which waits for its client, to make room for another."""
        self._is_closed = True
        self._forget()
        self._transport.abort()

    def _refuse(self, status: HTTPStatus) -> None:
        """Answer with an error instead of the application, and close the connection."""
        if self._is_closed:
            return
        request_id = request_id_of_refused(self._parser)
        response, size_bytes = refusal(status, request_id)
        if (cors := self._front.cors) is not None:
            response = cors.added_to(response, cors.fields_of_refused(self._parser))
        if self._has_begun:  # A connection that was only opened is no request.
            peer_address = self._environ["REMOTE_ADDR"]
            self._front.record_refusal(
                peer_address, status, size_bytes=size_bytes, request_id=request_id
            )
        date = self._worker.date.now()
        is_head = self._parser.method == b"HEAD"
        self._transport.write(http1.bytes_of(response, date, closes=True, is_head=is_head))
        self._close()

    def _close(self) -> None:
        self._is_closed = True
        self._deadline_at = math.inf
        is_sending = self._has_begun and not self._is_between_requests
        if is_sending and not self._parser.is_complete and not self._has_ended:
            # RFC 9112 §9.6: bytes that come after a close reset the connection, and the response
            # may be lost. They are read and ignored for a moment.
            self._write_deadline_at = time.monotonic() + _LINGER_SECONDS
            self._wait_for(UNREAD)
            self._transport.write_eof()
            self._transport.resume_reading()
            return
        # close() waits until the client has read everything.
        self._limit_writing()
        self._transport.close()

    def _wait_for(self, what: str | None) -> None:
        """Record what the connection waits for; None while it answers a request."""
        if self._waits_for is not None:
            self._worker.waiting[self._waits_for].pop(self, None)
        self._waits_for = what
        if what is not None:
            self._worker.waiting[what][self] = None

    def _forget(self) -> None:
        self._wait_for(None)
        self._worker.connections.discard(self)
