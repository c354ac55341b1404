"""A watched document: its value, its age, its failures and its thread."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.state.watching import NEVER, decode, wait_until
from tests.support.clock import ManualClock
from tests.support.documents import save_next
from tests.support.sqlite_files import created_state
from tokensvc.clock import Moment
from tokensvc.errors import StateDamaged, StateMissing, StateUnavailable
from tokensvc.state.base import NEW, Document
from tokensvc.state.sqlite import SqliteState
from tokensvc.state.watch import Watched


@pytest.fixture
def clock() -> ManualClock:
    """A clock that the test controls."""
    return ManualClock()


@pytest.fixture
def state(tmp_path: Path, clock: ManualClock) -> SqliteState:
    """The state with the watched document."""
    return created_state(tmp_path / "state.sqlite3", clock)


@pytest.fixture
def writer(tmp_path: Path, clock: ManualClock) -> SqliteState:
    """The same state, as used by another process."""
    return created_state(tmp_path / "state.sqlite3", clock)


@pytest.fixture
def watched(state: SqliteState, clock: ManualClock) -> Iterator[Watched[str]]:
    """The watched document `ring`, not started; it is closed at the end."""
    with closing(Watched(state, "ring", decode, clock=clock, refresh_seconds=NEVER)) as watched:
        yield watched


def latest(watched: Watched[str], clock: ManualClock) -> tuple[str, int, float]:
    """The latest value, its version, and its age now in seconds."""
    reading = watched.latest()
    return reading.value, reading.version.number, reading.age_seconds(Moment.of(clock))


def watch_threads() -> list[threading.Thread]:
    """The threads that watch the document `ring`."""
    return [thread for thread in threading.enumerate() if thread.name == "watch ring"]


def test_there_is_no_value_before_the_start(watched: Watched[str]) -> None:
    """There is no default: a value that was not read is an error."""
    with pytest.raises(StateUnavailable, match="'ring'"):
        watched.latest()


def test_the_first_read_is_done_when_start_returns(
    watched: Watched[str], writer: SqliteState, clock: ManualClock
) -> None:
    """A worker that has started has the document."""
    writer.save("ring", "body", replacing=NEW)
    watched.start()
    assert latest(watched, clock) == ("BODY", 1, 0.0)


def test_a_document_that_was_never_saved_has_a_value_too(
    watched: Watched[str], clock: ManualClock
) -> None:
    """The decoder decides what value a missing document has."""
    watched.start()
    assert latest(watched, clock) == ("NOTHING", 0, 0.0)


def test_the_age_grows_until_the_next_read(
    watched: Watched[str], clock: ManualClock, writer: SqliteState
) -> None:
    """A read that finds the same version resets the age too."""
    writer.save("ring", "body", replacing=NEW)
    watched.start()
    clock.advance(7.5)
    assert latest(watched, clock)[2] == 7.5
    watched.refresh()
    assert latest(watched, clock) == ("BODY", 1, 0.0)


def test_the_age_runs_from_when_the_read_was_sent(tmp_path: Path, clock: ManualClock) -> None:
    """A slow read may return a value from the time when it was sent."""

    class Slow(SqliteState):
        def load(self, name: str) -> Document | None:
            clock.advance(3.0)
            return super().load(name)

    slow = Slow(tmp_path / "state.sqlite3", clock)
    slow.create()
    with closing(Watched(slow, "ring", decode, clock=clock, refresh_seconds=NEVER)) as watched:
        watched.refresh()
        assert latest(watched, clock)[2] == 3.0


@settings(max_examples=50, deadline=None)
@given(passed=st.floats(0, 1e6), jumped=st.floats(-1e6, 1e6))
def test_the_age_is_the_larger_of_two_clocks(passed: float, jumped: float) -> None:
    """A wall clock set back never makes a value younger; one set forward makes it older."""

    class Nothing(SqliteState):
        def load(self, name: str) -> Document | None:
            assert name == "ring"
            return None

    clock = ManualClock()
    watched = Watched(Nothing(Path(), clock), "ring", decode, clock=clock, refresh_seconds=NEVER)
    watched.refresh()
    clock.advance(passed)
    clock.jump_wall(jumped)
    assert latest(watched, clock)[2] == pytest.approx(max(passed, passed + jumped), abs=1e-3)


def test_a_value_within_its_maximum_age_is_returned_without_a_read(
    watched: Watched[str], writer: SqliteState, clock: ManualClock
) -> None:
    """The maximum age is inclusive. The stored document has changed, but is not read."""
    writer.save("ring", "first", replacing=NEW)
    watched.start()
    save_next(writer, "ring", "second")
    clock.advance(120.0)
    assert watched.within(120.0, Moment.of(clock)) == "FIRST"


def test_a_value_over_its_maximum_age_is_read_again_before_it_is_returned(
    watched: Watched[str], writer: SqliteState, clock: ManualClock
) -> None:
    """Rule 3: 1 ms more. The age is that at the caller's moment, which is from before the read."""
    writer.save("ring", "first", replacing=NEW)
    watched.start()
    save_next(writer, "ring", "second")
    clock.advance(120.001)
    moment = Moment.of(clock)
    clock.advance(1.0)
    assert watched.within(120.0, moment) == "SECOND"
    assert latest(watched, clock) == ("SECOND", 2, 0.0)


