"""Runs gunicorn with our worker and the configuration `served.py`, and reads its answers."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from tokensvc.web.front import ConnectionTerms

ROOT = Path(__file__).parents[3]
CONFIG = Path(__file__).with_name("served.py")
GOOD = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"
# Seconds. Long enough for a busy machine, and short enough for a test.
TERMS = ConnectionTerms(
    head_seconds=2.0, body_seconds=2.0, write_seconds=2.0, max_seconds=60.0, max_requests=100
)


@dataclass(frozen=True)
class Server:
    """A running gunicorn."""

    port: int
    process: subprocess.Popen[bytes]
    log: Path

    def connect(self, sent: bytes = b"", timeout: float = 10.0) -> socket.socket:
        """A connection on which these bytes were sent."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout)
        connection.sendall(sent)
        return connection

    def get(self, path: str = "/") -> tuple[int, bytes]:
        """The status and the body of a GET on a connection of its own."""
        with self.connect(
            f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode()
        ) as c:
            return parsed(read_all(c))


@contextmanager
def running(tmp_path: Path, terms: ConnectionTerms = TERMS, **environment: str) -> Iterator[Server]:
    """Run gunicorn with these terms."""
    tmp_path.mkdir(exist_ok=True)
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "--config", str(CONFIG)],
            cwd=ROOT,
            env={**os.environ, "TERMS": json.dumps(asdict(terms)), **environment},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield Server(_port(log, process), process, log)
    finally:
        process.terminate()
        try:
            process.wait(10)
        finally:
            process.kill()
            process.wait()


def _port(log: Path, process: subprocess.Popen[bytes]) -> int:
    give_up_at = time.monotonic() + 20
    while (found := re.search(r"Listening at: http://127.0.0.1:(\d+)", log.read_text())) is None:
        if process.poll() is not None:
            return 0
        assert time.monotonic() < give_up_at, log.read_text()
        time.sleep(0.02)
    return int(found[1])


def read_all(connection: socket.socket) -> bytes:
    """Everything up to the end of the connection; a reset is an end."""
    parts = []
    try:
        while part := connection.recv(65_536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def read_response(connection: socket.socket) -> tuple[bytes, bytes]:
    """The head and the body of one response."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(65_536)
        assert part, data
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(re.search(rb"(?i)content-length: (\d+)", head)[1])  # type: ignore[index]
    while len(body) < length:
        body += connection.recv(65_536)
    return head, body


def parsed(response: bytes) -> tuple[int, bytes]:
    """The status and the body of a response."""
    head, _, body = response.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


def code_of(response: bytes) -> tuple[int, str]:
    """The status and the code of a problem document. Fails for any other response."""
    status, body = parsed(response)
    assert b"application/problem+json" in response
    document = json.loads(body)
    assert document["status"] == status
    assert document["request_id"] == request_id_of(response)
    return status, document["code"]


def request_id_of(response: bytes) -> str:
    """The ID in the header of a response."""
    found = re.search(rb"(?i)\r\nx-request-id: ([^\r]+)", response)
    assert found is not None
    return found[1].decode()


def seconds(action: Callable[[], object]) -> float:
    """How long the action takes."""
    began = time.monotonic()
    action()
    return time.monotonic() - began
