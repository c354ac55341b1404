"""Bans in SQLite and in DynamoDB: written by several processes, and followed by a worker."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import cast

import pytest

from tests.access.ban_examples import CHANNEL, NOW, OTHER_CHANNEL, TERMS, VIEWER
from tests.support.clock import ManualClock
from tests.support.dynalite import Dynalite
from tests.support.lossy_proxy import Call, Fate, lossy_proxy
from tests.support.sqlite_faults import LosesAcknowledgement
from tests.support.sqlite_files import created_state
from tests.support.tables import table_with_state
from tokensvc.access.bans.book import BanBook
from tokensvc.access.bans.log import BanLog
from tokensvc.access.bans.model import Ban, Target
from tokensvc.access.bans.view import BanView
from tokensvc.access.bans.writing import BanWriter
from tokensvc.clock import Moment
from tokensvc.errors import InvalidRequest, StateDamaged, StateUnavailable
from tokensvc.state import schema
from tokensvc.state.base import State, Version
from tokensvc.state_copy import copy_state
from tokensvc.state_restore import as_restored

OpenState = Callable[[], State]


@pytest.fixture
def clock() -> ManualClock:
    """The clock of every process."""
    return ManualClock()


@pytest.fixture(params=["sqlite", "dynalite"])
def open_state(
    request: pytest.FixtureRequest, tmp_path: Path, dynalite: Dynalite, clock: ManualClock
) -> Iterator[OpenState]:
    """Opens the shared state, as another process does."""
    if request.param == "sqlite":
        with ExitStack() as opened:
            path = tmp_path / "state.sqlite3"
            yield lambda: opened.enter_context(closing(created_state(path, clock)))
    else:
        with table_with_state(dynalite.url) as table:
            yield lambda: table.state(clock=clock)


def writer(state: State, clock: ManualClock, known: BanBook | None = None) -> BanWriter:
    """A writer that knows all bans, or those of that book."""
    log = BanLog(state, clock)
    return BanWriter(log, clock, TERMS, log.read if known is None else lambda: known)


def view(state: State, clock: ManualClock) -> BanView:
    """What a worker has in memory. It polls when `refresh` is called."""
    return BanView(state, clock, refresh_seconds=3_600)


def ids(book: BanBook) -> set[str]:
    """The IDs of the bans in the book."""
    return {ban.ban_id for ban in book.bans}


def test_a_change_by_one_process_is_followed_by_another(
    open_state: OpenState, clock: ManualClock
) -> None:
    """Only the last event of a ban stays, and it expires when the ban is over."""
    follower = view(open_state(), clock)
    assert ids(follower.refresh()) == set()
    made = writer(open_state(), clock).ban(VIEWER, seconds=None, by="ann")
    assert follower.refresh().find(made.ban_id) == made
    partly = writer(open_state(), clock).confirm(made.ban_id, (OTHER_CHANNEL,))
    assert follower.refresh().find(made.ban_id) == partly
    clock.advance(20)
    lifted = writer(open_state(), clock).lift(made.ban_id, by="bob")
    assert follower.refresh().find(made.ban_id) == lifted
    assert (lifted.lifted_by, lifted.lifted_at, lifted.made_by) == ("bob", NOW + 20, "ann")
    (stored,) = open_state().records("ban")
    assert stored.expires_at == lifted.expires_at == NOW + 135 + 25 * 3_600


def test_writers_that_know_nothing_of_each_other_lose_no_change(
    open_state: OpenState, clock: ManualClock
) -> None:
    """Each begins with what it knew before the others wrote."""
    made = writer(open_state(), clock).ban(VIEWER, seconds=None, by="ann")
    old = view(open_state(), clock).refresh()
    writers = [writer(open_state(), clock, old) for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        done = [
            pool.submit(writers[0].lift, made.ban_id, by="bob"),
            pool.submit(writers[1].confirm, made.ban_id),
            *(pool.submit(each.kick, VIEWER, by="carol") for each in writers[2:]),
        ]
        others = {each.result().ban_id for each in done[2:]}
    book = view(open_state(), clock).refresh()
    assert ids(book) == {made.ban_id, *others}
    assert (book.find(made.ban_id).lifted_by, book.find(made.ban_id).unconfirmed) == ("bob", False)


class Killed(BaseException):
    """The process ends."""


class DiesBeforeCounting:
    """A state whose process ends instead of saving a document."""

    def __init__(self, state: State) -> None:
        self._state = state

    def save(self, _name: str, _body: str, **_replacing: Version) -> Version:
        """End."""
        raise Killed

    def __getattr__(self, name: str) -> object:
        return getattr(self._state, name)


def test_a_ban_whose_writer_dies_before_it_is_counted_is_found(
    open_state: OpenState, clock: ManualClock
) -> None:
    """By the next read of everything, and by the next writer, which does not overwrite it."""
    follower = view(open_state(), clock)
    follower.refresh()
    dying = cast("State", DiesBeforeCounting(open_state()))
    with pytest.raises(Killed):
        writer(dying, clock).ban(VIEWER, seconds=None, by="ann")
    assert ids(follower.refresh()) == set()
    follower.reread()
    (found,) = ids(follower.refresh())
    later = writer(open_state(), clock).kick(VIEWER, by="bob")
    assert ids(follower.refresh()) == {found, later.ban_id}
    assert ids(view(open_state(), clock).refresh()) == {found, later.ban_id}


def test_what_has_expired_is_forgotten_and_removed(
    open_state: OpenState, clock: ManualClock
) -> None:
    """By a read of everything, after the next write."""
    follower = view(open_state(), clock)
    made = writer(open_state(), clock).kick(VIEWER, by="ann")
    writer(open_state(), clock).confirm(made.ban_id)
    follower.refresh()
    clock.advance(10 + 25 * 3_600 + 3_601)
    later = writer(open_state(), clock).kick(VIEWER, by="bob")
    follower.refresh()
    follower.reread()
    assert ids(follower.refresh()) == {later.ban_id}


def test_a_worker_that_can_not_read_the_state_uses_its_bans_until_they_are_too_old(
    open_state: OpenState, clock: ManualClock
) -> None:
    """And then refuses."""
    state = open_state()
    follower = view(state, clock)
    follower.refresh()
    state.close()
    clock.advance(120)
    assert follower.age_seconds(Moment.of(clock)) == 120
    follower.within(120, Moment.of(clock))
    clock.advance(1)
    with pytest.raises(StateUnavailable):
        follower.within(120, Moment.of(clock))
    assert isinstance(follower.failure, StateUnavailable)


def test_no_ban_is_made_that_the_previous_release_would_ignore(
    open_state: OpenState, clock: ManualClock
) -> None:
    """Nothing is written until `tokensvc state upgrade`."""
    state = open_state()
    replacing = state.version(schema.DOCUMENT_NAME)
    state.save(schema.DOCUMENT_NAME, schema.schema_document(schema.PREVIOUS), replacing=replacing)
    with pytest.raises(InvalidRequest):
        writer(state, clock).ban(VIEWER, seconds=60, by="ann")
    assert state.records("ban") == []


def test_a_lost_answer_is_found_out(tmp_path: Path, dynalite: Dynalite, clock: ManualClock) -> None:
    """The ban is stored once, not again under the next number."""
    path = tmp_path / "state.sqlite3"
    created_state(path, clock).close()
    faulty = LosesAcknowledgement.once()
    with closing(created_state(path, clock, connection_class=faulty)) as state:
        writer(state, clock).kick(VIEWER, by="ann")
        assert [record.record_id for record in state.records("ban")] == ["000000000001"]

    lost: list[Call] = []

    def decide(call: Call) -> Fate:
        if call.operation != "PutItem" or lost:
            return Fate.ANSWERED
        lost.append(call)
        return Fate.ANSWER_LOST

    with table_with_state(dynalite.url) as table, lossy_proxy(table.url) as proxy:
        proxy.decide = decide
        behind = table.state(proxy.url, clock=clock)
        writer(behind, clock).kick(VIEWER, by="ann")
        assert [record.record_id for record in behind.records("ban")] == ["000000000001"]
    assert lost[0].body["Item"]["pk"] == {"S": "record/ban"}


def test_processes_write_at_the_same_time_and_one_is_killed(tmp_path: Path) -> None:
    """No ban is lost, and each has a number of its own."""
    path = tmp_path / "state.sqlite3"
    created_state(path).close()
    processes = [
        subprocess.Popen([sys.executable, "-m", "tests.access.ban_process", str(path), *arguments])
        for arguments in (("a", "12"), ("b", "12"), ("c", "2", "killed"))
    ]
    assert [process.wait(60) for process in processes] == [0, 0, -9]
    with closing(created_state(path)) as state:
        made_by = {ban.made_by for ban in BanLog(state, ManualClock()).read().bans}
        numbers = [int(record.record_id) for record in state.records("ban")]
    expected = {
        f"{name}{number}"
        for name, count in (("a", 12), ("b", 12), ("c", 2))
        for number in range(count)
    }
    assert made_by == expected | {"c killed"}
    assert len(numbers) == len(made_by)


class SlowState:
    """A state that takes 6 s to store a record."""

    def __init__(self, state: State, clock: ManualClock) -> None:
        self._state = state
        self._clock = clock

    def put_if(self, *arguments: object, **more: object) -> object:
        """Store it after 6 s."""
        self._clock.advance(6)
        return self._state.put_if(*arguments, **more)  # type: ignore[arg-type]

    def __getattr__(self, name: str) -> object:
        return getattr(self._state, name)


def test_a_ban_that_takes_long_to_write_gets_a_later_line(
    tmp_path: Path, clock: ManualClock
) -> None:
    """Until it is stored, other processes could read the bans without it: 120 s + 10 s from then.

    A kick is about what was signed before it.
    """
    with closing(created_state(tmp_path / "state.sqlite3", clock)) as state:
        slow = cast("State", SlowState(state, clock))
        assert writer(slow, clock).ban(VIEWER, seconds=None, by="ann").line == NOW + 6 + 135
        assert writer(slow, clock).kick(VIEWER, by="ann").line == NOW + 12 + 10


# --- Backup, restore and copy


def restored(backup: State, target: State) -> None:
    """Restore what is in one state to the other."""
    contents = backup.contents()  # type: ignore[attr-defined]
    target.restore(as_restored(contents, "ann"), replace=True)  # type: ignore[attr-defined]


def test_after_a_restore_every_worker_has_the_bans_of_the_backup(
    tmp_path: Path, clock: ManualClock
) -> None:
    """Also one that has read later events with the same numbers."""
    with (
        closing(created_state(tmp_path / "state.sqlite3", clock)) as state,
        closing(created_state(tmp_path / "backup.sqlite3", clock)) as backup,
    ):
        kept = writer(state, clock).ban(VIEWER, seconds=None, by="ann")
        state.back_up(tmp_path / "file")
        follower = view(state, clock)
        writer(state, clock).lift(kept.ban_id, by="ann")
        lost = writer(state, clock).ban(Target(("lost",), CHANNEL), seconds=None, by="ann")
        assert ids(follower.refresh()) == {kept.ban_id, lost.ban_id}
        (tmp_path / "backup.sqlite3").unlink()
        (tmp_path / "file").rename(tmp_path / "backup.sqlite3")
        restored(backup, state)
        assert list(follower.refresh().bans) == [kept]
        later = writer(state, clock, follower.refresh()).kick(VIEWER, by="bob")
        assert ids(follower.refresh()) == {kept.ban_id, later.ban_id}


def test_a_copy_of_the_state_has_the_bans(
    open_state: OpenState, tmp_path: Path, clock: ManualClock
) -> None:
    """Back and forth: a ban that was lifted meanwhile does not come back from an earlier copy."""
    one = open_state()
    with closing(created_state(tmp_path / "other.sqlite3", clock)) as other:
        (tmp_path / "other.sqlite3").unlink()
        made = writer(one, clock).ban(VIEWER, seconds=None, by="ann")
        kicked = writer(one, clock).kick(VIEWER, by="ann")
        list(copy_state(one, other, source_url="sqlite:/a", target_url="sqlite:/b"))
        assert ids(view(other, clock).refresh()) == {made.ban_id, kicked.ban_id}
        with pytest.raises(StateUnavailable):
            writer(one, clock).kick(VIEWER, by="with the old settings")
        list(copy_state(one, other, source_url="sqlite:/a", target_url="sqlite:/b"))
        lifted = writer(other, clock).lift(made.ban_id, by="bob")
        list(copy_state(other, one, source_url="sqlite:/b", target_url="sqlite:/a"))
        assert view(one, clock).refresh().find(made.ban_id) == lifted
        stored = {record.record_id for record in one.records("ban")}
        assert stored == {record.record_id for record in other.records("ban")}


def test_a_damaged_ban_is_reported(tmp_path: Path, clock: ManualClock) -> None:
    """No worker goes on without a ban that it can't read."""
    with closing(created_state(tmp_path / "state.sqlite3", clock)) as state:
        made: Ban = writer(state, clock).kick(VIEWER, by="ann")
        (record,) = state.records("ban")
        state.put_many("ban", [dataclasses.replace(record, body="{}")])
        follower = view(state, clock)
        with pytest.raises(StateDamaged):
            follower.refresh()
        state.put_many("ban", [record])
        assert ids(follower.refresh()) == {made.ban_id}
