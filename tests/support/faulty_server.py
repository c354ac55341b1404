"""A server with scripted responses: AWS errors, invalid content, no response, closed connections.

For faults that IVS and Local IVS can't produce on request. boto3 calls it over real HTTP, like IVS.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_MAX_WAIT_SECONDS = 30.0


@dataclass(frozen=True)
class Answer:
    """An HTTP response. A dict is sent as JSON. Its Date is the machine's time.

    `error_type` is the header `x-amzn-ErrorType`, `request_id` is `x-amzn-RequestId`.
    """

    status: int
    body: object = field(default_factory=dict)
    error_type: str = ""
    request_id: str = ""

    @property
    def content(self) -> bytes:
        """The body's bytes."""
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


class Fault(Enum):
    """A fault instead of a response."""

    NO_RESPONSE = auto()
    DROPPED_CONNECTION = auto()


@dataclass(frozen=True)
class Request:
    """A received request, such as `POST /GetChannel`, and its JSON body; empty for another body."""

    path: str
    body: dict[str, Any]
    user_agent: str


def refusal(status: int, error_type: str, text: str = "No.") -> Answer:
    """An error in IVS's format: the type in a header, the message in `exceptionMessage`."""
    return Answer(status, {"exceptionMessage": text}, error_type, request_id="request-1")


class FaultyServer:
    """Responds with the script's items in order, and repeats the last one.

    Attributes:
        url: the base URL.
        requests: the received requests, in order.
    """

    def __init__(self, script: Sequence[Answer | Fault]) -> None:
        self.requests: list[Request] = []
        self._script = list(script)
        self._closing = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}
        )
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def start(self) -> None:
        """Start to listen."""
        self._thread.start()

    def close(self) -> None:
        """Stop listening, and close the connections of waiting clients."""
        self._closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def operations(self) -> list[str]:
        """The names of the requested operations, in order."""
        return [request.path.removeprefix("/") for request in self.requests]

    def _next(self, request: Request) -> Answer | Fault:
        self.requests.append(request)
        return self._script.pop(0) if len(self._script) > 1 else self._script[0]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            """Reads one request, sends the script's next item, and closes the connection."""

            def do_POST(self) -> None:
                """Respond."""
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                user_agent = self.headers.get("User-Agent", "")
                item = server._next(Request(self.path, _json_of(body), user_agent))
                if isinstance(item, Answer):
                    self.send_response(item.status)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(item.content)))
                    if item.error_type:
                        self.send_header("x-amzn-ErrorType", item.error_type)
                    if item.request_id:
                        self.send_header("x-amzn-RequestId", item.request_id)
                    self.end_headers()
                    self.wfile.write(item.content)
                    return
                if item is Fault.NO_RESPONSE:
                    server._closing.wait(_MAX_WAIT_SECONDS)
                self.connection.shutdown(socket.SHUT_RDWR)

            do_GET = do_POST  # noqa: N815 - The name that the base class calls.

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name.
                """Log nothing. The tests read `requests`."""

        return Handler


def _json_of(body: bytes) -> dict[str, Any]:
    """The JSON of IVS's requests. AWS STS gets a form."""
    try:
        parsed: dict[str, Any] = json.loads(body or b"{}")
    except ValueError:
        return {}
    return parsed


@contextlib.contextmanager
def faulty_server(*script: Answer | Fault) -> Iterator[FaultyServer]:
    """Run a server with this script, and close it when the block ends."""
    server = FaultyServer(script)
    server.start()
    try:
        yield server
    finally:
        server.close()
