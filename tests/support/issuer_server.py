"""A small issuer over real HTTP that publishes what a test says, and misbehaves as it says."""

from __future__ import annotations

import contextlib
import json
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

from tests.support.oidc_tokens import SigningKey, claims_of

Behavior = int | Literal["hang", "drip", "drip body", "close", "redirect", "endless", "gzip"]
"""A status; or never answer; send a byte now and then; close at once; send to another path; send
without end; send a compressed body."""

METADATA_PATH = "/.well-known/openid-configuration"
KEYS_PATH = "/keys"


@dataclass
class IssuerServer:
    """The issuer.

    Attributes:
        url: its URL, which is its `iss`.
        keys: the keys that it publishes now.
        metadata: members of its metadata that replace the usual ones.
        key_document: published instead of the keys, if it is set.
        behavior: what each request gets; None for an answer.
        requests: the paths of all requests.
    """

    url: str
    keys: list[dict[str, Any]] = field(default_factory=list)
    metadata: dict[str, object] = field(default_factory=dict)
    key_document: bytes | None = None
    behavior: Behavior | None = None
    requests: list[str] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)

    @property
    def fetches(self) -> int:
        """How often the keys were requested."""
        return self.requests.count(KEYS_PATH)

    def token(self, key: SigningKey, **changes: object) -> str:
        """A token of this issuer with the key, whose claims have these changes."""
        return key.token(claims_of(**{"iss": self.url, **changes}))

    def body_of(self, path: str) -> bytes | None:
        """What the path has; None for nothing."""
        if path == KEYS_PATH:
            return self.key_document or json.dumps({"keys": self.keys}).encode()
        if path == METADATA_PATH:
            usual = {"issuer": self.url, "jwks_uri": f"{self.url}{KEYS_PATH}"}
            return json.dumps(usual | self.metadata).encode()
        return None


class _Handler(BaseHTTPRequestHandler):
    issuer: IssuerServer

    def do_GET(self) -> None:
        self.issuer.requests.append(self.path)
        behavior = self.issuer.behavior
        body = self.issuer.body_of(self.path)
        if behavior is None and body is not None:
            self._send(200, body)
        elif behavior is None or isinstance(behavior, int):
            self._send(behavior or 404, body or b"")
        else:
            with contextlib.suppress(OSError):
                self._misbehave(behavior)
            self.close_connection = True

    def _send(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def _misbehave(self, behavior: Behavior) -> None:
        closing = self.issuer.closing
        match behavior:
            case "redirect":
                self._send(302, b"", location=f"{self.issuer.url}{KEYS_PATH}")
            case "gzip":
                self._send(200, b"\x1f\x8b\x08\x00", content_encoding="gzip")
            case "hang":
                closing.wait(30)
            case "drip":
                self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
                while not closing.wait(0.02):
                    self.wfile.write(b"x")
            case "drip body" | "endless":
                self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n{")
                part = b" " if behavior == "drip body" else 65_536 * b" "
                while not closing.wait(0.02 if behavior == "drip body" else 0):
                    self.wfile.write(part)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 # The base class's name.
        """Print nothing."""


@contextlib.contextmanager
def issuer_server(*keys: SigningKey, tls: ssl.SSLContext | None = None) -> Iterator[IssuerServer]:
    """A running issuer on a free port, which publishes these keys."""
    handler = type("Handler", (_Handler,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign] # A refused handshake.
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    scheme = "http" if tls is None else "https"
    issuer = IssuerServer(f"{scheme}://127.0.0.1:{server.server_port}", [key.jwk for key in keys])
    handler.issuer = issuer  # type: ignore[attr-defined] # A class of its own for each server.
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield issuer
    finally:
        issuer.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()
