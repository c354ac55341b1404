"""Asks the entitlement hook over HTTP: one signed POST, a bounded answer, no redirect."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from http.client import HTTPException
from typing import Final
from urllib.parse import urlsplit

import urllib3

from tokensvc.access.entitlement_answer import MAX_ANSWER_BYTES
from tokensvc.clock import Clock
from tokensvc.webhooks import Signing, connections, reason_of

MAX_ASKED_AT_ONCE: Final = 16
"""How many questions a process asks at the same time, each in a thread."""

_CHUNK_BYTES: Final = 4_096
_ATTEMPTS: Final = 2  # The hook may have closed the connection that was kept open.


class NoAnswer(Exception):
    """Raised when the hook did not answer a question.

    Attributes:
        is_failing: whether the hook does not answer at all, or answers that it is overloaded.
    """

    def __init__(self, reason: str, *, is_failing: bool) -> None:
        super().__init__(reason)
        self.is_failing = is_failing


class HookClient:
    """The hook at a URL, for all threads of a process. Nothing is connected before a question."""

    def __init__(
        self, url: str, secrets: Sequence[str], clock: Clock, *, timeout_seconds: float
    ) -> None:
        """A client.

        Args:
            url: the URL of the hook. It may contain a secret.
            secrets: the secrets, as `load_webhook_secrets` returns them.
            clock: dates the questions and measures the time-out.
            timeout_seconds: for how long the hook may be silent, and how long its answer may take.
        """
        self._url = url
        self._signing = Signing(secrets, clock)
        self._clock = clock
        self._timeout_seconds = timeout_seconds
        self._connections = connections(url, at_once=MAX_ASKED_AT_ONCE)

    @property
    def host(self) -> str:
        """The host of the URL, for people. The rest of it may be a secret."""
        return urlsplit(self._url).hostname or ""

    def close(self) -> None:
        """Close the connections that are kept open."""
        self._connections.clear()

    def ask(self, body: str, header_fields: Mapping[str, str]) -> bytes:
        """The body of the answer to a question with that body and these header fields.

        Raises:
            NoAnswer: when there is none in time, or when it has another status than 200 or is too
                long.
        """
        headers = {
            **header_fields,
            **self._signing.headers(f"msg_{uuid.uuid4().hex}", body),
            "accept": "application/json",
        }
        deadline = self._clock.monotonic() + self._timeout_seconds
        for attempts_left in reversed(range(_ATTEMPTS)):
            try:
                return self._attempt(body.encode(), headers, deadline)
            except urllib3.exceptions.ProtocolError as exc:
                if not attempts_left or self._clock.monotonic() >= deadline:
                    raise NoAnswer(reason_of(exc), is_failing=True) from exc
            except (urllib3.exceptions.HTTPError, HTTPException, OSError, ValueError) as exc:
                raise NoAnswer(reason_of(exc), is_failing=True) from exc
        raise AssertionError

    def _attempt(self, body: bytes, headers: dict[str, str], deadline: float) -> bytes:
        answer = self._connections.request(
            "POST",
            self._url,
            body=body,
            headers=headers,
            timeout=urllib3.Timeout(total=max(0.01, deadline - self._clock.monotonic())),
            retries=False,
            redirect=False,
            preload_content=False,
            decode_content=False,
        )
        is_read = False
        try:
            if answer.status != HTTPStatus.OK:
                is_overloaded = answer.status == HTTPStatus.TOO_MANY_REQUESTS
                raise NoAnswer(
                    f"it answered with the HTTP status {answer.status}, not 200",
                    is_failing=is_overloaded or answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR,
                )
            content = self._content(answer, deadline)
            is_read = True
        finally:
            if not is_read:
                answer.close()
        return content

    def _content(self, answer: urllib3.BaseHTTPResponse, deadline: float) -> bytes:
        content = b""
        while part := answer.read1(_CHUNK_BYTES, decode_content=False):
            content += part
            if len(content) > MAX_ANSWER_BYTES:
                raise NoAnswer(
                    f"its answer has more than {MAX_ANSWER_BYTES} bytes", is_failing=False
                )
            if self._clock.monotonic() >= deadline:
                raise NoAnswer("its answer took too long", is_failing=True)
        return content
