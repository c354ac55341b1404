"""Faults in the calls of one process to AWS: an answer that AWS did not give, or one that is lost.

The calls are real, but for the planned faults. The faults are planned for a client of `AwsClients`.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ConnectionClosedError

if TYPE_CHECKING:
    from botocore.client import BaseClient


class _Raw(io.BytesIO):
    """A body as urllib3 has it."""

    def stream(self, **_: object) -> Any:
        """The whole body at once."""
        yield self.read()


@dataclass
class AwsFaults:
    """The faults of one client, and what it has called.

    Attributes:
        client: the client.
        calls: the operations of the requests that were made, with each attempt, in order.
    """

    client: BaseClient
    calls: list[str] = field(default_factory=list)
    _answers: dict[str, tuple[int, dict[str, str]]] = field(default_factory=dict)
    _lost: set[str] = field(default_factory=set)
    _before: dict[str, Callable[[], object]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._service = self.client.meta.service_model.service_id.hyphenize()
        self.client.meta.events.register(f"before-call.{self._service}", self._note_attempt)
        self.client.meta.events.register(
            f"before-send.{self._service}",
            self._answer,  # type: ignore[arg-type] # A handler of this event may return an answer.
        )
        self.client.meta.events.register(f"after-call.{self._service}", self._lose)

    def answer(self, operation: str, status: int, code: str, message: str = "") -> None:
        """Answer each call of that operation with this error, and don't send it."""
        self._answers[operation] = (status, {"__type": code, "message": message})

    def answer_with(self, operation: str, **members: str) -> None:
        """Answer each call of that operation with these members, and don't send it."""
        self._answers[operation] = (200, members)

    def lose_answer(self, operation: str) -> None:
        """Lose the answer to the next call of that operation, which AWS carries out."""
        self._lost.add(operation)

    def before(self, operation: str, act: Callable[[], object]) -> None:
        """Do something just before the next call of that operation is sent."""
        self._before[operation] = act

    def end(self) -> None:
        """Plan no fault any more."""
        self._answers.clear()
        self._lost.clear()

    def _note_attempt(self, model: Any, **_: object) -> None:
        if (act := self._before.pop(model.name, None)) is not None:
            act()

    def _answer(self, request: Any, event_name: str, **_: object) -> AWSResponse | None:
        operation = event_name.rsplit(".", 1)[-1]
        self.calls.append(operation)
        if operation not in self._answers:
            return None
        status, members = self._answers[operation]
        body = json.dumps(members).encode()
        headers = HTTPHeaders()
        headers["x-amzn-RequestId"] = "request-1"
        return AWSResponse(request.url, status, headers, _Raw(body))

    def _lose(self, model: Any, **_: object) -> None:
        if model.name in self._lost:
            self._lost.remove(model.name)
            raise ConnectionClosedError(endpoint_url="http://127.0.0.1")
