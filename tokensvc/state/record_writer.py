"""Write records to the state in the background, so that no request waits for the state.

A change is queued in memory and written by a thread within about a tenth of a second. A process
that is killed loses the changes that are still queued.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from tokensvc.errors import TokensvcError
from tokensvc.state.base import Record, State

MAX_BATCH = 500
"""How many changes one transaction writes, so that it holds the write lock for a short time."""

COLLECT_SECONDS = 0.1
"""How long the thread collects changes, so that the answers of one request share a transaction."""

RETRY_SECONDS = 5.0
"""The pause after the state failed."""

CLOSE_SECONDS = 5.0
"""The longest time that `close` waits for the last changes to be written."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Change:
    """A queued change: the record to store, or None if the record with this ID is removed."""

    record_id: str
    record: Record | None


class RecordWriter:
    """Writes the records of one kind. Start it in the process that uses it, after any fork."""

    def __init__(
        self,
        state: State,
        kind: str,
        *,
        capacity: int = 10_000,
        retry_seconds: float = RETRY_SECONDS,
        close_seconds: float = CLOSE_SECONDS,
    ) -> None:
        """A writer with an empty queue. Until it is started, changes are only queued.

        Args:
            state: where the records are stored.
            kind: the kind of the records.
            capacity: how many changes are queued at most; the oldest is dropped for a new one.
            retry_seconds: the pause after the state failed.
            close_seconds: the longest time that `close` waits.
        """
        self._state = state
        self._kind = kind
        self._capacity = capacity
        self._retry_seconds = retry_seconds
        self._close_seconds = close_seconds
        self._queue: dict[str, Change] = {}  # By record ID, the oldest first.
        self._dropped = 0
        self._lock = threading.Lock()  # Held only while the queue is read or changed.
        self._flush_lock = threading.Lock()
        self._has_changes = threading.Event()
        self._closing = threading.Event()
        self._is_failing = False
        self._was_full = False
        self._thread: threading.Thread | None = None

    @property
    def dropped(self) -> int:
        """How many changes were dropped so far because the queue was full."""
        return self._dropped

    @property
    def queued(self) -> int:
        """How many changes are queued now. It is never more than the capacity."""
        return len(self._queue)

    def start(self) -> None:
        """Write the queued changes from a thread, until `close`."""
        self._thread = threading.Thread(target=self._run, name=f"write {self._kind}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Write what is queued, within a bounded time, and stop. Later changes are ignored."""
        self._closing.set()
        self._has_changes.set()
        if self._thread is None:
            return
        self._thread.join(self._close_seconds)
        if lost := self.queued:
            _logger.warning("Closed before %d records of kind %s were written.", lost, self._kind)

    def put(self, record: Record) -> str | None:
        """Queue the record. It replaces a queued change of the same record.

        Returns the ID of the change that was dropped because the queue is full, if any.
        """
        return self._enqueue(Change(record.record_id, record))

    def remove(self, record_id: str) -> str | None:
        """Queue the removal of the record. It replaces a queued change of the same record.

        Returns the ID of the change that was dropped because the queue is full, if any.
        """
        return self._enqueue(Change(record_id, None))

    def queued_change(self, record_id: str) -> Change | None:
        """The change of that record which is not written yet, or None."""
        return self._queue.get(record_id)

    def flush(self) -> bool:
        """Write what is queued now, in this thread. Returns whether all of it was written."""
        with self._flush_lock:
            while batch := self._next_batch():
                if not self._write(batch):
                    return False
                self._forget(batch)
        return True

    def _enqueue(self, change: Change) -> str | None:
        dropped = None
        with self._lock:
            if self._closing.is_set():
                return None
            self._queue.pop(change.record_id, None)  # So that the new change becomes the newest.
            if len(self._queue) >= self._capacity:
                dropped = next(iter(self._queue))
                del self._queue[dropped]
                self._dropped += 1
            self._queue[change.record_id] = change
            is_first_drop = dropped is not None and not self._was_full
            self._was_full = self._was_full or is_first_drop
        self._has_changes.set()
        if is_first_drop:
            _logger.warning(
                "%d records of kind %s wait for the state. From now on, each new one replaces the"
                " oldest one.",
                self._capacity,
                self._kind,
            )
        return dropped

    def _next_batch(self) -> Sequence[Change]:
        with self._lock:
            return tuple(islice(self._queue.values(), MAX_BATCH))

    def _forget(self, written: Sequence[Change]) -> None:
        with self._lock:
            for change in written:
                # A newer change of the same record may have been queued during the write.
                if self._queue.get(change.record_id) is change:
                    del self._queue[change.record_id]
            self._was_full = False

    def _write(self, batch: Sequence[Change]) -> bool:
        """Write the batch, or log the error and return False: the batch is written again later."""
        try:
            self._state.put_many(self._kind, [each.record for each in batch if each.record])
            self._state.remove_many(
                self._kind, [each.record_id for each in batch if each.record is None]
            )
        except TokensvcError as exc:
            # Each series of failures is logged once.
            if not self._is_failing:
                _logger.warning(
                    "Writing records of kind %s failed and is tried again every %g seconds: %s",
                    self._kind,
                    self._retry_seconds,
                    exc,
                )
            self._is_failing = True
            return False
        except Exception:
            # A bug. The same batch would fail each time, and no other one would be written.
            _logger.exception("%d records of kind %s can't be written", len(batch), self._kind)
            return True
        if self._is_failing:
            _logger.info(
                "Records of kind %s are written again. Dropped since the start: %d",
                self._kind,
                self._dropped,
            )
        self._is_failing = False
        return True

    def _run(self) -> None:
        is_closing = False
        while not is_closing:
            self._has_changes.wait()
            # Cleared before the flush, so that a change which is queued during it is not missed.
            self._has_changes.clear()
            is_closing = self._closing.wait(COLLECT_SECONDS)
            if not self.flush() and not is_closing:
                self._closing.wait(self._retry_seconds)
                self._has_changes.set()
