"""More requests than a worker can serve, over real sockets. Each of them blocks the event loop."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.support.deadline import deadline
from tests.web.worker.server import Server, code_of, parsed, read_all, read_response, running

REQUESTS = 100
# 10 ms each: one second for all of them.
BUSY = b"GET /block?0.01 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


def test_what_waits_too_long_is_refused_and_every_connection_is_answered(tmp_path: Path) -> None:
    """None is reset. Health checks are answered, and all requests are served again afterwards."""
    pipe = tmp_path / "pipe"
    with running(tmp_path, PIPE=str(pipe)) as server, ExitStack() as stack:
        connections = [stack.enter_context(server.connect()) for _ in range(REQUESTS)]
        health = stack.enter_context(server.connect(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"))
        read_response(health)  # It is the last in the queue, so all others are accepted too.
        with worker_blocked(server, pipe):
            # They wait in their sockets meanwhile, and are read together: one round.
            for connection in connections:
                connection.sendall(BUSY)
            health.sendall(HEALTH)
        answers = [read_all(connection) for connection in connections]
        refused = [code_of(each) for each in answers if parsed(each)[0] == 503]
        assert parsed(read_all(health))[0] == 200
        assert {parsed(each)[0] for each in answers} == {200, 503}
        assert set(refused) == {(503, "overloaded")}
        # `MIN_SERVED` = 32 take 0.3 s, so every other one has waited for more than 30 ms. The
        # health check may be one of the 32.
        assert len(refused) in {REQUESTS - 32, REQUESTS - 31}
        assert [server.get("/block?0.01")[0] for _ in range(10)] == 10 * [200]
        assert server.log.read_text().count("Too many requests") == 1


@contextmanager
def worker_blocked(server: Server, pipe: Path) -> Iterator[None]:
    """The worker's event loop stands still until the block ends."""
    os.mkfifo(pipe)
    with (
        server.connect(b"GET /block-until-closed HTTP/1.1\r\nHost: a\r\n\r\n"),
        deadline(20),
        pipe.open("wb"),  # It opens when the worker reads it.
    ):
        yield


def test_many_new_connections_are_accepted_while_the_worker_is_busy(tmp_path: Path) -> None:
    """A client that always has a request of 0.1 s gets few answers meanwhile."""
    busy = b"GET /block?0.1 HTTP/1.1\r\nHost: a\r\n\r\n"
    answers = 0
    with running(tmp_path) as server, ExitStack() as stack:
        client = stack.enter_context(server.connect(busy))
        others: list[socket.socket] = []

        def open_others() -> None:
            others.extend(stack.enter_context(server.connect(HEALTH)) for _ in range(150))
            for each in others:
                read_all(each)

        thread = threading.Thread(target=open_others)
        thread.start()
        while thread.is_alive():
            read_response(client)
            client.sendall(busy)
            answers += 1
    assert len(others) == 150
    assert answers < 25
