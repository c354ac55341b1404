"""Requests to a front in the event loop of the test, as a connection makes them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tokensvc.web.front import Front
from tokensvc.web.http1 import FieldParser, Response, environ_of, environ_of_connection

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


@dataclass(frozen=True)
class Answer:
    """A whole response."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)


@dataclass
class Request:
    """A request with a JSON body.

    Attributes:
        path: the path.
        document: what is sent as JSON; None for a GET.
        headers: more header fields.
        extra: more members of the environ.
        left: set when the client leaves.
        around: called before and after the application has the request.
    """

    path: str
    document: object = None
    headers: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, object] = field(default_factory=dict)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    around: tuple[Callable[[], object], Callable[[], object]] = (lambda: None, lambda: None)

    async def send_to(self, front: Front) -> Answer | None:
        """The answer; None if nothing was answered."""
        before, after = self.around
        before()
        try:
            answer = front(self._environ(), self.left.is_set)
            response = answer if isinstance(answer, Response) else await answer
        finally:
            after()
        if response is None:
            return None
        return Answer(
            response.status,
            {name.lower(): value for name, value in response.headers},
            b"".join(response.parts),
        )

    def _environ(self) -> WSGIEnvironment:
        body = b"" if self.document is None else json.dumps(self.document).encode()
        fields = {
            "content-type": "application/json",
            "content-length": str(len(body)),
            "host": "127.0.0.1:8000",
            **self.headers,
        }
        parser = FieldParser()
        method = "GET" if self.document is None else "POST"
        lines = [f"{method} {self.path} HTTP/1.1", *map(": ".join, fields.items()), "", ""]
        parser.feed("\r\n".join(lines).encode())
        return {**environ_of(parser, body, environ_of_connection(_Transport())), **self.extra}


class _Transport:
    """Knows the addresses of a connection."""

    def get_extra_info(self, name: str) -> tuple[str, int]:
        """The address of that end."""
        return {"sockname": ("127.0.0.1", 8_000), "peername": ("127.0.0.1", 50_000)}[name]
