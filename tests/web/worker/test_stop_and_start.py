"""gunicorn with our worker: SIGTERM and SIGHUP lose no request, and a failed start stops no other.

"Lost" is a request on a connection that was accepted, without an answer.
"""

from __future__ import annotations

import http.client
import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import pytest

from tests.web.worker.server import GOOD, TERMS, Server, read_all, read_response, running

DRAIN_SECONDS = 3.0
HEALTH_CHECK_SECONDS = 0.2
PAUSE_SECONDS = 0.005
"""Between two requests of a client: without it, the clients would take all of the machine."""
ROLLING = replace(TERMS, drain_seconds=1.0)
DRAINING = replace(TERMS, drain_seconds=DRAIN_SECONDS)
PROCESS = b"GET /process HTTP/1.1\r\nHost: a\r\n\r\n"
WAIT_ONE_SECOND = b"GET /wait?1 HTTP/1.1\r\nHost: a\r\n\r\n"


def process_of(server: Server) -> tuple[int, bool]:
    """The process that answers a new connection, and whether it drains."""
    return _parse_process(server.get("/process")[1])


def _parse_process(body: bytes) -> tuple[int, bool]:
    pid, is_draining = body.split()
    return int(pid), is_draining == b"True"


def workers_of(server: Server) -> set[int]:
    """The process IDs of the workers."""
    pid = server.process.pid
    return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


