from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.clock import ManualClock
from tokensvc.clock import Moment
from tokensvc.errors import StateDamaged, StateUnavailable
from tokensvc.state.base import NEW, Document
from tokensvc.state.following import Watched
from tokensvc.state.sqlite import SqliteState

NEVER = 3_600.0
"""Seconds between two looks, for tests in which the thread has nothing to do."""


@pytest.fixture
def clock() -> ManualClock:
    """Time as the test drives it."""
    return ManualClock()


@pytest.fixture
def state(tmp_path: Path, clock: ManualClock) -> SqliteState:
    """What is followed, here."""
    return SqliteState(tmp_path / "state.sqlite3", clock)


@pytest.fixture
def writer(tmp_path: Path, clock: ManualClock) -> SqliteState:
    """The same, as another process has it."""
    return SqliteState(tmp_path / "state.sqlite3", clock)


def decode(document: Document | None) -> str:
    """The body in capitals; a body that says so is damaged."""
    if document is None:
        return "NOTHING"
    if document.body == "damaged":
        raise StateDamaged("The document can't be read.")
    return document.body.upper()


@pytest.fixture
def followed(state: SqliteState, clock: ManualClock) -> Iterator[Watched[str]]:
    """Not started; closed at the end."""
    with closing(Watched(state, "ring", decode, clock=clock, refresh_seconds=NEVER)) as following:
        yield following


def seen(followed: Watched[str], clock: ManualClock) -> tuple[str, int, float]:
    """The value, its version, and its age now in seconds."""
    reading = followed.latest()
    return reading.value, reading.version, reading.age_seconds(Moment.of(clock))


def wait_until(condition: Callable[[], bool]) -> None:
    """Return when the condition holds, which a thread is to bring about soon."""
    deadline = time.monotonic() + 20.0
    while not condition():
        assert time.monotonic() < deadline, "It never happened."
        time.sleep(0.005)


def test_nothing_is_known_before_the_start(followed: Watched[str]) -> None:
    """No silent default: a value that was not read is an error."""
    with pytest.raises(StateUnavailable, match="not been read yet"):
        followed.latest()


def test_the_first_read_is_done_when_start_returns(
    followed: Watched[str], writer: SqliteState, clock: ManualClock
) -> None:
    """A worker that has started knows the document."""
    writer.save("ring", "body", replacing=NEW)
    followed.start()
    assert seen(followed, clock) == ("BODY", 1, 0.0)


def test_a_document_that_was_never_saved_has_a_value_too(
    followed: Watched[str], clock: ManualClock
) -> None:
    """What absence means is the decoder's to say."""
    followed.start()
    assert seen(followed, clock) == ("NOTHING", NEW, 0.0)


def test_the_age_grows_until_the_next_read(
    followed: Watched[str], clock: ManualClock, writer: SqliteState
) -> None:
    """Also a read that finds nothing new makes the knowledge young again."""
    writer.save("ring", "body", replacing=NEW)
    followed.start()
    clock.advance(7.5)
    assert seen(followed, clock)[2] == 7.5
    followed.refresh()
    assert seen(followed, clock) == ("BODY", 1, 0.0)


def test_the_age_runs_from_when_the_read_was_sent(tmp_path: Path, clock: ManualClock) -> None:
    """A slow read is old on arrival: what it found was true when it began, at the latest."""

    class Slow(SqliteState):
        def load(self, name: str) -> Document | None:
            clock.advance(3.0)
            return super().load(name)

    slow = Slow(tmp_path / "state.sqlite3", clock)
    with closing(Watched(slow, "ring", decode, clock=clock, refresh_seconds=NEVER)) as following:
        following.refresh()
        assert seen(following, clock)[2] == 3.0


