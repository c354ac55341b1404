"""A gunicorn worker with an event loop, which stops without losing a request.

It uses gunicorn's ASGI worker for the loop, the signals and the master's side, and answers requests
with connections of its own. Only this module, `http1` and `master` touch gunicorn's internals, so
gunicorn is pinned to a minor version, and tests/web/worker tests each use.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Coroutine
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar, Final

from gunicorn.arbiter import Arbiter
from gunicorn.workers.gasgi import ASGIWorker

from tokensvc.web.accepting import accept_until, accepted, serve
from tokensvc.web.connection import WAITING, Connection
from tokensvc.web.http1 import DateField

if TYPE_CHECKING:
    from tokensvc.web.front import Front
    from tokensvc.web.master import SharedFacts

HEARTBEAT_SECONDS: Final = 1.0
IDLE_GRACE_SECONDS: Final = 1.0
"""For how long a stopping worker keeps an idle connection: the client may just send a request."""

DEADLINE_CHECK_SECONDS: Final = 0.1
"""The time between two looks for late clients: a timer for each deadline costs more than a rule."""

_BOOT_FAILED: Final = 1  # The exit status for which gunicorn starts another worker.
_POLL_SECONDS: Final = 0.05


class Worker(ASGIWorker):  # type: ignore[misc] # gunicorn ships no types.
    """Serves a `Front` on an event loop, with the deadlines of its `terms`.

    At SIGTERM it first drains: it accepts connections as before for `drain_seconds`, and readiness
    answers `draining`. A worker that SIGHUP replaces skips this. Then it closes its listeners,
    answers the requests that it has, and exits.

    Attributes:
        facts: what it shares with the master, set by `master.pre_fork`.
        front: the application.
        date: the field `Date` of all responses.
        is_draining: whether readiness answers `draining`.
    """

    facts: SharedFacts
    front: Front
    alive: bool
    boot_retry_seconds: ClassVar[float] = 5.0
    """The time between two attempts to replace a worker, while the others serve."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.date = DateField()
        self.is_draining = False
        self.connections: set[Connection] = set()
        # The waiting connections by what they wait for, each in the order in which they began to.
        self.waiting: dict[str, dict[Connection, None]] = {what: {} for what in WAITING}
        self._running: set[asyncio.Task[None]] = set()
        self._listeners_closed = asyncio.Event()
        self._must_stop = asyncio.Event()
        self._must_stop_at_once = asyncio.Event()

    @property
    def is_stopping(self) -> bool:
        """Whether each response closes its connection."""
        return self._must_stop.is_set()

    def load_wsgi(self) -> None:
        """Do nothing: `_start_application` loads the application, and handles every failure."""

    def handle_exit_signal(self) -> None:
        """Stop, at SIGTERM. From now on each response closes its connection.

        `alive` stays true: without it gunicorn would also close connections whose last response
        did not say so, and lose the next request.
        """
        self._must_stop.set()

    def handle_quit_signal(self) -> None:
        """Stop without waiting for requests, at SIGINT or SIGQUIT."""
        super().handle_quit_signal()
        self._must_stop.set()
        self._must_stop_at_once.set()

    async def _serve(self) -> None:
        heartbeat = self.loop.create_task(self._send_heartbeats())
        await self._start_application()
        for listener in self.sockets:
            server = await self.loop.create_server(
                lambda: Connection(self), sock=listener.sock, backlog=self.cfg.backlog
            )
            self.servers.append(server)
        listeners = [listener.sock for listener in self.sockets]
        accepting = self.loop.create_task(
            accept_until(self._listeners_closed, listeners, lambda: Connection(self))
        )
        self.run_task(self._check_deadlines())
        while self.alive and self.ppid == os.getppid():
            if await _is_set_within(HEARTBEAT_SECONDS, self._must_stop):
                break
        self._must_stop.set()
        await self._stop()
        accepting.cancel()
        heartbeat.cancel()

    async def _send_heartbeats(self) -> None:
        """Notify gunicorn, which replaces a worker that is silent for `timeout`."""
        while True:
            self.notify()
            await asyncio.sleep(HEARTBEAT_SECONDS)

    async def _check_deadlines(self) -> None:
        while True:
            await asyncio.sleep(DEADLINE_CHECK_SECONDS)
            now = time.monotonic()
            for connection in list(self.connections):
                connection.check_deadline(now)

    def run_task(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run the coroutine on the loop."""
        task = self.loop.create_task(coroutine)
        self._running.add(task)  # The loop itself keeps no reference.
        task.add_done_callback(self._running.discard)

    # --- Start

    async def _start_application(self) -> None:
        try:
            self.front = self.app.wsgi()
            await self.front.start()
        except Exception as exc:
            self.log.critical("The service can't start: %s", exc)
            if not self.facts.has_started:
                # With this exit status, gunicorn stops instead of starting the worker again.
                raise SystemExit(Arbiter.WORKER_BOOT_ERROR) from exc
            await _is_set_within(self.boot_retry_seconds, self._must_stop)
            raise SystemExit(_BOOT_FAILED) from exc
        self.facts.record_start()

    # --- Connections

    def has_room(self) -> bool:
        """Whether the worker can take a connection, if necessary in place of one that waits."""
        if len(self.connections) < self.worker_connections:
            return True
        longest_first = chain.from_iterable(self.waiting.values())
        evicted = next((each for each in longest_first if not each.has_unread_bytes()), None)
        if evicted is None:
            return False
        evicted.evict()
        return True

    # --- Stop

    async def _stop(self) -> None:
        stopped_at = self.loop.time()
        if not self.facts.is_replaced(self.age):
            self.is_draining = True
            await _is_set_within(self.front.terms.drain_seconds, self._must_stop_at_once)
        await self._close_listeners()
        await self._finish_connections(close_idle_at=stopped_at + IDLE_GRACE_SECONDS)
        if not self._must_stop_at_once.is_set():
            await self.front.close()

    async def _close_listeners(self) -> None:
        """Close the listeners, and serve the connections that the kernel has accepted for them.

        The kernel resets these if no other process has the listener.
        """
        self._listeners_closed.set()
        waiting: list[socket.socket] = []
        for listener, server in zip(self.sockets, self.servers, strict=True):
            waiting.extend(accepted(listener.sock))
            server.close()
        await serve(waiting, lambda: Connection(self))

    async def _finish_connections(self, *, close_idle_at: float) -> None:
        """Wait until the last request is answered, at most as long as a request may take."""
        give_up_at = self.loop.time() + self.front.terms.longest_request_seconds
        while self.connections and self.loop.time() < give_up_at:
            if self.loop.time() >= close_idle_at:
                for connection in list(self.connections):
                    connection.close_if_idle()
            if await _is_set_within(_POLL_SECONDS, self._must_stop_at_once):
                return


async def _is_set_within(seconds: float, event: asyncio.Event) -> bool:
    """Wait for the event; whether it is set by then."""
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False
    return True