def test_a_value_over_its_maximum_age_is_refused_only_if_the_read_fails(
    watched: Watched[str], writer: SqliteState, clock: ManualClock, tmp_path: Path
) -> None:
    """A value that is young enough is returned although the state is unavailable."""
    writer.save("ring", "body", replacing=NEW)
    watched.start()
    moved = (tmp_path / "state.sqlite3").rename(tmp_path / "moved")
    clock.advance(60.0)
    assert watched.within(60.0, Moment.of(clock)) == "BODY"
    with pytest.raises(StateUnavailable):
        watched.within(59.0, Moment.of(clock))
    moved.rename(tmp_path / "state.sqlite3")
    assert watched.within(59.0, Moment.of(clock)) == "BODY"


def test_a_value_that_was_never_read_is_refused_at_any_maximum_age(
    watched: Watched[str], writer: SqliteState, clock: ManualClock
) -> None:
    """A process that was not started does not read the state for each request."""
    writer.save("ring", "body", replacing=NEW)
    with pytest.raises(StateUnavailable, match="'ring'"):
        watched.within(3_600.0, Moment.of(clock))


def test_a_change_by_another_process_is_noticed(
    state: SqliteState, writer: SqliteState, clock: ManualClock
) -> None:
    """The thread reads a new version by itself, and calls `on_change` once for each value."""
    changes: list[str] = []
    watched = Watched(
        state, "ring", decode, clock=clock, refresh_seconds=0.005, on_change=changes.append
    )
    with closing(watched):
        watched.start()
        writer.save("ring", "first", replacing=NEW)
        wait_until(lambda: watched.latest().version.number == 1)
        save_next(writer, "ring", "second")
        wait_until(lambda: changes[-1] == "SECOND")
    assert watched.latest().value == "SECOND"
    assert changes == ["NOTHING", "FIRST", "SECOND"]


def test_a_body_is_decoded_only_when_its_version_has_changed(
    state: SqliteState, writer: SqliteState, clock: ManualClock
) -> None:
    """A refresh is cheap: each version is decoded once."""
    decoded: list[Document | None] = []
    watched = Watched(state, "ring", decoded.append, clock=clock, refresh_seconds=NEVER)
    saved = writer.save("ring", "body", replacing=NEW)
    for _ in range(3):
        watched.refresh()
    assert decoded == [Document("body", saved)]


def test_a_restored_older_version_is_noticed(
    watched: Watched[str], writer: SqliteState, clock: ManualClock, tmp_path: Path
) -> None:
    """Every other version is a change, including a smaller one."""
    writer.save("ring", "first", replacing=NEW)
    copy = (tmp_path / "state.sqlite3").read_bytes()
    save_next(writer, "ring", "second")
    watched.start()
    (tmp_path / "state.sqlite3").write_bytes(copy)
    watched.refresh()
    assert latest(watched, clock) == ("FIRST", 1, 0.0)


def test_a_document_that_was_seen_and_is_absent_is_unavailable_and_never_nothing(
    watched: Watched[str], writer: SqliteState, clock: ManualClock, tmp_path: Path
) -> None:
    """An empty state in the place of the right one must not empty what this process knows."""
    writer.save("ring", "body", replacing=NEW)
    watched.start()
    moved = (tmp_path / "state.sqlite3").rename(tmp_path / "moved")
    writer.create()
    clock.advance(10.0)
    with pytest.raises(StateMissing, match="'ring'"):
        watched.refresh()
    assert latest(watched, clock) == ("BODY", 1, 10.0)
    moved.replace(tmp_path / "state.sqlite3")
    watched.refresh()
    assert latest(watched, clock) == ("BODY", 1, 0.0)


