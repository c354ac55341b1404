"""gunicorn with our worker, and clients that are slow, silent or hostile, over real sockets."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from tests.web.worker.server import (
    GOOD,
    TERMS,
    Server,
    code_of,
    parsed,
    read_all,
    read_response,
    request_id_of,
    running,
    seconds,
)
from tokensvc.web.waiting_pool import MAX_QUEUE_AGE_SECONDS

LARGE_BYTES = 8 * 1024 * 1024  # What `/large` answers.
PARTIAL_HEAD = b"POST / HTTP/1.1\r\nHost: a\r\n"
PARTIAL_BODY = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\nhi"
PROMPT_SECONDS = 1.8  # Shorter than every deadline: an answer in this time waited for none.


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that the tests share which leave it as it was."""
    with running(tmp_path_factory.mktemp("server")) as server:
        yield server
        assert "SIGKILL" not in server.log.read_text()
        assert "Traceback" not in server.log.read_text()


@pytest.fixture(scope="module")
def failing_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server in whose log there are tracebacks."""
    with running(tmp_path_factory.mktemp("failing")) as server:
        yield server


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (b"", (408, "request_timeout")),
        (PARTIAL_HEAD, (408, "request_timeout")),
        (PARTIAL_BODY, None),
    ],
    ids=["silent", "partial-head", "partial-body"],
)
def test_sixty_slow_clients_delay_no_other_client_and_are_closed(
    server: Server, sent: bytes, answer: tuple[int, str] | None
) -> None:
    """Good requests are answered at once all the while; each slow connection ends in time."""
    with ExitStack() as stack:
        slow = [stack.enter_context(server.connect(sent)) for _ in range(60)]
        assert seconds(lambda: [server.get() for _ in range(5)]) < PROMPT_SECONDS
        received = [read_all(connection) for connection in slow]
    if answer is not None:
        assert {code_of(response) for response in received} == {answer}


def test_one_byte_at_a_time_does_not_extend_the_deadline(server: Server) -> None:
    """The deadline is for the whole head."""
    with server.connect() as connection:
        began = time.monotonic()
        try:
            for byte in PARTIAL_HEAD * 10:
                connection.sendall(bytes([byte]))
                time.sleep(0.1)
        except (BrokenPipeError, ConnectionResetError):
            pass
        assert time.monotonic() - began < 5


def test_a_client_that_never_reads_is_disconnected(server: Server) -> None:
    """The response is larger than the buffers of the sockets."""
    with server.connect(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n") as connection:
        time.sleep(TERMS.write_seconds + 1)
        assert server.get()[0] == 200
        assert len(read_all(connection)) < LARGE_BYTES


def test_a_client_that_reads_gets_a_large_response_whole(server: Server) -> None:
    """Slower than at once, and within the deadline for each pause."""
    status, body = server.get("/large")
    assert (status, len(body)) == (200, LARGE_BYTES)


def test_a_connection_is_kept_for_the_next_request(server: Server) -> None:
    """Also for two that were sent at once, and until it has been idle for `keepalive`."""
    with server.connect(GOOD) as connection:
        assert read_response(connection)[1] == b"2"
        connection.sendall(GOOD)
        assert read_response(connection)[1] == b"2"
        idle = seconds(lambda: read_all(connection))
        assert 0.5 < idle < 5
    with server.connect(GOOD + GOOD) as connection:
        assert read_all(connection).count(b"HTTP/1.1 200") == 2


def test_a_response_to_head_has_a_length_and_no_body(server: Server) -> None:
    """The next response follows directly."""
    head = GOOD.replace(b"POST", b"HEAD")
    with server.connect(head + GOOD) as connection:
        first, second, body = read_all(connection).split(b"\r\n\r\n")
    assert b"content-length: 1" in first.lower()
    assert second.startswith(b"HTTP/1.1 200")
    assert body == b"2"


@pytest.mark.parametrize("path", ["/bug", "/split"])
def test_a_failure_of_the_application_is_a_problem_and_closes_the_connection(
    failing_server: Server, path: str
) -> None:
    """Also a header field with a line break, which would add a field or a response."""
    with failing_server.connect(GOOD.replace(b" / ", f" {path} ".encode())) as c:
        response = read_all(c)
        assert code_of(response) == (500, "internal_error")
        assert b"Set-Cookie" not in response
        assert failing_server.get("/")[0] == 200


@pytest.mark.parametrize(("offered", "is_taken"), [("id-1", True), ("two words", False)])
def test_a_refusal_of_the_server_has_the_id_of_the_request(
    server: Server,
    offered: str,
    is_taken: bool,  # noqa: FBT001 - pytest passes it by name.
) -> None:
    """If it was read before the fault, and is valid; the log has the same ID."""
    head = f"GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: {offered}\r\nA b: c\r\n\r\n"
    with server.connect(head.encode()) as connection:
        response = read_all(connection)
    assert code_of(response) == (400, "invalid_request")
    request_id = request_id_of(response)
    assert (request_id == offered) is is_taken
    assert f'"request_id":"{request_id}"' in server.log.read_text()


def test_the_head_of_a_later_request_has_the_same_deadline(server: Server) -> None:
    """It begins with the first byte, so an idle connection is no slow one."""
    with server.connect(GOOD) as connection:
        read_response(connection)
        connection.sendall(PARTIAL_HEAD)
        assert code_of(read_all(connection)) == (408, "request_timeout")


@pytest.mark.parametrize(
    ("request_bytes", "answer"),
    [
        (b"nonsense\r\n\r\n", (400, "invalid_request")),
        (b"GET / HTTP/1.1\r\nHost: a\r\nA b: c\r\n\r\n", (400, "invalid_request")),
        (b"GET /" + b"a" * 300 + b" HTTP/1.1\r\nHost: a\r\n\r\n", (414, "uri_too_long")),
        (
            b"GET / HTTP/1.1\r\nHost: a\r\n" + b"A: b\r\n" * 20 + b"\r\n",
            (431, "headers_too_large"),
        ),
        (
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: br\r\n\r\n",
            (501, "transfer_coding_unknown"),
        ),
        (
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            (501, "transfer_coding_unknown"),
        ),
    ],
    ids=["no-request", "bad-header-name", "long-line", "many-headers", "unknown-coding", "gzip"],
)
def test_what_is_not_valid_http_is_refused_with_a_problem_document(
    server: Server, request_bytes: bytes, answer: tuple[int, str]
) -> None:
    """The application does not see it, the connection is closed, and the access log has it."""
    with server.connect(request_bytes) as connection:
        assert code_of(read_all(connection)) == answer
    assert any(
        '"tokensvc.access"' in line and f'"status":{answer[0]},' in line and '"127.0.0.1"' in line
        for line in server.log.read_text().splitlines()
    )


CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "body",
    [
        b"zz\r\nhi\r\n0\r\n\r\n",
        b"-2\r\nhi\r\n0\r\n\r\n",
        b"0x2\r\nhi\r\n0\r\n\r\n",
        b" 2\r\nhi\r\n0\r\n\r\n",
        b"\r\nhi\r\n0\r\n\r\n",
        b"2\nhi\n0\n\n",
        b"2;a=\rb\r\nhi\r\n0\r\n\r\n",
        b"2\r\nhi, there\r\n0\r\n\r\n",
        b"2\r\nhi\r\nzz\r\n",
    ],
)
def test_malformed_chunks_are_refused(server: Server, body: bytes) -> None:
    """In the first chunk and later. Nothing is logged as an error."""
    with server.connect(CHUNKED + body) as connection:
        assert code_of(read_all(connection)) == (400, "invalid_request")
    assert "Traceback" not in server.log.read_text()


@pytest.mark.parametrize("length", [b"-2", b"+2", b"2, 3", b"2\r\nContent-Length: 3", b"9" * 5_000])
def test_a_malformed_content_length_is_refused(server: Server, length: bytes) -> None:
    """Among them one with more digits than Python converts to a number."""
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " + length + b"\r\n\r\n"
    with server.connect(head + b"hi") as connection:
        assert code_of(read_all(connection)) == (400, "invalid_request")
    assert "Traceback" not in server.log.read_text()


@pytest.mark.parametrize("cut_off", [PARTIAL_HEAD, PARTIAL_BODY, CHUNKED + b"5\r\nhi"])
def test_a_request_that_is_cut_off_is_refused(server: Server, cut_off: bytes) -> None:
    """The client ends the connection before the head, or a body as long as it said."""
    with server.connect(cut_off) as connection:
        connection.shutdown(socket.SHUT_WR)
        assert code_of(read_all(connection)) == (400, "invalid_request")


def test_a_client_that_sends_no_more_gets_the_answers_to_what_it_has_sent(server: Server) -> None:
    """One that waits in the pool, a pipelined one, and then a refusal of the part of a third."""
    waiting = b"GET /wait?0.3 HTTP/1.1\r\nHost: a\r\n\r\n"
    with server.connect(waiting + GOOD + PARTIAL_BODY) as connection:
        connection.shutdown(socket.SHUT_WR)
        first, second, third = read_all(connection).split(b"HTTP/1.1 ")[1:]
    assert (first[:3], first[-6:]) == (b"200", b"waited")
    assert (second[:3], second[-1:]) == (b"200", b"2")
    assert code_of(b"HTTP/1.1 " + third) == (400, "invalid_request")


def test_a_refusal_reaches_a_client_that_goes_on_sending(server: Server) -> None:
    """A connection that is closed while bytes arrive is reset, and its response may be lost."""
    head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
    with server.connect(head) as connection:
        for _ in range(20):
            connection.sendall(64 * b"x")
            time.sleep(0.01)
        assert code_of(read_all(connection)) == (400, "invalid_request")


def test_a_client_can_not_set_the_prefix_of_the_path(server: Server) -> None:
    """SCRIPT_NAME, which some servers read from a header, is empty."""
    for name in ("SCRIPT_NAME", "Script-Name"):
        head = f"GET /script-name HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{name}: /x\r\n\r\n"
        with server.connect(head.encode()) as connection:
            assert parsed(read_all(connection)) == (200, b'""')


def test_an_upgrade_to_another_protocol_is_not_taken(server: Server) -> None:
    """The request is answered as HTTP/1.1."""
    upgrade = (
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    with server.connect(upgrade) as connection:
        assert parsed(read_all(connection))[0] == 200


def test_a_client_of_java_gets_its_answer_over_http_1_1(server: Server) -> None:
    """It offers HTTP/2 with its first request, also with a body."""
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
    with server.connect(GOOD.replace(b"Host: a\r\n", b"Host: a\r\n" + offer)) as connection:
        head, body = read_response(connection)
        assert (head.split()[1], body) == (b"200", b"2")
        connection.sendall(GOOD)
        assert read_response(connection)[1] == b"2"


def test_a_client_that_asks_first_sends_its_body_after_100(server: Server) -> None:
    """`curl` does so with a body over 1 MiB (RFC 9110 §10.1.1)."""
    head = GOOD.partition(b"hi")[0].replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n")
    with server.connect(head) as connection:
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"hi")
        assert read_response(connection)[1] == b"2"
    with server.connect(head + b"hi") as connection:  # It did not wait.
        assert read_response(connection)[1] == b"2"


def test_requests_behind_a_large_response_are_answered_once_it_is_read(server: Server) -> None:
    """Not before: the responses to a client that does not read would fill the memory."""
    large = b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n"
    last = GOOD.replace(b"Host: a", b"Host: a\r\nConnection: close")
    with server.connect(3 * large + last) as connection:
        time.sleep(0.5)
        answers = read_all(connection)
    assert answers.count(b"HTTP/1.1 200 OK") == 4
    assert 3 * LARGE_BYTES < len(answers) < 3 * LARGE_BYTES + 4_096
    assert answers.endswith(b"2")


def test_a_large_body_is_cut_off(server: Server) -> None:
    """The application gets one byte more than any route accepts."""
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n"
    with server.connect(head) as connection:
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(b"x" * 3_000_000)
        response = read_all(connection)
    assert response == b"" or parsed(response) == (200, b"1048577")


def test_a_request_that_waits_delays_no_other_request(server: Server) -> None:
    """It runs again in a thread."""
    waited: list[tuple[int, bytes]] = []
    thread = threading.Thread(target=lambda: waited.append(server.get("/wait?4")))
    thread.start()
    time.sleep(0.3)
    assert seconds(lambda: [server.get() for _ in range(20)]) < PROMPT_SECONDS
    thread.join()
    assert waited == [(200, b"waited")]


def test_more_waiting_requests_than_the_pool_takes_are_refused(server: Server) -> None:
    """One thread takes one request, and 16 wait for it; the others are refused at once."""
    with ExitStack() as stack:
        wait = b"GET /wait?0.1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        connections = [stack.enter_context(server.connect(wait)) for _ in range(21)]
        answers = [read_all(connection) for connection in connections]
        statuses = [parsed(answer)[0] for answer in answers]
        assert sorted(statuses) == [200] * 17 + [503] * 4
        assert code_of(answers[-1]) == (503, "overloaded")
        assert server.get("/wait?0")[0] == 200


def test_no_request_is_queued_behind_one_that_has_waited_too_long(server: Server) -> None:
    """It is refused at once; those before it are answered."""
    with ExitStack() as stack:
        wait = b"GET /wait?2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        first, second = (stack.enter_context(server.connect(wait)) for _ in range(2))
        time.sleep(MAX_QUEUE_AGE_SECONDS + 0.3)
        with server.connect(wait) as third:
            assert seconds(lambda: code_of(read_all(third))) < PROMPT_SECONDS
        assert server.get()[0] == 200
        assert [parsed(read_all(connection))[0] for connection in (first, second)] == [200, 200]
        assert server.get("/wait?0")[0] == 200


def test_a_connection_is_closed_after_its_last_request(tmp_path: Path) -> None:
    """The response says so, and no request is lost."""
    with running(tmp_path, replace(TERMS, max_requests=2)) as server, server.connect(GOOD) as c:
        assert b"connection: close" not in read_response(c)[0].lower()
        c.sendall(GOOD)
        assert b"connection: close" in read_response(c)[0].lower()
        assert read_all(c) == b""


def test_an_old_connection_is_closed_with_its_next_response(tmp_path: Path) -> None:
    """So that a balancer's connections spread over new workers."""
    with running(tmp_path, replace(TERMS, max_seconds=0.0)) as server, server.connect(GOOD) as c:
        assert b"connection: close" in read_response(c)[0].lower()


