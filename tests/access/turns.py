"""Runs several actors on one state, one call of the state at a time, in an order that a test says.

Each actor is a thread that waits for its turn before each call. A turn also says what becomes of
the call: it may fail, lose its answer, or be the last thing that the actor's process does.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import Enum, auto

from tests.fleet.memory_state import MemoryStore
from tokensvc.errors import StateUnavailable
from tokensvc.state.base import Document, Record, Version


class Fate(Enum):
    """What becomes of a call."""

    ANSWERED = auto()
    FAILS = auto()  # Nothing is carried out, and the caller gets StateUnavailable.
    ANSWER_LOST = auto()  # It is carried out, and the caller gets StateUnavailable.
    KILLED_BEFORE = auto()  # Nothing is carried out, and the process ends.
    KILLED_AFTER = auto()  # It is carried out, and the process ends.


class _Killed(BaseException):
    """The process of an actor ends."""


class Actor:
    """A process, which runs `act` with a state of its own."""

    def __init__(self, store: MemoryStore, act: Callable[[TurnState], None]) -> None:
        self.is_done = False
        self.failure: BaseException | None = None
        self._fate = Fate.ANSWERED
        self._turn = threading.Semaphore(0)
        self._waits = threading.Semaphore(0)
        self._act = act
        self._state = TurnState(store, self._next_fate)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._waits.acquire()

    def step(self, fate: Fate) -> None:
        """Let the actor make its next call, and everything up to the one after it."""
        if not self.is_done:
            self._fate = fate
            self._turn.release()
            assert self._waits.acquire(timeout=20.0), "The actor does not come to its next call."
        if self.failure is not None:
            raise self.failure

    def _next_fate(self) -> Fate:
        self._waits.release()
        self._turn.acquire()
        return self._fate

    def _run(self) -> None:
        try:
            self._act(self._state)
        except _Killed:
            pass
        except BaseException as failure:  # noqa: BLE001 # Raised by `step`.
            self.failure = failure
        self.is_done = True
        self._waits.release()


class TurnState:
    """Implements `State`, for one process. As in DynamoDB, `records` is not read at one moment."""

    def __init__(self, store: MemoryStore, next_fate: Callable[[], Fate]) -> None:
        self._store = store
        self._next_fate = next_fate

    @contextmanager
    def _call(self) -> Iterator[None]:
        fate = self._next_fate()
        if fate is Fate.KILLED_BEFORE:
            raise _Killed
        if fate is Fate.FAILS:
            raise StateUnavailable("The call failed.")
        yield
        if fate is Fate.KILLED_AFTER:
            raise _Killed
        if fate is Fate.ANSWER_LOST:
            raise StateUnavailable("The answer was lost.")

    def create(self) -> None:
        """Do nothing: the store exists."""

    def versions(self) -> Mapping[str, Version]:
        """The version of each document, by name."""
        with self._call():
            return {name: self._store.version(name) for name in sorted(self._store.documents)}

    def version(self, name: str) -> Version:
        """The document's version, `NEW` when it was never saved."""
        with self._call():
            return self._store.version(name)

    def load(self, name: str) -> Document | None:
        """The document, or None when it was never saved."""
        with self._call():
            return self._store.load(name)

    def save(self, name: str, body: str, *, replacing: Version) -> Version:
        """Compare and set."""
        document = Document(body, replacing.next())
        with self._call():
            return self._store.save(name, document, replacing)

    def put_many(self, kind: str, records: Sequence[Record]) -> None:
        """Store the records, each by itself."""
        for record in records:
            with self._call():
                self._store.change(kind, {record.record_id: record})

    def remove_many(self, kind: str, record_ids: Sequence[str]) -> None:
        """Remove the records, each by itself."""
        for record_id in record_ids:
            with self._call():
                self._store.change(kind, {record_id: None})

    def record(self, kind: str, record_id: str) -> Record | None:
        """That record, or None when there is none."""
        with self._call():
            return self._store.kinds.get(kind, {}).get(record_id)

    def read_many(self, kind: str, record_ids: Collection[str]) -> Sequence[Record]:
        """Those of the records that there are, each read by itself."""
        read = (self.record(kind, record_id) for record_id in record_ids)
        return [record for record in read if record is not None]

    def put_if(self, kind: str, record: Record, *, replacing: Record | None) -> bool:
        """Store the record if the stored one is `replacing`."""
        with self._call():
            return self._store.put_if(kind, record, replacing)

    def records(self, kind: str) -> Sequence[Record]:
        """Every record of that kind, by ID, each read by itself."""
        read: list[Record] = []
        while True:
            with self._call():
                left = sorted(
                    record_id
                    for record_id in self._store.kinds.get(kind, {})
                    if not read or record_id > read[-1].record_id
                )
                if not left:
                    return read
                read.append(self._store.kinds[kind][left[0]])

    def close(self) -> None:
        """Do nothing."""
