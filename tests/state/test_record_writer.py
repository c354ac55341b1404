"""Records are written in the background: nothing waits, and the queue is bounded."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing

import pytest

from tests.fleet.links import Condition, Link
from tests.fleet.memory_state import MemoryState, MemoryStore
from tests.state.records import KIND, WAIT_SECONDS, eventually, record
from tokensvc.state.base import Record
from tokensvc.state.record_writer import RecordWriter


class ObservedState(MemoryState):
    """A state in memory that reports and can delay its writes.

    Attributes:
        writes: the IDs of each call that changed records, in order.
        during_put: called in each `put_many`, before the records are stored.
    """

    def __init__(self, store: MemoryStore, link: Link) -> None:
        super().__init__(store, link)
        self.writes: list[list[str]] = []
        self.during_put: Callable[[], object] = lambda: None

    def put_many(self, kind: str, records: Sequence[Record]) -> None:
        """Store the records."""
        if records:
            self.writes.append([each.record_id for each in records])
            self.during_put()
        super().put_many(kind, records)

    def remove_many(self, kind: str, record_ids: Sequence[str]) -> None:
        """Remove the records."""
        if record_ids:
            self.writes.append([f"-{each}" for each in record_ids])
        super().remove_many(kind, record_ids)


@pytest.fixture
def store() -> MemoryStore:
    """What is stored."""
    return MemoryStore()


@pytest.fixture
def link() -> Link:
    """The connection to the state, which a test interrupts."""
    return Link()


@pytest.fixture
def state(store: MemoryStore, link: Link) -> ObservedState:
    """The state that is written to."""
    return ObservedState(store, link)


@pytest.fixture
def writer(state: ObservedState) -> Iterator[RecordWriter]:
    """A writer for three records, not started; it retries almost at once."""
    with closing(RecordWriter(state, KIND, capacity=3, retry_seconds=0.01)) as writer:
        yield writer


# --- The queue


@pytest.mark.parametrize(
    ("changes", "written", "dropped"),
    [
        (["a"], [["a"]], []),
        (["a", "b", "c"], [["a", "b", "c"]], []),
        (["a", "a", "a", "a"], [["a"]], []),
        (["a", "b", "a"], [["b", "a"]], []),
        (["a", "-b"], [["a"], ["-b"]], []),
        (["a", "-a"], [["-a"]], []),
        (["-a", "a"], [["a"]], []),
        (["a", "b", "c", "d"], [["b", "c", "d"]], ["a"]),
        (["a", "b", "c", "b"], [["a", "c", "b"]], []),
        (["a", "b", "c", "a", "d"], [["c", "a", "d"]], ["b"]),
        (["-a", "b", "c", "d", "e"], [["c", "d", "e"]], ["a", "b"]),
        (["a", "b", "c", "-d"], [["b", "c"], ["-d"]], ["a"]),
    ],
)
def test_the_newest_change_of_each_record_is_written_and_the_oldest_is_dropped(
    state: ObservedState,
    writer: RecordWriter,
    changes: list[str],
    written: list[list[str]],
    dropped: list[str],
) -> None:
    """The queue has three places. Each change is queued in its order; `-a` removes a."""
    returned = [
        writer.remove(change[1:]) if change.startswith("-") else writer.put(record(change))
        for change in changes
    ]
    assert [each for each in returned if each] == dropped
    assert writer.dropped == len(dropped)
    assert writer.flush()
    assert state.writes == written
    assert writer.queued == 0
    assert writer.flush()
    assert state.writes == written


def test_the_last_of_several_changes_is_the_one_that_is_written(
    store: MemoryStore, writer: RecordWriter
) -> None:
    """Records of the same ID are coalesced."""
    writer.put(record("a", "old"))
    writer.put(record("a", "new"))
    writer.flush()
    assert store.kinds == {KIND: {"a": record("a", "new")}}


def test_a_change_that_is_not_written_yet_can_be_read(
    writer: RecordWriter, link: Link, store: MemoryStore
) -> None:
    """So that this process sees its own changes while the state fails."""
    link.condition = Condition.DOWN
    writer.put(record("a"))
    writer.remove("b")
    writer.flush()
    put, removed = writer.queued_change("a"), writer.queued_change("b")
    assert put is not None
    assert put.record == record("a")
    assert removed is not None
    assert removed.record is None
    assert writer.queued_change("c") is None
    link.condition = Condition.UP
    writer.flush()
    assert writer.queued_change("a") is None
    assert store.kinds == {KIND: {"a": record("a")}}


def test_a_full_queue_is_reported_once_until_records_are_written_again(
    writer: RecordWriter, caplog: pytest.LogCaptureFixture
) -> None:
    """One warning with the capacity for each series; the counter counts every drop."""
    for number in range(9):
        writer.put(record(str(number)))
    assert writer.dropped == 6
    (warning,) = caplog.records
    assert (warning.levelname, warning.args) == ("WARNING", (3, KIND))
    writer.flush()
    for number in range(5):
        writer.put(record(str(number)))
    assert writer.dropped == 8
    assert len(caplog.records) == 2


def test_transactions_are_limited_to_500_changes(state: ObservedState) -> None:
    """A long queue must not hold the write lock for long."""
    writer = RecordWriter(state, KIND)
    for number in range(1_200):
        writer.put(record(str(number)))
    assert writer.flush()
    assert [len(ids) for ids in state.writes] == [500, 500, 200]
    assert writer.queued == 0


# --- The thread


def test_changes_are_written_by_the_thread(
    store: MemoryStore, state: ObservedState, writer: RecordWriter
) -> None:
    """Those from before the start too. Changes within a tenth of a second are collected."""
    writer.put(record("a"))
    writer.start()
    writer.put(record("b"))
    eventually(lambda: writer.queued == 0)
    writer.put(record("c"))
    writer.remove("a")
    eventually(lambda: writer.queued == 0)
    assert store.kinds == {KIND: {"b": record("b"), "c": record("c")}}
    assert state.writes[0] == ["a", "b"]


def test_queueing_does_not_wait_for_a_write(
    store: MemoryStore, state: ObservedState, writer: RecordWriter
) -> None:
    """A newer change that is queued during a write is written afterwards."""
    is_writing, proceed = threading.Event(), threading.Event()

    def block() -> None:
        is_writing.set()
        assert proceed.wait(WAIT_SECONDS)

    state.during_put = block
    writer.start()
    writer.put(record("a", "old"))
    assert is_writing.wait(WAIT_SECONDS)
    began_at = time.monotonic()
    writer.put(record("a", "new"))
    writer.remove("b")
    assert time.monotonic() - began_at < WAIT_SECONDS / 2
    assert store.kinds == {}
    proceed.set()
    eventually(lambda: writer.queued == 0)
    assert store.kinds == {KIND: {"a": record("a", "new")}}


def test_a_failing_state_is_tried_again_until_it_works(
    store: MemoryStore, link: Link, writer: RecordWriter, caplog: pytest.LogCaptureFixture
) -> None:
    """The records stay queued. One warning for each series of failures, one line at its end."""
    caplog.set_level(logging.INFO)
    for name in ("a", "b"):
        link.condition = Condition.DOWN
        writer.put(record(name))
        attempts = [writer.flush() for _ in range(3)]
        assert attempts == [False, False, False]
        link.condition = Condition.UP
        assert writer.flush()
    assert store.kinds == {KIND: {"a": record("a"), "b": record("b")}}
    assert [each.levelname for each in caplog.records] == ["WARNING", "INFO"] * 2


def test_the_thread_continues_after_a_failure_of_the_state(
    store: MemoryStore, link: Link, writer: RecordWriter, caplog: pytest.LogCaptureFixture
) -> None:
    """No new change is needed for the retry."""
    link.condition = Condition.DOWN
    writer.start()
    writer.put(record("a"))
    eventually(lambda: caplog.records)
    assert writer.queued == 1
    link.condition = Condition.UP
    eventually(lambda: writer.queued == 0)
    assert store.kinds == {KIND: {"a": record("a")}}


def test_a_bug_in_a_write_is_logged_and_does_not_stop_the_thread(
    store: MemoryStore,
    state: ObservedState,
    writer: RecordWriter,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Records that can't be written at all must not block the others."""

    def fail() -> None:
        state.during_put = lambda: None
        raise ZeroDivisionError

    state.during_put = fail
    writer.start()
    writer.put(record("a"))
    eventually(lambda: writer.queued == 0)
    (error,) = caplog.records
    assert error.exc_info is not None
    assert error.exc_info[0] is ZeroDivisionError
    writer.put(record("b"))
    eventually(lambda: writer.queued == 0)
    assert store.kinds == {KIND: {"b": record("b")}}