@settings(max_examples=50, deadline=None)
@given(passed=st.floats(0, 1e6), jumped=st.floats(-1e6, 1e6))
def test_the_age_is_the_larger_of_two_clocks(passed: float, jumped: float) -> None:
    """A wall clock set back makes nothing young, one set forward makes it old."""

    class Nothing(SqliteState):
        def load(self, name: str) -> Document | None:
            assert name == "ring"
            return None

    clock = ManualClock()
    following = Watched(Nothing(Path(), clock), "ring", decode, clock=clock, refresh_seconds=NEVER)
    following.refresh()
    clock.advance(passed)
    clock.jump_wall(jumped)
    assert seen(following, clock)[2] == pytest.approx(max(passed, passed + jumped), abs=1e-3)


def test_a_change_by_another_process_is_followed(
    state: SqliteState, writer: SqliteState, clock: ManualClock
) -> None:
    """The thread sees a new version by itself, and tells of each value once."""
    told: list[str] = []
    following = Watched(
        state, "ring", decode, clock=clock, refresh_seconds=0.005, on_change=told.append
    )
    with closing(following):
        following.start()
        writer.save("ring", "first", replacing=NEW)
        wait_until(lambda: following.latest().version == 1)
        writer.save("ring", "second", replacing=1)
        wait_until(lambda: told[-1] == "SECOND")
    assert following.latest().value == "SECOND"
    assert told == ["NOTHING", "FIRST", "SECOND"]


def test_a_body_is_read_only_when_its_version_changed(
    state: SqliteState, writer: SqliteState, clock: ManualClock
) -> None:
    """A look is cheap: the decoder works once for each version."""
    decoded: list[Document | None] = []
    following = Watched(state, "ring", decoded.append, clock=clock, refresh_seconds=NEVER)
    writer.save("ring", "body", replacing=NEW)
    for _ in range(3):
        following.refresh()
    assert decoded == [Document("body", version=1)]


def test_an_older_copy_that_was_put_back_is_followed_too(
    followed: Watched[str], writer: SqliteState, clock: ManualClock, tmp_path: Path
) -> None:
    """Any other version is a change, also a smaller one."""
    writer.save("ring", "first", replacing=NEW)
    copy = (tmp_path / "state.sqlite3").read_bytes()
    writer.save("ring", "second", replacing=1)
    followed.start()
    (tmp_path / "state.sqlite3").write_bytes(copy)
    followed.refresh()
    assert seen(followed, clock) == ("FIRST", 1, 0.0)


def test_a_failing_read_keeps_the_last_value_and_its_age_grows(
    followed: Watched[str], writer: SqliteState, clock: ManualClock, tmp_path: Path
) -> None:
    """While the state is away its last word stands, and is as old as it is; then it is renewed."""
    writer.save("ring", "body", replacing=NEW)
    followed.start()
    away = (tmp_path / "state.sqlite3").rename(tmp_path / "away")
    clock.advance(60.0)
    with pytest.raises(StateUnavailable):
        followed.refresh()
    assert seen(followed, clock) == ("BODY", 1, 60.0)
    away.rename(tmp_path / "state.sqlite3")
    followed.refresh()
    assert seen(followed, clock) == ("BODY", 1, 0.0)


def test_a_body_that_cannot_be_decoded_keeps_the_last_value_until_it_is_mended(
    followed: Watched[str], writer: SqliteState, clock: ManualClock
) -> None:
    """A damaged document does not take away what is known, nor make it young."""
    writer.save("ring", "body", replacing=NEW)
    followed.start()
    writer.save("ring", "damaged", replacing=1)
    for _ in range(2):
        clock.advance(10.0)
        with pytest.raises(StateDamaged):
            followed.refresh()
    assert seen(followed, clock) == ("BODY", 1, 20.0)
    writer.save("ring", "mended", replacing=2)
    followed.refresh()
    assert seen(followed, clock) == ("MENDED", 3, 0.0)