def test_another_save_with_the_same_number_is_noticed(
    watched: Watched[str], writer: SqliteState, clock: ManualClock, tmp_path: Path
) -> None:
    """After a restore the numbers are used again."""
    copy_before = (tmp_path / "state.sqlite3").read_bytes()
    save_next(writer, "ring", "lost")
    watched.start()
    (tmp_path / "state.sqlite3").write_bytes(copy_before)
    save_next(writer, "ring", "after the restore")
    watched.refresh()
    assert latest(watched, clock) == ("AFTER THE RESTORE", 1, 0.0)


def test_a_failing_read_keeps_the_last_value_and_its_age_grows(
    watched: Watched[str], writer: SqliteState, clock: ManualClock, tmp_path: Path
) -> None:
    """The next read that succeeds resets the age."""
    writer.save("ring", "body", replacing=NEW)
    watched.start()
    moved = (tmp_path / "state.sqlite3").rename(tmp_path / "moved")
    clock.advance(60.0)
    with pytest.raises(StateUnavailable):
        watched.refresh()
    assert latest(watched, clock) == ("BODY", 1, 60.0)
    moved.rename(tmp_path / "state.sqlite3")
    watched.refresh()
    assert latest(watched, clock) == ("BODY", 1, 0.0)


def test_the_last_value_is_kept_while_the_document_cannot_be_decoded(
    watched: Watched[str], writer: SqliteState, clock: ManualClock
) -> None:
    """A damaged document neither replaces the last value nor resets its age."""
    writer.save("ring", "body", replacing=NEW)
    watched.start()
    save_next(writer, "ring", "damaged")
    for _ in range(2):
        clock.advance(10.0)
        with pytest.raises(StateDamaged):
            watched.refresh()
    assert latest(watched, clock) == ("BODY", 1, 20.0)
    save_next(writer, "ring", "repaired")
    watched.refresh()
    assert latest(watched, clock) == ("REPAIRED", 3, 0.0)


def test_a_start_that_can_not_read_goes_on_trying(
    state: SqliteState, writer: SqliteState, clock: ManualClock
) -> None:
    """Until a read succeeds, each use raises the error of the last one."""
    writer.save("ring", "damaged", replacing=NEW)
    watched = Watched(state, "ring", decode, clock=clock, refresh_seconds=0.005)
    with closing(watched):
        watched.start()
        with pytest.raises(StateDamaged):
            watched.within(120.0, Moment.of(clock))
        save_next(writer, "ring", "repaired")
        wait_until(lambda: watched.failure is None)
        assert watched.within(120.0, Moment.of(clock)) == "REPAIRED"


def test_the_watch_survives_failures_and_logs_when_they_begin_and_end(
    state: SqliteState,
    writer: SqliteState,
    clock: ManualClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Each series of failures is logged once when it begins, and once when it ends."""
    failures = 0

    def fail_for_version_1(document: Document | None) -> str:
        nonlocal failures
        if document is not None and document.version.number == 1:
            failures += 1
            raise ZeroDivisionError
        return decode(document)

    caplog.set_level(logging.INFO, logger="tokensvc.state.watch")
    with closing(
        Watched(state, "ring", fail_for_version_1, clock=clock, refresh_seconds=0.005)
    ) as watched:
        watched.start()
        writer.save("ring", "bad", replacing=NEW)
        wait_until(lambda: failures >= 3)
        save_next(writer, "ring", "good")
        wait_until(lambda: watched.latest().value == "GOOD")
        wait_until(lambda: len(caplog.records) == 2)
    failed, recovered = caplog.records
    assert (failed.levelname, failed.args) == ("ERROR", ("ring", "ZeroDivisionError"))
    assert (recovered.levelname, recovered.args) == ("INFO", ("ring",))


def test_close_ends_the_thread_and_keeps_the_last_value(
    watched: Watched[str], clock: ManualClock
) -> None:
    """After close, nothing is read, and the age grows."""
    watched.start()
    watched.close()
    clock.advance(5.0)
    assert not watch_threads()
    assert latest(watched, clock)[2] == 5.0