# --- Closing


def test_closing_writes_what_is_queued(store: MemoryStore, writer: RecordWriter) -> None:
    """At once, and nothing afterwards; the thread has ended."""
    threads = threading.active_count()
    writer.start()
    writer.put(record("a"))
    writer.put(record("b"))
    writer.close()
    assert threading.active_count() == threads
    assert store.kinds == {KIND: {"a": record("a"), "b": record("b")}}
    assert writer.put(record("c")) is None
    assert writer.queued == 0
    writer.close()


def test_closing_tries_once_more_after_a_failure(
    store: MemoryStore, state: ObservedState, link: Link, caplog: pytest.LogCaptureFixture
) -> None:
    """The pause before the retry is cut short."""
    writer = RecordWriter(state, KIND, retry_seconds=3_600.0)
    link.condition = Condition.DOWN
    writer.start()
    writer.put(record("a"))
    eventually(lambda: caplog.records)
    link.condition = Condition.UP
    writer.close()
    assert store.kinds == {KIND: {"a": record("a")}}


@pytest.mark.parametrize("fault", ["the state fails", "the state does not answer"])
def test_closing_takes_a_bounded_time(
    state: ObservedState, link: Link, caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    """The number of records that were not written is logged."""
    proceed = threading.Event()
    if fault == "the state fails":
        link.condition = Condition.DOWN
    else:
        state.during_put = lambda: proceed.wait(WAIT_SECONDS)
    writer = RecordWriter(state, KIND, retry_seconds=3_600.0, close_seconds=0.2)
    writer.start()
    writer.put(record("a"))
    writer.put(record("b"))
    began_at = time.monotonic()
    writer.close()
    assert time.monotonic() - began_at < 5.0
    assert caplog.records[-1].args == (2, KIND)
    proceed.set()


def test_a_writer_that_was_not_started_can_be_closed(writer: RecordWriter) -> None:
    """For a service that could not start."""
    writer.close()
    assert writer.queued == 0
