"""Requests to an ASGI application in the event loop of the test, as a server makes them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tokensvc.web.front import Front


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
        extra: more members of the scope.
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
        body = b"" if self.document is None else json.dumps(self.document).encode()
        fields = {
            "content-type": "application/json",
            "content-length": str(len(body)),
            **self.headers,
        }
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "GET" if self.document is None else "POST",
            "scheme": "http",
            "path": self.path,
            "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in fields.items()],
            "server": ("127.0.0.1", 8000),
            "client": ("127.0.0.1", 50_000),
            **self.extra,
        }
        messages = [{"type": "http.request", "body": body, "more_body": False}]
        sent: list[Mapping[str, Any]] = []

        async def receive() -> Mapping[str, Any]:
            if messages:
                return messages.pop()
            await self.left.wait()
            return {"type": "http.disconnect"}

        async def send(message: Mapping[str, Any]) -> None:
            sent.append(message)

        before, after = self.around
        before()
        try:
            await front(scope, receive, send)
        finally:
            after()
        if not sent:
            return None
        start, *parts = sent
        assert not parts[-1].get("more_body", False)
        return Answer(
            start["status"],
            {name.decode(): value.decode() for name, value in start["headers"]},
            b"".join(part["body"] for part in parts),
        )
