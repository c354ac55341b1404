"""The queue of records in any order of changes and faults."""

from __future__ import annotations

import itertools

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.fleet.links import Condition, Link
from tests.fleet.memory_state import MemoryState, MemoryStore
from tests.state.records import KIND, record
from tokensvc.state.base import Record
from tokensvc.state.record_writer import RecordWriter


class AnyOrderOfChanges(RuleBasedStateMachine):
    """In any order of changes and faults, the queue agrees with a list of changes."""

    CAPACITY = 4

    def __init__(self) -> None:
        super().__init__()
        self.link = Link()
        self.store = MemoryStore()
        self.writer = RecordWriter(MemoryState(self.store, self.link), KIND, capacity=self.CAPACITY)
        self.queue: list[tuple[str, Record | None]] = []  # The oldest first.
        self.stored: dict[str, Record] = {}
        self.dropped = 0
        self.bodies = itertools.count()

    @rule(record_id=st.sampled_from("abcdefg"), is_put=st.booleans())
    def a_change_is_queued(self, record_id: str, *, is_put: bool) -> None:
        """It replaces an earlier one of the same record; a full queue loses its oldest one."""
        new = record(record_id, str(next(self.bodies))) if is_put else None
        returned = self.writer.put(new) if new else self.writer.remove(record_id)
        self.queue = [(queued, change) for queued, change in self.queue if queued != record_id]
        expected = None
        if len(self.queue) == self.CAPACITY:
            expected = self.queue.pop(0)[0]
            self.dropped += 1
        self.queue.append((record_id, new))
        assert returned == expected

    @rule(condition=st.sampled_from([Condition.UP, Condition.UP, Condition.DOWN]))
    def the_queue_is_flushed(self, condition: Condition) -> None:
        """Everything is written, or everything stays in the queue."""
        self.link.condition = condition
        is_written = not self.queue or condition is Condition.UP
        assert self.writer.flush() == is_written
        if is_written:
            for record_id, new in self.queue:
                self.stored.pop(record_id, None)
                self.stored |= {record_id: new} if new else {}
            self.queue = []

    @invariant()
    def the_writer_agrees_with_the_model(self) -> None:
        """The queue, its bound, the counter, and what is stored."""
        assert self.writer.queued == len(self.queue) <= self.CAPACITY
        assert self.writer.dropped == self.dropped
        for record_id, new in self.queue:
            change = self.writer.queued_change(record_id)
            assert change is not None
            assert change.record == new
        assert self.store.kinds.get(KIND, {}) == self.stored


TestAnyOrderOfChanges = AnyOrderOfChanges.TestCase
TestAnyOrderOfChanges.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