def test_a_full_worker_closes_the_connection_that_has_waited_longest(tmp_path: Path) -> None:
    """Descriptors are bounded, and clients that send nothing keep no other client out."""
    with (
        running(tmp_path, replace(TERMS, head_seconds=8.0), CONNECTIONS="10") as server,
        ExitStack() as stack,
    ):
        idle = stack.enter_context(server.connect(GOOD))
        read_response(idle)
        silent = [stack.enter_context(server.connect(PARTIAL_HEAD[:n])) for n in range(9)]
        time.sleep(0.3)
        assert seconds(lambda: [server.get() for _ in range(3)]) < PROMPT_SECONDS
        assert [read_all(connection) for connection in silent[:1]] == [b""]
        silent[-1].settimeout(0.2)
        with pytest.raises(TimeoutError):
            silent[-1].recv(1)
        # A kept connection is closed only if no client has yet to send its first request.
        idle.sendall(GOOD)
        assert read_response(idle)[1] == b"2"


def test_a_full_worker_closes_no_connection_with_a_request(tmp_path: Path) -> None:
    """It refuses the new one, until it has room again."""
    with running(tmp_path, CONNECTIONS="5") as server, ExitStack() as stack:
        wait = b"GET /wait?0.4 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        busy = [stack.enter_context(server.connect(wait)) for _ in range(5)]
        time.sleep(0.3)
        assert read_all(stack.enter_context(server.connect(GOOD))) == b""
        assert [parsed(read_all(connection)) for connection in busy] == [(200, b"waited")] * 5
        assert server.get()[0] == 200
