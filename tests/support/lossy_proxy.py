"""A proxy in front of a stand-in for DynamoDB that loses requests or answers, as a network does.

The stand-in behind it is real, so a lost answer is one to a write that was carried out.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum, auto
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import urllib3

_FORWARDED: Final = ("Content-Type", "X-Amz-Target", "X-Amz-Date", "Authorization")
_ANSWERED: Final = ("Content-Type", "x-amzn-RequestId", "x-amz-crc32")


class Fate(Enum):
    """What the proxy does with a request."""

    ANSWERED = auto()
    REQUEST_LOST = auto()
    ANSWER_LOST = auto()


@dataclass(frozen=True)
class Call:
    """A request to DynamoDB.

    Attributes:
        operation: such as `PutItem`.
        body: its parameters.
    """

    operation: str
    body: dict[str, Any]

    @property
    def is_of_head(self) -> bool:
        """Whether it stores the head of a document."""
        return "ConditionExpression" in self.body


Decide = Callable[[Call], Fate]


class LossyProxy:
    """Forwards each request to a server, as `decide` says.

    Attributes:
        url: the URL of this proxy.
        decide: says what becomes of a request. It is called in the order in which they come.
        target_of: the server to which a request is forwarded; by default the same for all.
        after_forwarding: called with a request whose answer will be lost, when it was carried out.
        calls: the requests so far.
    """

    def __init__(self, target: str) -> None:
        self.calls: list[Call] = []
        self.decide: Decide = lambda _: Fate.ANSWERED
        self.after_forwarding: Callable[[Call], object] = lambda _: None
        self.target_of: Callable[[Call], str] = lambda _: target
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def serve(self) -> None:
        """Serve until `close`."""
        self._server.serve_forever(poll_interval=0.01)

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            """Forwards one request, and closes the connection."""

            def do_POST(self) -> None:
                """Answer, or close the connection without an answer."""
                body = self.rfile.read(int(self.headers["Content-Length"]))
                operation = self.headers["X-Amz-Target"].rpartition(".")[2]
                call = Call(operation, json.loads(body))
                proxy.calls.append(call)
                fate = proxy.decide(call)
                if fate is not Fate.REQUEST_LOST:
                    headers = {name: self.headers[name] for name in _FORWARDED}
                    answer = urllib3.request(
                        "POST", proxy.target_of(call), body=body, headers=headers
                    )
                    if fate is Fate.ANSWERED:
                        self.send_response(answer.status)
                        for name in _ANSWERED:
                            if name in answer.headers:
                                self.send_header(name, answer.headers[name])
                        self.send_header("Content-Length", str(len(answer.data)))
                        self.end_headers()
                        self.wfile.write(answer.data)
                        return
                    proxy.after_forwarding(call)
                self.connection.shutdown(socket.SHUT_RDWR)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name.
                """Log nothing. The tests read `calls`."""

        return Handler


@contextmanager
def lossy_proxy(target: str) -> Iterator[LossyProxy]:
    """Run a proxy in front of that server until the block ends."""
    proxy = LossyProxy(target)
    thread = threading.Thread(target=proxy.serve)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.close()
        thread.join()
