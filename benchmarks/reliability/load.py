"""Requests playback URLs at fixed times, presents each token at the edge, and reads `/readyz`.

An open loop: a request is sent when it is due, whether or not earlier ones are answered. Each has a
connection of its own, so that every worker gets its part.
"""

from __future__ import annotations

import http.client
import json
import sched
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Final
from urllib.parse import urlsplit

from benchmarks.reliability.observations import (
    GRANTED,
    NO_ANSWER,
    Answer,
    Observations,
    Play,
    Probe,
)

REQUESTS_PER_SECOND: Final = 12.0
NEW_CHANNELS_PER_SECOND: Final = 1.0
_PROBES_PER_SECOND = 4.0
_TIMEOUT_SECONDS = 10.0
_POLL_SECONDS = 0.005
_BEFORE_EXPIRY_SECONDS = 1.0
_MINT_THREADS, _EDGE_THREADS = 64, 16
_OK = 200


@dataclass(frozen=True, slots=True)
class Token:
    """A playback URL, and what is needed to present it at the edge in time."""

    path: str
    key_id: str
    minted_at: float
    edge_offset_seconds: float
    expires_at: float  # By the monotonic clock.


@dataclass
class Load:
    """The clients of one service.

    Attributes:
        service: the host and port of the service.
        edge: the host and port of Local IVS.
        api_key: the API key of each request.
        channel: the ARN of the channel that the service knows.
        new_channels: the ARNs of channels that the service does not know; each is used once.
        edge_offset_seconds: how far Local IVS's clock is ahead. A token is presented only while
            that clock is as it was when the token was minted: a service whose clock is wrong does
            not change the clock of the edge.
        seen: what was seen.
    """

    service: str
    edge: str
    api_key: str
    channel: str
    new_channels: Iterator[str]
    edge_offset_seconds: float = 0.0
    seen: Observations = field(default_factory=Observations)
    _stop: threading.Event = field(default_factory=threading.Event)
    _due: sched.scheduler = field(default_factory=lambda: sched.scheduler(time.monotonic))
    _service_pool: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(_MINT_THREADS)
    )
    _edge_pool: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(_EDGE_THREADS)
    )

    @contextmanager
    def running(self) -> Iterator[None]:
        """Send requests until the block ends, and then wait for their answers."""
        self._every(1 / REQUESTS_PER_SECOND, lambda: self._mint(self.channel, is_known=True))
        self._every(
            1 / NEW_CHANNELS_PER_SECOND, lambda: self._mint(next(self.new_channels), is_known=False)
        )
        for of_replica in (False, True):
            self._every(1 / _PROBES_PER_SECOND, partial(self._probe, of_replica))
        thread = threading.Thread(target=self._dispatch, name="due requests")
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()
            self._service_pool.shutdown()
            self._edge_pool.shutdown()

    def _dispatch(self) -> None:
        while not self._stop.is_set():
            self._due.run(blocking=False)
            time.sleep(_POLL_SECONDS)

    def _every(self, seconds: float, send: Callable[[], None]) -> None:
        def send_and_plan(due_at: float) -> None:
            self._service_pool.submit(send)
            self._due.enterabs(due_at + seconds, 0, send_and_plan, (due_at + seconds,))

        self._due.enterabs(time.monotonic(), 0, send_and_plan, (time.monotonic(),))

    def _mint(self, channel: str, *, is_known: bool) -> None:
        offset, sent_at = self.edge_offset_seconds, time.monotonic()
        body = json.dumps({"channel": channel, "viewer_id": "viewer-7"})
        headers = {"Authorization": f"Bearer {self.api_key}", "Content-Type": "application/json"}
        status, content = request(self.service, "POST", "/v1/playback-urls", body, headers)
        code = code_of(status, content, of_success=GRANTED)
        took_seconds = time.monotonic() - sent_at
        self.seen.answers.append(Answer(sent_at, is_known, code, took_seconds))
        if code == GRANTED:
            document = json.loads(content)
            url = urlsplit(document["playback_url"])
            left_seconds = datetime.fromisoformat(document["expires_at"]).timestamp() - time.time()
            expires_at = time.monotonic() + left_seconds
            path = f"{url.path}?{url.query}"
            self._present_three_times(Token(path, document["key_id"], sent_at, offset, expires_at))

    def _present_three_times(self, token: Token) -> None:
        """When it is new, in the middle of its lifetime, and shortly before it expires."""
        middle = (token.minted_at + token.expires_at) / 2
        end = token.expires_at - _BEFORE_EXPIRY_SECONDS
        for due_at in (time.monotonic(), middle, end):
            self._due.enterabs(due_at, 1, self._edge_pool.submit, (self._present, token))

    def _present(self, token: Token) -> None:
        if self.edge_offset_seconds != token.edge_offset_seconds:
            return
        presented_at = time.monotonic()
        status, _ = request(self.edge, "GET", token.path)
        if self.edge_offset_seconds != token.edge_offset_seconds:
            return
        if time.monotonic() >= token.expires_at:
            self.seen.late_plays += 1  # A busy machine: the answer says nothing.
            return
        self.seen.plays.append(Play(presented_at, token.key_id, status))

    def _probe(self, of_replica: bool) -> None:  # noqa: FBT001 # Called by the scheduler.
        path = "/readyz?scope=replica" if of_replica else "/readyz"
        sent_at = time.monotonic()
        status, content = request(self.service, "GET", path)
        code = code_of(status, content, of_success="ready")
        self.seen.probes.append(Probe(sent_at, of_replica, code))


def code_of(status: int, content: bytes, *, of_success: str) -> str:
    """The code of an answer: of a problem document its code with the HTTP status, if it has one."""
    if status == _OK:
        return of_success
    if not status:
        return NO_ANSWER
    try:
        return f"{status} {json.loads(content)['code']}"
    except (ValueError, TypeError, KeyError):
        return f"{status} without a code"


def request(
    host: str,
    method: str,
    path: str,
    body: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> tuple[int, bytes]:
    """The status and the body of the answer. The status is 0 if there was no answer."""
    connection = http.client.HTTPConnection(host, timeout=_TIMEOUT_SECONDS)
    with closing(connection):
        try:
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException):
            return 0, b""
