"""The bookkeeping of a connection: on an event loop of the test, with a worker and real sockets.

The deadlines are checked with times in the future, so that no test waits for one.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import uvloop
from gunicorn.config import Config
from gunicorn.glogging import Logger

from tests.support import event_loop
from tests.web.worker.server import code_of
from tokensvc.web.connection import BODY, UNREAD, Connection
from tokensvc.web.front import Front
from tokensvc.web.worker import Worker

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

MOST_UNREAD_BYTES = 65_536  # More pause writing.
HEAD_BYTES = 56  # The status and the date.
RESPONSE_BYTES = 40_000
PATIENCE_SECONDS = 10.0
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


class Application:
    """Answers with as many bytes as the query says."""

    def start(self) -> None:
        """Nothing to start."""

    def close(self) -> None:
        """Nothing was started."""

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        start_response("200 OK", [])
        return [b"x" * int(environ["QUERY_STRING"] or RESPONSE_BYTES)]


class Observed(Connection):
    """A connection whose transport the test can look at."""

    transport: Any
    longest_part = 0

    def _feed_part(self, data: bytes) -> None:
        self.longest_part = max(self.longest_part, len(data))
        super()._feed_part(data)

    def connection_made(self, transport: Any) -> None:
        """Keep the transport."""
        self.transport = transport
        super().connection_made(transport)


@dataclass(frozen=True)
class Served:
    """A worker, a client, and the connection between them."""

    worker: Worker
    client: socket.socket
    connection: Observed

    async def send(self, data: bytes) -> None:
        """Send these bytes."""
        await asyncio.get_running_loop().sock_sendall(self.client, data)

    async def read(self) -> None:
        """Read until nothing comes any more."""
        while await self.has_more():
            pass

    async def has_more(self) -> bool:
        """Read once; whether anything came."""
        read = asyncio.get_running_loop().sock_recv(self.client, 1_000_000)
        try:
            return bool(await asyncio.wait_for(read, 0.3))
        except (TimeoutError, ConnectionResetError):
            return False

    async def response(self) -> bytes:
        """One response, whose body is at most as long as its first segment."""
        loop = asyncio.get_running_loop()
        return await asyncio.wait_for(loop.sock_recv(self.client, 65_536), PATIENCE_SECONDS)

    async def leave_responses_unread(self) -> None:
        """Send requests until one more response pauses writing: MOST_UNREAD_BYTES may wait."""
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        while (
            self.connection.transport.get_write_buffer_size() <= MOST_UNREAD_BYTES - RESPONSE_BYTES
        ):
            assert time.monotonic() < give_up_at
            await self.send(GET)
            await asyncio.sleep(0.005)
        assert self.waits_for() != UNREAD

    def waits_for(self) -> str | None:
        """What the connection waits for."""
        waiting = self.worker.waiting
        return next((what for what in waiting if self.connection in waiting[what]), None)


@asynccontextmanager
async def served() -> AsyncIterator[Served]:
    """Serve one client, which receives little at once."""
    loop = asyncio.get_running_loop()
    config = Config()
    worker = Worker(0, 0, [], None, 30, config, Logger(config))
    worker.loop = loop
    worker.front = Front(Application(), threads=1)
    made: list[Observed] = []

    def connect() -> Observed:
        made.append(Observed(worker))
        return made[-1]

    server = await loop.create_server(connect, "127.0.0.1", 0)
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        client.settimeout(0)
        await loop.sock_connect(client, server.sockets[0].getsockname())
        await until(lambda: bool(made and made[0] in worker.connections))
        try:
            yield Served(worker, client, made[0])
        finally:
            made[0].transport.abort()
            server.close()
            worker.tmp.close()


async def until(is_so: Callable[[], bool]) -> None:
    """Wait until it is so."""
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < give_up_at
        await asyncio.sleep(0.005)


def test_a_client_that_ends_without_reading_is_disconnected() -> None:
    """Its end looks like a request that was not read yet, for as long as it stays."""

    async def check() -> None:
        async with served() as one:
            await one.leave_responses_unread()
            one.client.shutdown(socket.SHUT_WR)
            await asyncio.sleep(0.1)
            one.connection.check_deadline(time.monotonic() + 1_000)
            await until(lambda: not one.worker.connections)

    event_loop.run(check(), uvloop.run)


def test_a_request_that_pauses_writing_is_read_on() -> None:
    """`100 Continue` is one byte too many, and the body comes after the client has read it."""
    post = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"

    async def check() -> None:
        async with served() as one:
            await one.leave_responses_unread()
            left = MOST_UNREAD_BYTES - one.connection.transport.get_write_buffer_size()
            size = left - HEAD_BYTES - 10
            await one.send(b"GET /?%d HTTP/1.1\r\nHost: a\r\n\r\n" % size)
            await asyncio.sleep(0.1)
            assert one.waits_for() != UNREAD
            await one.send(post)
            await until(lambda: one.waits_for() == UNREAD)
            await one.read()
            assert one.waits_for() == BODY
            await one.send(b"hi")
            assert await one.has_more()

    event_loop.run(check(), uvloop.run)


def test_a_long_request_takes_several_turns_of_the_loop() -> None:
    """Chunks of one byte are parsed 16 KiB at a time, in order, up to a pipelined request."""
    head = b"POST /?7 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = 20_000 * b"1\r\nx\r\n"

    async def check() -> None:
        async with served() as one:
            one.connection.data_received(head + chunks + b"0\r\n\r\nGET /?5 HTTP/1.1\r\nHost: a")
            await one.send(b"\r\n\r\n")
            received = b""
            while received.count(b"\r\n\r\n") < 2 or not received.endswith(b"xxxxx"):
                received += await asyncio.get_running_loop().sock_recv(one.client, 65_536)
            first, second = received.split(b"HTTP/1.1 200 OK")[1:]
            assert (first[-9:], second[-9:]) == (b"\r\n" + 7 * b"x", b"\r\n\r\n" + 5 * b"x")
            assert one.connection.longest_part == 16_384

    event_loop.run(check(), uvloop.run)


def test_a_body_in_tiny_chunks_is_refused() -> None:
    """It takes six times its size, and the time to read it from all other clients."""
    head = b"POST /?7 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

    async def check() -> None:
        async with served() as one:
            await one.send(head + 1_000 * b"1\r\na\r\n" + b"0\r\n\r\n")
            assert (await one.response()).startswith(b"HTTP/1.1 200 ")
            await one.send(head + 400_000 * b"1\r\na\r\n")  # 2.4 MB; what is left is ignored.
            assert code_of(await one.response()) == (413, "body_too_large")

    event_loop.run(check(), uvloop.run)


def test_an_empty_line_behind_a_request_begins_none() -> None:
    """The connection stays idle, and is closed without a response that no request asked for."""

    async def check() -> None:
        async with served() as one:
            await one.send(GET + b"\r\n")
            await one.read()
            one.connection.check_deadline(time.monotonic() + 1_000)
            assert not await one.has_more()

    event_loop.run(check(), uvloop.run)
