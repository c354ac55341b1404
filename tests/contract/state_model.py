"""Two processes on one store, compared with a model: the last test of every state."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import ClassVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from tests.support.clock import EXAMPLE_NOW
from tokensvc.errors import StateConflict
from tokensvc.state.base import NEW, Document, Record, State, Version

LATER = EXAMPLE_NOW + 600.0
NAMES = st.sampled_from(["ring", "api-keys"])
KINDS = st.sampled_from(["ban", "channel"])
IDS = st.sampled_from(["a", "b", "c"])
BODIES = st.text(st.characters(codec="utf-8"), max_size=20)
PROCESS = st.sampled_from([0, 1])


class AgainstModel(RuleBasedStateMachine):
    """Two states on one store, compared with a model of their content."""

    # In a tuple, so that Python does not bind it as a method.
    store: ClassVar[tuple[Callable[[], State]]]

    def __init__(self) -> None:
        super().__init__()
        (open_state,) = self.store
        self.states = (open_state(), open_state())
        # All examples share one store, so each example uses its own names.
        self.prefix = secrets.token_hex(8)
        self.documents: dict[str, Document] = {}
        self.records: dict[tuple[str, str], Record] = {}

    def _prefixed(self, name: str) -> str:
        return f"{self.prefix}-{name}"

    @rule(process=PROCESS, name=NAMES, body=BODIES)
    def save_over_the_latest(self, process: int, name: str, body: str) -> None:
        """Each save gives the next version."""
        replacing = self.documents.get(name, Document("", NEW)).version
        saved = self.states[process].save(self._prefixed(name), body, replacing=replacing)
        assert saved.number == replacing.number + 1
        self.documents[name] = Document(body, saved)

    @precondition(lambda self: self.documents)
    @rule(process=PROCESS, name=NAMES, body=BODIES, off_by=st.sampled_from([-2, -1, 0, 1, 2]))
    def save_over_another_version(self, process: int, name: str, body: str, off_by: int) -> None:
        """It is refused."""
        stored = self.documents.get(name, Document("", NEW)).version
        other = Version(stored.number + off_by, "of another save")
        with pytest.raises(StateConflict):
            self.states[process].save(self._prefixed(name), body, replacing=other)

    @rule(process=PROCESS, name=NAMES)
    def read(self, process: int, name: str) -> None:
        """Both processes read the last save."""
        expected = self.documents.get(name)
        assert self.states[process].load(self._prefixed(name)) == expected
        version = NEW if expected is None else expected.version
        assert self.states[process].version(self._prefixed(name)) == version

    @rule(process=PROCESS, kind=KINDS, bodies=st.dictionaries(IDS, BODIES))
    def put_many(self, process: int, kind: str, bodies: dict[str, str]) -> None:
        """Each record replaces the one with its ID."""
        records = [Record(record_id, body, LATER) for record_id, body in bodies.items()]
        self.states[process].put_many(self._prefixed(kind), records)
        self.records |= {(kind, record.record_id): record for record in records}

    @rule(process=PROCESS, kind=KINDS, record_ids=st.lists(IDS))
    def remove_many(self, process: int, kind: str, record_ids: list[str]) -> None:
        """An ID without a record is not an error."""
        self.states[process].remove_many(self._prefixed(kind), record_ids)
        for record_id in record_ids:
            self.records.pop((kind, record_id), None)

    @rule(process=PROCESS, kind=KINDS, record_id=IDS)
    def read_record(self, process: int, kind: str, record_id: str) -> None:
        """Both processes read the last record."""
        stored = self.states[process].record(self._prefixed(kind), record_id)
        assert stored == self.records.get((kind, record_id))

    @rule(process=PROCESS, kind=KINDS, body=BODIES, is_expected=st.booleans())
    def put_if(self, process: int, kind: str, body: str, *, is_expected: bool) -> None:
        """It is stored if the stored record is the expected one."""
        stored = self.records.get((kind, "a"))
        expected = stored if is_expected else Record("a", f"not {stored and stored.body}", LATER)
        record = Record("a", body, LATER)
        assert is_expected == self.states[process].put_if(
            self._prefixed(kind), record, replacing=expected
        )
        if is_expected:
            self.records[kind, "a"] = record

    @rule(process=PROCESS, kind=KINDS, record_ids=st.sets(IDS))
    def read_many(self, process: int, kind: str, record_ids: set[str]) -> None:
        """Both processes read the last records."""
        found = self.states[process].read_many(self._prefixed(kind), record_ids)
        stored = {each: self.records.get((kind, each)) for each in record_ids}
        assert {each.record_id: each for each in found} == {
            record_id: record for record_id, record in stored.items() if record is not None
        }
