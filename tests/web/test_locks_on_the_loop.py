"""No lock that a thread holds while it waits for I/O is ever taken on the event loop."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any, cast

import pytest
import urllib3.connectionpool

import tokensvc
from tests.support import event_loop
from tests.support.deployment import Deployment, MemoryAudit
from tests.support.front_requests import Request
from tokensvc.audit import AuditEvent
from tokensvc.clock import SystemClock
from tokensvc.ivs.shared_turns import SharedTurns
from tokensvc.service import build
from tokensvc.settings import load_settings
from tokensvc.state.base import State
from tokensvc.state.sqlite import SqliteState
from tokensvc.waiting import may_wait
from tokensvc.web.app import create_app
from tokensvc.web.front import Application, Front

SINGLE = "/v1/playback-urls"
PACKAGE = str(Path(tokensvc.__file__).parent)
SETTINGS = """
[ivs]
account_id = "123456789012"
regions = ["us-west-2"]
[custody]
key_encryption_secret_file = "secret"
[grants.open]
channels = ["arn:aws:ivs:us-west-2:123456789012:channel/*"]
"""


class Locks:
    """Which locks of the service were taken on the loop, and which were held during I/O.

    Each is named by the place in the code that creates it.
    """

    def __init__(self) -> None:
        self.taken_on_the_loop: set[str] = set()
        self.held_during_io: set[str] = set()
        self._held = threading.local()

    @property
    def _held_here(self) -> list[str]:
        if not hasattr(self._held, "names"):
            self._held.names = []
        return cast("list[str]", self._held.names)

    def take(self, name: str) -> None:
        """The calling thread takes the lock."""
        self._held_here.append(name)
        if threading.current_thread().name.startswith("loop"):
            self.taken_on_the_loop.add(name)

    def release(self, name: str) -> None:
        """The calling thread releases the lock."""
        self._held_here.remove(name)

    def note_io(self) -> None:
        """The calling thread waits for something outside of the process."""
        assert not threading.current_thread().name.startswith("loop")
        self.held_during_io.update(self._held_here)


class TracedLock:
    """A lock that says who takes it."""

    def __init__(self, locks: Locks, name: str, lock: threading.Lock) -> None:
        self._locks = locks
        self._name = name
        self._lock = lock

    def __enter__(self) -> None:
        self._lock.acquire()
        self._locks.take(self._name)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._locks.release(self._name)
        self._lock.release()


class SlowAudit(MemoryAudit):
    """An audit whose reader is slow: every second line has to wait."""

    def __init__(self, locks: Locks) -> None:
        super().__init__()
        self._locks = locks
        self._written = 0

    def write(self, event: AuditEvent) -> None:
        """Wait before every second line."""
        if self._written % 2:
            may_wait()
            self._locks.note_io()
        self._written += 1
        super().write(event)


@pytest.fixture
def locks(monkeypatch: pytest.MonkeyPatch) -> Locks:
    """What happens to the locks that the service creates from now on, and to its calls."""
    locks = Locks()
    create = threading.Lock

    def create_traced() -> Any:
        frame = sys._getframe(1)
        path, line = frame.f_code.co_filename, frame.f_lineno
        if not path.startswith(PACKAGE):
            return create()
        return TracedLock(locks, f"{path.removeprefix(PACKAGE)}:{line}", create())

    urlopen = urllib3.connectionpool.HTTPConnectionPool.urlopen

    def noted(*args: Any, **options: Any) -> Any:
        locks.note_io()
        return urlopen(*args, **options)

    monkeypatch.setattr(threading, "Lock", create_traced)
    monkeypatch.setattr(urllib3.connectionpool.HTTPConnectionPool, "urlopen", noted)
    return locks


class SlowState:
    """A state whose every call is I/O."""

    def __init__(self, state: State, locks: Locks) -> None:
        self._state = state
        self._locks = locks

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._state, name)

        def noted(*args: Any, **options: Any) -> Any:
            self._locks.note_io()
            return method(*args, **options)

        return noted


@pytest.fixture
def front(own_deployment: Deployment, locks: Locks) -> Iterator[Front]:
    """A front over a whole service that was built from settings and knows no channel yet."""
    world = own_deployment.world
    (world.folder / "secret").write_bytes(bytes(range(32)))
    path = world.folder / "tokensvc.toml"
    path.write_text(SETTINGS)
    state = cast("State", SlowState(world.state, locks))
    # Turns are taken in real time, and a state removes what has expired by its own clock.
    in_real_time = SqliteState(world.folder / "state.sqlite3", SystemClock())
    state_of_turns = cast("State", SlowState(in_real_time, locks))
    service = build(
        load_settings(path, {}),
        world.clock,
        SlowAudit(locks),
        state=state,
        signer_loader=world.custody,
        turns=SharedTurns(state_of_turns, SystemClock(), Random(1)),  # noqa: S311 # Not a secret.
    )
    with closing(in_real_time), closing(service):
        service.start()
        yield Front(cast("Application", create_app(service)), threads=4)


@pytest.mark.parametrize("application", [create_app], indirect=True)
def test_no_lock_that_is_held_during_io_is_taken_on_the_loop(
    own_deployment: Deployment, front: Front, locks: Locks
) -> None:
    """For unknown and known channels, one and many, a slow audit, refusals and a view too old."""
    channel = str(own_deployment.channel)
    unknown = channel.rpartition("/")[0] + "/unknown{}"
    key = {"authorization": f"Bearer {own_deployment.key}"}
    batch = [{"channel": channel}, *({"channel": unknown.format(n)} for n in range(60))]

    async def statuses() -> list[int]:
        answers = await asyncio.gather(
            *(Request(SINGLE, {"channel": channel}, key).send_to(front) for _ in range(4)),
            *(Request(SINGLE, {"channel": unknown.format(n)}, key).send_to(front) for n in (0, 99)),
            Request(f"{SINGLE}:batch", {"requests": batch}, key).send_to(front),
            *(Request(SINGLE, {"channel": channel}).send_to(front) for _ in range(4)),
            # Before the view is read again, this is 503.
            Request("/readyz").send_to(front),
        )
        return [answer.status for answer in answers[:-1] if answer is not None]

    async def main() -> list[list[int]]:
        first = await statuses()
        own_deployment.world.clock.advance(4_000)  # Older than both ages, and than every answer.
        return [first, await statuses()]

    expected = [200, 200, 200, 200, 404, 404, 200, 401, 401, 401, 401]
    assert event_loop.run(main()) == [expected, expected]
    assert locks.taken_on_the_loop, "The locks are not seen."
    assert locks.held_during_io, "The calls are not seen."
    assert locks.taken_on_the_loop & locks.held_during_io == set()
