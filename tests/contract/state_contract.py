"""The tests that every state must pass, wherever it is stored.

The test module of a state subclasses `StateContract` and overrides two fixtures: `open_state`, and
`state_losing_acknowledgment`, which injects the one fault that these tests need.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.contract.state_model import AgainstModel
from tests.support.clock import EXAMPLE_NOW
from tests.support.documents import stored
from tests.support.stand_in_gaps import Gap
from tokensvc.errors import StateConflict, StateUnavailable
from tokensvc.state.base import NEW, Document, Record, State, Version

OpenState = Callable[[], State]
LATER = EXAMPLE_NOW + 600.0


class StateContract:
    """Subclass it, and override `open_state` and `state_losing_acknowledgment`."""

    max_model_examples: ClassVar[int] = 20
    """How many sequences of operations are compared with the model."""

    gap_of_races: ClassVar[Gap | None] = None
    """The gap of a stand-in that lets several saves of one version succeed."""

    @pytest.fixture
    def open_state(self) -> OpenState:
        """Each call opens the same store, as another process would. It is empty at first."""
        raise NotImplementedError

    @pytest.fixture
    def state_losing_acknowledgment(self) -> State:
        """A state on the same store that loses the acknowledgment of its first stored save."""
        raise NotImplementedError

    @pytest.fixture
    def state(self, open_state: OpenState) -> State:
        """One state, for tests that need only one."""
        return open_state()

    # --- Documents

    def test_a_document_that_was_never_saved_has_version_new_and_no_body(
        self, state: State
    ) -> None:
        """A missing document is a return value, not an error."""
        assert state.version("ring") == NEW
        assert state.load("ring") is None

    def test_a_save_is_read_back_by_another_process(self, open_state: OpenState) -> None:
        """A read sees every write that was acknowledged before it, by any process."""
        saved = open_state().save("ring", '{"a": 1}', replacing=NEW)
        other = open_state()
        assert other.version("ring") == saved
        assert other.load("ring") == Document('{"a": 1}', saved)

    def test_each_save_gives_the_next_version(self, state: State) -> None:
        """Numbers count saves, and each save names the version that it replaces."""
        first = state.save("ring", "body 1", replacing=NEW)
        second = state.save("ring", "body 2", replacing=first)
        third = state.save("ring", "body 3", replacing=second)
        assert [each.number for each in (first, second, third)] == [1, 2, 3]
        assert len({each.nonce for each in (NEW, first, second, third)}) == 4
        assert stored(state, "ring") == ("body 3", 3)

    @pytest.mark.parametrize(
        "replacing",
        [
            lambda _first, _second: NEW,
            lambda first, _: first,
            lambda _, second: Version(3, second.nonce),
            lambda _, second: Version(second.number, "of another save"),
        ],
        ids=["new", "outdated", "future", "same number"],
    )
    def test_a_save_that_replaces_another_version_is_refused_and_changes_nothing(
        self, state: State, replacing: Callable[[Version, Version], Version]
    ) -> None:
        """Compare-and-set: the loser gets StateConflict, and the winner's save stays."""
        first = state.save("ring", "first", replacing=NEW)
        second = state.save("ring", "second", replacing=first)
        with pytest.raises(StateConflict) as refusal:
            state.save("ring", "third", replacing=replacing(first, second))
        assert refusal.value.code == "state_conflict"
        assert state.load("ring") == Document("second", second)
        assert state.save("ring", "third", replacing=second).number == 3

    def test_saving_the_same_body_as_another_writer_is_a_conflict(
        self, open_state: OpenState
    ) -> None:
        """A writer recognizes its own save by a nonce, never by the body."""
        open_state().save("ring", "same", replacing=NEW)
        with pytest.raises(StateConflict):
            open_state().save("ring", "same", replacing=NEW)

    def test_a_save_whose_acknowledgment_was_lost_succeeds(
        self, state_losing_acknowledgment: State, state: State
    ) -> None:
        """Rule 7: by its nonce, the writer recognizes that the stored save is its own."""
        saved = state_losing_acknowledgment.save("ring", "mine", replacing=NEW)
        assert state.load("ring") == Document("mine", saved)
        assert state.save("ring", "next", replacing=saved).number == 2

    def test_the_versions_of_all_documents_are_read_at_once(
        self, state: State, open_state: OpenState
    ) -> None:
        """By name, sorted, and with the document `schema` that each state begins with."""
        ring = state.save("ring", "1", replacing=state.save("ring", "0", replacing=NEW))
        keys = state.save("api-keys", "0", replacing=NEW)
        versions = open_state().versions()
        assert list(versions) == ["api-keys", "ring", "schema"]
        assert (versions["ring"], versions["api-keys"]) == (ring, keys)
        assert versions["schema"] == state.version("schema")

    def test_documents_are_separate(self, state: State) -> None:
        """A save changes only the named document, and no record with the same name."""
        state.save("ring", "of the ring", replacing=NEW)
        state.put_many("ring", [Record("ring", "of the record", LATER)])
        state.save("api-keys", "of the keys", replacing=NEW)
        assert stored(state, "ring") == ("of the ring", 1)
        assert stored(state, "api-keys") == ("of the keys", 1)
        assert state.version("record") == NEW

    @pytest.mark.parametrize(
        "body", ["", "é ☃ 𝄞 \x00 '\"\\", "x" * 100_000], ids=["empty", "unicode", "long"]
    )
    def test_a_body_is_returned_unchanged(self, state: State, body: str) -> None:
        """The state does not interpret bodies."""
        state.save("ring", body, replacing=NEW)
        state.put_many("ban", [Record("one", body, LATER)])
        assert stored(state, "ring") == (body, 1)
        assert state.record("ban", "one") == Record("one", body, LATER)

    def test_when_many_threads_race_exactly_one_wins_each_version(
        self, open_state: OpenState
    ) -> None:
        """Eight writers, each with its own state, try to save the same five versions."""
        if self.gap_of_races is not None:
            pytest.skip(self.gap_of_races.difference)
        writers, versions = 8, 5
        together = threading.Barrier(writers, timeout=30)

        def race(writer: int) -> list[int]:
            state = open_state()
            won = []
            for _ in range(versions):
                together.wait()
                replacing = state.version("ring")
                together.wait()
                try:
                    won.append(state.save("ring", f"by {writer}", replacing=replacing).number)
                except StateConflict:
                    continue
            return won

        with ThreadPoolExecutor(writers) as pool:
            wins = list(pool.map(race, range(writers)))
        assert sorted(version for won in wins for version in won) == [1, 2, 3, 4, 5]
        winner = next(writer for writer, won in enumerate(wins) if versions in won)
        assert stored(open_state(), "ring") == (f"by {winner}", 5)

    def test_threads_share_one_state(self, state: State) -> None:
        """One state object serves every thread of a process."""

        def put_records(writer: int) -> None:
            for n in range(3):
                state.put_many("ban", [Record(f"{writer}-{n}", "x", LATER)])
                assert state.version("ring") == NEW

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(put_records, range(6)))
        ids = [f"{writer}-{n}" for writer in range(6) for n in range(3)]
        assert [state.record("ban", each) for each in ids] == [
            Record(each, "x", LATER) for each in ids
        ]

    # --- Records

    def test_records_are_read_by_their_kind_and_id(self, open_state: OpenState) -> None:
        """Kinds are separate namespaces. None is returned when there is no such record."""
        open_state().put_many("ban", [Record("b", "2", LATER), Record("a", "1", LATER + 0.5)])
        open_state().put_many("channel", [Record("a", "other", LATER)])
        state = open_state()
        assert state.record("ban", "a") == Record("a", "1", LATER + 0.5)
        assert state.record("ban", "b") == Record("b", "2", LATER)
        assert state.record("channel", "a") == Record("a", "other", LATER)
        assert state.record("channel", "b") is None
        assert state.record("session", "a") is None

    def test_a_put_replaces_the_record_with_the_same_id(self, state: State) -> None:
        """Each kind and ID has one record: the last, also within one call."""
        state.put_many("ban", [Record("a", "old", LATER), Record("b", "other", LATER)])
        state.put_many("ban", [Record("a", "newer", LATER), Record("a", "new", LATER + 60.0)])
        assert state.record("ban", "a") == Record("a", "new", LATER + 60.0)
        assert state.record("ban", "b") == Record("b", "other", LATER)

    def test_removed_records_are_deleted_and_removing_them_again_has_no_effect(
        self, open_state: OpenState
    ) -> None:
        """Removing can be repeated, like every step. The records of other kinds stay."""
        state = open_state()
        state.put_many("ban", [Record(name, "1", LATER) for name in "abc"])
        state.put_many("channel", [Record("a", "2", LATER)])
        state.remove_many("ban", ["a", "c", "never put"])
        state.remove_many("ban", ["a"])
        state.remove_many("channel", ["b"])
        other = open_state()
        assert [other.record("ban", name) for name in "abc"] == [
            None,
            Record("b", "1", LATER),
            None,
        ]
        assert other.record("channel", "a") == Record("a", "2", LATER)

    def test_a_change_of_no_record_changes_nothing(self, state: State) -> None:
        """An empty sequence is allowed."""
        state.put_many("ban", [Record("a", "1", LATER)])
        state.put_many("ban", [])
        state.remove_many("ban", [])
        assert state.record("ban", "a") == Record("a", "1", LATER)

    def test_a_record_that_has_not_expired_stays_when_others_are_put(self, state: State) -> None:
        """Only expired records may be deleted, and at any later time."""
        expired = Record("expired", "2", EXAMPLE_NOW - 1_000_000.0)
        state.put_many("ban", [Record("valid", "1", LATER), expired])
        state.put_many("ban", [Record("new", "3", LATER)])
        assert state.record("ban", "valid") == Record("valid", "1", LATER)
        assert state.record("ban", "new") == Record("new", "3", LATER)
        assert state.record("ban", "expired") in (None, expired)

    def test_all_records_of_a_kind_are_listed_by_id(
        self, state: State, open_state: OpenState
    ) -> None:
        """Another process sees them, without the records of other kinds."""
        assert list(state.records("probe")) == []
        two, one = Record("two", "2", LATER), Record("one", "1", LATER)
        state.put_many("probe", [two, one])
        state.put_many("ban", [Record("three", "3", LATER)])
        assert list(open_state().records("probe")) == [one, two]
        state.remove_many("probe", ["one"])
        assert list(open_state().records("probe")) == [two]

    def test_many_records_are_read_at_once(self, state: State) -> None:
        """Those that there are, of that kind, also more than one call of the store can have."""
        ids = [f"{number:03}" for number in range(120)]
        state.put_many("ban", [Record(each, f"body {each}", LATER) for each in ids])
        state.put_many("channel", [Record("a", "other", LATER)])
        found = state.read_many("ban", [*ids, "never put", "000", "a"])
        assert sorted(found, key=lambda each: each.record_id) == [
            Record(each, f"body {each}", LATER) for each in ids
        ]
        assert list(state.read_many("ban", [])) == []

    def test_a_record_is_put_if_the_stored_one_is_the_expected_one(
        self, open_state: OpenState
    ) -> None:
        """By its body. Nothing is stored otherwise; other kinds and IDs are not affected."""
        first, second = Record("a", "1", LATER), Record("a", "2", LATER)
        state, other = open_state(), open_state()
        state.put_many("channel", [first])
        assert not state.put_if("ban", second, replacing=first)
        assert state.record("ban", "a") is None
        assert state.put_if("ban", first, replacing=None)
        assert not other.put_if("ban", second, replacing=None)
        assert other.put_if("ban", second, replacing=first)
        assert not state.put_if("ban", Record("a", "3", LATER), replacing=first)
        assert state.record("ban", "a") == second
        assert state.record("channel", "a") == first

    def test_when_many_threads_put_if_exactly_one_wins(self, open_state: OpenState) -> None:
        """Eight processes replace the same record."""
        if self.gap_of_races is not None:
            pytest.skip(self.gap_of_races.difference)
        together = threading.Barrier(8, timeout=30)
        seen = Record("a", "seen", LATER)
        open_state().put_many("ban", [seen])

        def race(process: int) -> bool:
            state = open_state()
            together.wait()
            return state.put_if("ban", Record("a", f"by {process}", LATER), replacing=seen)

        with ThreadPoolExecutor(8) as pool:
            wins = list(pool.map(race, range(8)))
        assert wins.count(True) == 1
        assert open_state().record("ban", "a") == Record("a", f"by {wins.index(True)}", LATER)

    def test_processes_that_write_at_the_same_time_lose_no_record(
        self, open_state: OpenState
    ) -> None:
        """A put changes only the records that it names."""

        def write(writer: int) -> None:
            state = open_state()
            for n in range(10):
                state.put_many("ban", [Record(f"{writer}-{n}-{each}", "x", LATER) for each in "ab"])
                state.remove_many("ban", [f"{writer}-{n}-a"])

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(write, range(4)))
        state = open_state()
        names = [f"{writer}-{n}" for writer in range(4) for n in range(10)]
        assert [name for name in names if state.record("ban", f"{name}-b") is None] == []
        assert [name for name in names if state.record("ban", f"{name}-a") is not None] == []

    def test_a_put_whose_acknowledgment_was_lost_is_reported_and_can_be_repeated(
        self, state_losing_acknowledgment: State, state: State
    ) -> None:
        """The caller can't know whether the records were stored, so it puts them again."""
        both = [Record("a", "1", LATER), Record("b", "2", LATER)]
        with pytest.raises(StateUnavailable):
            state_losing_acknowledgment.put_many("ban", both)
        state_losing_acknowledgment.put_many("ban", both)
        assert [state.record("ban", each.record_id) for each in both] == both

    # --- The whole

    def test_a_closed_state_refuses_and_the_stored_data_stays(self, open_state: OpenState) -> None:
        """Closing affects only this state object."""
        state = open_state()
        state.save("ring", "stored", replacing=NEW)
        state.close()
        with pytest.raises(StateUnavailable):
            state.load("ring")
        assert stored(open_state(), "ring") == ("stored", 1)

    def test_any_operations_by_two_processes_agree_with_a_model(
        self, open_state: OpenState
    ) -> None:
        """Two processes taking turns get the same results as a dict would give."""
        run_state_machine_as_test(
            type("OfThisStore", (AgainstModel,), {"store": (open_state,)}),
            settings=settings(
                max_examples=self.max_model_examples,
                stateful_step_count=25,
                deadline=None,  # Syncing a disk may be slow.
                suppress_health_check=[HealthCheck.too_slow],
            ),
        )