def wait_until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Return once the condition is true."""
    give_up_at = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up_at
        time.sleep(0.05)


def refuses(server: Server) -> bool:
    """Whether nothing listens on the port."""
    try:
        server.connect().close()
    except ConnectionRefusedError:
        return True
    return False


def are_replaced(server: Server, workers: set[int]) -> bool:
    """Whether these workers have exited."""
    return not workers & workers_of(server)


def serving_workers(server: Server) -> set[int]:
    """The workers that answer: of 20 connections, each worker accepts some."""
    return {process_of(server)[0] for _ in range(20)}


def failed_starts(server: Server) -> int:
    """How many times the service could not start."""
    return server.log.read_text().count("The service can't start")


# --- SIGTERM


def test_sigterm_closes_idle_connections_and_finishes_requests(tmp_path: Path) -> None:
    """Also connections that have sent nothing. The listener closes before the last request ends."""
    with (
        running(tmp_path) as server,
        server.connect(GOOD) as idle,
        server.connect() as silent,
        server.connect(b"GET /wait?2 HTTP/1.1\r\nHost: a\r\n\r\n") as busy,
    ):
        read_response(idle)
        time.sleep(0.3)
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: refuses(server))
        assert select.select([busy], [], [], 0.0)[0] == []
        assert read_response(busy)[1] == b"waited"
        assert server.process.wait(10) == 0
        assert read_all(idle) == b""
        assert read_all(silent) == b""


def test_a_draining_service_serves_and_lets_go_of_its_clients(tmp_path: Path) -> None:
    """Each response says that the connection closes, so that clients move to another replica."""
    with running(tmp_path, DRAINING) as server, server.connect(GOOD) as kept:
        assert b"connection: close" not in read_response(kept)[0].lower()
        pid, is_draining = process_of(server)
        assert not is_draining
        server.process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        wait_until(lambda: process_of(server) == (pid, True), DRAIN_SECONDS)
        time.sleep(1.2)  # An idle connection is not closed as long as the service drains.
        kept.sendall(PROCESS)
        head, body = read_response(kept)
        assert b"connection: close" in head.lower()
        assert _parse_process(body) == (pid, True)
        wait_until(lambda: refuses(server))
        assert time.monotonic() - began >= DRAIN_SECONDS - 0.5
        assert server.process.wait(10) == 0


def test_sigquit_ends_a_drain(tmp_path: Path) -> None:
    """The second, impatient signal of an operator."""
    with running(tmp_path, replace(TERMS, drain_seconds=15.0)) as server:
        assert not process_of(server)[1]
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: process_of(server)[1])
        server.process.send_signal(signal.SIGQUIT)
        assert server.process.wait(8) == 0


def test_connections_that_the_kernel_has_accepted_are_answered(tmp_path: Path) -> None:
    """The worker has not, because it was busy when it was stopped."""
    with running(tmp_path) as server, ExitStack() as stack:
        process_of(server)
        busy = stack.enter_context(server.connect(b"GET /block?2 HTTP/1.1\r\nHost: a\r\n\r\n"))
        time.sleep(0.3)
        server.process.send_signal(signal.SIGTERM)
        waiting = [stack.enter_context(server.connect(GOOD)) for _ in range(50)]
        assert [read_response(connection)[1] for connection in waiting] == [b"2"] * 50
        assert read_response(busy)[1] == b""
        assert server.process.wait(10) == 0


def test_a_worker_that_is_stopped_while_it_starts_ends_at_once(tmp_path: Path) -> None:
    """Before it handles signals itself, too: gunicorn would wait for `graceful_timeout`."""
    with running(tmp_path, WORKERS="4") as server:
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(10) == 0


# --- SIGHUP


def test_a_reload_is_no_drain(tmp_path: Path) -> None:
    """The old worker stops to accept at once, never says that it drains, and loses no request."""
    with (
        running(tmp_path, DRAINING) as server,
        server.connect(PROCESS) as kept,
        server.connect(WAIT_ONE_SECOND) as busy,
    ):
        old, _ = _parse_process(read_response(kept)[1])
        time.sleep(0.3)
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: len(workers_of(server)) == 2)
        kept.sendall(PROCESS)
        head, body = read_response(kept)
        assert _parse_process(body) == (old, False)
        assert read_response(busy)[1] == b"waited"
        new, is_draining = process_of(server)
        assert (new == old, is_draining) == (False, False)
        wait_until(lambda: old not in workers_of(server), DRAIN_SECONDS)
        assert b"connection: close" in head.lower() or read_all(kept) == b""
        # The new worker was not replaced: it drains.
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: process_of(server) == (new, True))


# --- Under load


@dataclass
class Clients:
    """Clients that send one request after another, most of them on connections that they keep."""

    port: int
    answered: int = 0
    lost: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self, count: int) -> Iterator[None]:
        """Send requests until the block ends, or nothing listens any more."""
        threads = [threading.Thread(target=self._run, args=(number,)) for number in range(count)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.stop.set()
            for thread in threads:
                thread.join()

    def wait_for(self, count: int) -> None:
        """Return after that many more answers."""
        wanted = self.answered + count
        wait_until(lambda: self.answered >= wanted)

    def _run(self, number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        while not self.stop.wait(PAUSE_SECONDS):
            try:
                connection.connect() if connection.sock is None else None
            except ConnectionRefusedError:
                return  # The service has stopped, and has accepted nothing.
            try:
                connection.request(
                    "POST", "/", b"hi", {"Connection": "close"} if number == 0 else {}
                )
                response = connection.getresponse()
                assert (response.status, response.read()) == (200, b"2")
                self.answered += 1
            except (OSError, http.client.HTTPException) as exc:
                self.lost.append(repr(exc))
                connection.close()
        connection.close()


def test_no_request_is_lost_under_load(tmp_path: Path) -> None:
    """During three reloads and a stop with two workers."""
    with running(tmp_path, replace(TERMS, head_seconds=8.0), WORKERS="2") as server:
        clients = Clients(server.port)
        with clients.running(8):
            for _ in range(3):
                old = workers_of(server)
                server.process.send_signal(signal.SIGHUP)
                wait_until(partial(are_replaced, server, old))
                clients.wait_for(50)
            server.process.send_signal(signal.SIGTERM)
            assert server.process.wait(15) == 0
    assert clients.lost == []
    assert clients.answered > 150


@dataclass
class Balancer:
    """What a load balancer does: it sends a request to a replica whose last health check was good.

    Each request has a connection of its own, and none is sent again.
    """

    ports: tuple[int, int]
    healthy: set[int] = field(default_factory=set)
    answered: int = 0
    lost: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self, clients: int) -> Iterator[None]:
        """Check the replicas and send requests until the block ends."""
        targets = [self._check, *clients * [self._send]]
        threads = [threading.Thread(target=target) for target in targets]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.stop.set()
            for thread in threads:
                thread.join()

    def _check(self) -> None:
        while not self.stop.wait(HEALTH_CHECK_SECONDS):
            self.healthy = {port for port in self.ports if self._is_healthy(port)}

    def _is_healthy(self, port: int) -> bool:
        try:
            _, is_draining = _parse_process(self._body(port, "/process"))
        except OSError:
            return False
        return not is_draining

    def _send(self) -> None:
        while not self.stop.wait(PAUSE_SECONDS):
            for port in sorted(self.healthy):
                try:
                    assert self._body(port, "/") == b"0"
                    self.answered += 1
                except (OSError, http.client.HTTPException) as exc:
                    self.lost.append(repr(exc))

    def _body(self, port: int, path: str) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        with closing(connection):
            connection.request("GET", path)
            response = connection.getresponse()
            assert response.status == 200
            return response.read()


def test_a_rolling_restart_of_two_replicas_loses_no_request(tmp_path: Path) -> None:
    """Each drains for 1 s, in which the balancer's next health check stops sending to it."""
    with ExitStack() as stack:
        replicas = [
            stack.enter_context(running(tmp_path / name, ROLLING)) for name in ("one", "two")
        ]
        balancer = Balancer((replicas[0].port, replicas[1].port))
        with balancer.running(clients=4):
            for number, replica in enumerate(replicas):
                wait_until(lambda: balancer.healthy == set(balancer.ports))
                replica.process.send_signal(signal.SIGTERM)
                assert replica.process.wait(20) == 0
                again = running(tmp_path / f"again-{number}", ROLLING, PORT=str(replica.port))
                stack.enter_context(again)
            wait_until(lambda: balancer.healthy == set(balancer.ports))
        assert balancer.lost == []
        assert balancer.answered > 100


# --- A start that fails


@pytest.mark.parametrize("fault", ["state", "settings"])
def test_a_service_that_cannot_start_ends_gunicorn(tmp_path: Path, fault: str) -> None:
    """With the exit status that means so; it does not start the worker again and again."""
    (tmp_path / "fault").write_text(fault)
    with running(tmp_path, FAULT=str(tmp_path / "fault")) as server:
        assert server.process.wait(20) == 3
        assert failed_starts(server) == 1


def test_a_replaced_worker_that_cannot_start_stops_no_other(tmp_path: Path) -> None:
    """It is tried again, with a pause of 0.5 s, until it starts."""
    file = tmp_path / "fault"
    with running(tmp_path, FAULT=str(file), WORKERS="2") as server:
        for fault in ("state", "settings", "bug"):
            wait_until(lambda: len(serving_workers(server)) == 2)
            before = failed_starts(server)
            file.write_text(fault)
            os.kill(min(workers_of(server)), signal.SIGKILL)
            began = time.monotonic()
            while failed_starts(server) < before + 2:
                assert server.get() == (200, b"0")
                time.sleep(0.05)
            assert time.monotonic() - began >= 0.5
            file.unlink()
        wait_until(lambda: len(serving_workers(server)) == 2)
        assert server.process.poll() is None
