"""A real receiver of webhooks: an HTTP server that keeps the messages and answers as scripted."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

from standardwebhooks import Webhook

SECRET = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
"""The bytes 0 to 31."""

Behavior = int | bytes | Literal["hang", "drip", "close"]
"""An HTTP status, a body with the status 200, or: never answer; send one byte of a header now and
then; close at once."""


@dataclass(frozen=True)
class Message:
    """A received message, whether or not it was accepted."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def message_id(self) -> str:
        """The header `webhook-id`."""
        return self.headers["webhook-id"]

    @property
    def content(self) -> dict[str, Any]:
        """The JSON body."""
        content: dict[str, Any] = json.loads(self.body)
        return content

    @property
    def type(self) -> str:
        """The type of the event."""
        return str(self.content["type"])

    @property
    def data(self) -> dict[str, Any]:
        """The members of the event."""
        data: dict[str, Any] = self.content["data"]
        return data

    def verified(self, secret: str = SECRET) -> Any:
        """The content, after the library has verified the signature and the time."""
        return Webhook(secret).verify(self.body, self.headers)


@dataclass
class WebhookReceiver:
    """The receiver.

    Attributes:
        port: its port on 127.0.0.1.
        scheme: https for one with a certificate.
        messages: every message that was received.
        behaviors: what the next messages get, in this order; then `otherwise`.
        otherwise: what every other message gets.
        closing: once it is set, no answer hangs or drips any more.
        answering: as long as it is not set, bodies are held back.
    """

    port: int
    scheme: str = "http"
    messages: list[Message] = field(default_factory=list)
    behaviors: list[Behavior] = field(default_factory=list)
    otherwise: Behavior = 204
    closing: threading.Event = field(default_factory=threading.Event)
    answering: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.answering.set()

    @property
    def url(self) -> str:
        """The URL of the webhook, with a part that must not be logged."""
        return f"{self.scheme}://127.0.0.1:{self.port}/hooks/very-private-path"

    @property
    def types(self) -> list[str]:
        """The types of the messages."""
        return [message.type for message in self.messages]

    def next_behavior(self) -> Behavior:
        """What the next message gets."""
        return self.behaviors.pop(0) if self.behaviors else self.otherwise


class _Handler(BaseHTTPRequestHandler):
    receiver: WebhookReceiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.receiver.messages.append(Message(self.path, headers, body))
        behavior = self.receiver.next_behavior()
        if isinstance(behavior, int):
            self.send_response(behavior)
            self.send_header("location", f"{self.receiver.url}/elsewhere")
            self.send_header("content-length", "0")
            self.end_headers()
            return
        if isinstance(behavior, bytes):
            self.receiver.answering.wait(30)
            self.send_response(200)
            self.send_header("content-length", str(len(behavior)))
            self.end_headers()
            self.wfile.write(behavior)
            return
        if behavior == "drip":
            with contextlib.suppress(OSError):
                self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
                while not self.receiver.closing.wait(0.05):
                    self.wfile.write(b"x")
        elif behavior == "hang":
            self.receiver.closing.wait(30)
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 # The base class's name.
        """Print nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # By default 5, and the sixth connection at once waits for a second.


@contextlib.contextmanager
def webhook_receiver(*, tls: ssl.SSLContext | None = None) -> Iterator[WebhookReceiver]:
    """A running receiver on a free port."""
    handler = type("Handler", (_Handler,), {})
    server = _Server(("127.0.0.1", 0), handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        server.handle_error = lambda *_: None  # type: ignore[method-assign] # A refused handshake.
    receiver = WebhookReceiver(server.server_port, "http" if tls is None else "https")
    handler.receiver = receiver  # type: ignore[attr-defined] # A class of its own for each server.
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.closing.set()
        receiver.answering.set()
        server.shutdown()
        server.server_close()
        thread.join()
        join_senders()


def join_senders() -> None:
    """Return when no attempt to send is left that was abandoned, and no question to a hook."""
    for thread in threading.enumerate():
        if thread.name in {"send notification", "ask entitlement hook"}:
            thread.join(10)


def unused_port() -> int:
    """A port on 127.0.0.1 on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