def test_a_start_that_fails_can_be_tried_again(followed: Watched[str], writer: SqliteState) -> None:
    """A first read that fails is told to whoever starts, and leaves no thread behind."""
    writer.save("ring", "damaged", replacing=NEW)
    with pytest.raises(StateDamaged):
        followed.start()
    assert not [thread for thread in threading.enumerate() if thread.name == "following ring"]
    writer.save("ring", "mended", replacing=1)
    followed.start()
    assert followed.latest().value == "MENDED"


def test_the_watch_survives_failures_and_says_when_they_begin_and_end(
    state: SqliteState,
    writer: SqliteState,
    clock: ManualClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Each series of failures is one line, whatever failed, and its end is another."""
    decodings = 0

    def fail_at_first(document: Document | None) -> str:
        nonlocal decodings
        if document is not None and document.version == 1:
            decodings += 1
            raise ZeroDivisionError
        return decode(document)

    caplog.set_level(logging.INFO, logger="tokensvc.state.following")
    with closing(
        Watched(state, "ring", fail_at_first, clock=clock, refresh_seconds=0.005)
    ) as following:
        following.start()
        writer.save("ring", "odd", replacing=NEW)
        wait_until(lambda: decodings >= 3)
        writer.save("ring", "good", replacing=1)
        wait_until(lambda: following.latest().value == "GOOD")
        wait_until(lambda: len(caplog.records) == 2)
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("ERROR", "Can't follow ring: ZeroDivisionError"),
        ("INFO", "Following ring again"),
    ]


def test_closing_ends_the_thread_and_keeps_the_last_value(
    followed: Watched[str], clock: ManualClock
) -> None:
    """After close nothing is read any more."""
    followed.start()
    followed.close()
    clock.advance(5.0)
    assert not [thread for thread in threading.enumerate() if thread.name == "following ring"]
    assert seen(followed, clock)[2] == 5.0


class WatchedClock(ManualClock):
    """Counts how often it was asked for monotonic time."""

    looks = 0

    def monotonic(self) -> float:
        """Seconds, as ever."""
        self.looks += 1
        return super().monotonic()


class GatedState(SqliteState):
    """Answers, or fails, only when its gate is opened."""

    def __init__(self, path: Path, clock: ManualClock, *, failing: bool) -> None:
        super().__init__(path, clock)
        self.failing = failing
        self.reads = 0
        self.asked = threading.Event()
        self.gate = threading.Event()

    def version(self, name: str) -> int:
        """The version, past the gate."""
        self.pass_the_gate()
        return super().version(name)

    def load(self, name: str) -> Document | None:
        """The document, past the gate."""
        self.pass_the_gate()
        return super().load(name)

    def pass_the_gate(self) -> None:
        """Wait until it is open, and fail then if this state is to fail."""
        self.reads += 1
        self.asked.set()
        assert self.gate.wait(20.0)
        if self.failing:
            raise StateUnavailable("The state is away.")


@pytest.mark.parametrize("failing", [False, True], ids=["answers", "fails"])
def test_threads_that_ask_during_a_read_share_the_next(tmp_path: Path, *, failing: bool) -> None:
    """Nine askers cost two reads, so that a dead state's time-outs don't add up."""
    clock = WatchedClock()
    state = GatedState(tmp_path / "state.sqlite3", clock, failing=failing)
    following = Watched(state, "ring", decode, clock=clock, refresh_seconds=NEVER)
    ends: list[str] = []

    def ask() -> None:
        try:
            following.refresh()
        except StateUnavailable as exc:
            ends.append(exc.detail)
        else:
            ends.append("read")

    threads = [threading.Thread(target=ask) for _ in range(9)]
    threads[0].start()
    assert state.asked.wait(20.0)
    for thread in threads[1:]:
        thread.start()
    # The first has looked at the clock as it asked and as it read, each of the others as it asked.
    wait_until(lambda: clock.looks == 2 + 8)
    clock.advance(1.0)
    state.gate.set()
    for thread in threads:
        thread.join()
    assert ends == ["The state is away." if failing else "read"] * 9
    assert state.reads == 2
