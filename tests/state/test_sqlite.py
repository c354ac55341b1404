"""The SQLite state: its file, and the index on the expiry of records."""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.clock import EXAMPLE_NOW, ManualClock
from tests.support.documents import stored
from tests.support.sqlite_faults import (
    CountsCommits,
)
from tests.support.sqlite_files import (
    created_state,
    stored_records,
)
from tokensvc.errors import StateUnavailable
from tokensvc.state.base import EXPIRED_RECORD_RETENTION_SECONDS, NEW, Record
from tokensvc.state.sqlite import SqliteState
from tokensvc.state.sqlite_tables import PRUNE


def test_no_file_is_created_before_the_first_use(path: Path) -> None:
    """A state that is built before a fork does not open or create anything."""
    SqliteState(path, ManualClock()).close()
    assert not path.parent.exists()


def test_the_file_and_its_folder_are_accessible_to_their_owner_only(
    path: Path, state: SqliteState
) -> None:
    """The modes are 0600 and 0700, and the folder contains only the file."""
    state.save("ring", "body", replacing=NEW)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [entry.name for entry in path.parent.iterdir()] == ["state.sqlite3"]


def test_commits_are_on_the_disk_before_they_are_acknowledged(
    path: Path, state: SqliteState
) -> None:
    """There is a write-ahead log, and a sync for every commit (2 is FULL)."""
    with state._transaction() as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)


def test_special_characters_in_the_path_are_preserved(tmp_path: Path) -> None:
    """The path is passed to SQLite as a URI."""
    path = tmp_path / "50% of #1? é" / "state.sqlite3"
    created_state(path, ManualClock()).save("ring", "body", replacing=NEW)
    assert path.is_file()


def test_a_state_file_that_disappeared_is_not_replaced_by_an_empty_one(
    path: Path, state: SqliteState
) -> None:
    """Its absence is an error; when the file is back, it is used again."""
    state.save("ring", "body", replacing=NEW)
    moved = path.rename(path.with_suffix(".moved"))
    with pytest.raises(StateUnavailable, match=str(path)):
        state.load("ring")
    assert not path.exists()
    moved.rename(path)
    assert stored(state, "ring") == ("body", 1)


def test_records_are_deleted_an_hour_after_their_expiry(path: Path) -> None:
    """An expired record is stored for one more hour, because the clocks of readers differ."""
    clock = ManualClock()
    state = created_state(path, clock)
    early = Record("early", "1", EXAMPLE_NOW + 10.0)
    late = Record("late", "2", EXAMPLE_NOW + 11.0)
    new = Record("new", "3", EXAMPLE_NOW + 9_999.0)
    state.put_many("ban", [early, late])
    assert EXPIRED_RECORD_RETENTION_SECONDS == 3_600
    clock.advance(10.0 + 3_600.0)
    state.put_many("ban", [new])
    assert stored_records(path, "ban") == [early, late, new]
    clock.advance(0.5)
    state.put_many("ban", [new])
    assert stored_records(path, "ban") == [late, new]


def test_a_put_deletes_a_limited_number_of_expired_records(path: Path) -> None:
    """At most 1,000, so that its transaction stays short; the next put deletes the others."""
    clock = ManualClock()
    state = created_state(path, clock)
    new = Record("new", "3", EXAMPLE_NOW + 99_999.0)
    state.put_many("ban", [Record(str(number), "", EXAMPLE_NOW) for number in range(1_500)])
    state.put_many("channel", [Record("of another kind", "", EXAMPLE_NOW)])
    clock.advance(3_601.0)
    state.put_many("ban", [new])
    assert len(stored_records(path, "ban")) == 501
    state.put_many("ban", [new])
    assert stored_records(path, "ban") == [new]
    assert len(stored_records(path, "channel")) == 1


def test_many_records_are_written_and_removed_in_one_transaction_each(path: Path) -> None:
    """So that a hundred answers cost one sync of the disk, and are stored all or none."""
    counting: type[CountsCommits] = CountsCommits.from_zero()
    state = created_state(path, ManualClock(), connection_class=counting)
    records = [Record(str(number), "x", 4e9) for number in range(100)]
    state.put_many("channel", records)
    assert (counting.commits, len(stored_records(path, "channel"))) == (1, 100)
    state.remove_many("channel", [record.record_id for record in records])
    assert (counting.commits, len(stored_records(path, "channel"))) == (2, 0)
    state.put_many("channel", [])
    state.remove_many("channel", [])
    assert counting.commits == 2


# --- The index on the expiry of records


def test_expired_records_are_found_through_an_index(path: Path, state: SqliteState) -> None:
    """A put must not read every record to find those that have expired."""
    state.put_many("ban", [Record("a", "1", EXAMPLE_NOW)])
    assert plan_of_prune(path) == [
        "SEARCH records USING INTEGER PRIMARY KEY (rowid=?)",
        "LIST SUBQUERY 1",
        "SEARCH records USING COVERING INDEX records_by_expiry (kind=? AND expires_at<?)",
    ]


def test_a_state_file_without_the_index_gets_it_at_the_first_put(
    path: Path, state: SqliteState
) -> None:
    """A file of an earlier program is read as it is, and keeps its records and its version."""
    record = Record("a", "1", EXAMPLE_NOW)
    state.put_many("ban", [record])
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP INDEX records_by_expiry")
    started = SqliteState(path, ManualClock())
    assert started.record("ban", "a") == record
    assert "records_by_expiry" not in str(plan_of_prune(path))
    started.put_many("ban", [Record("b", "2", EXAMPLE_NOW)])
    assert "records_by_expiry" in str(plan_of_prune(path))
    assert started.record("ban", "a") == record
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)


def test_an_earlier_program_can_use_a_state_file_of_this_one(
    path: Path, state: SqliteState
) -> None:
    """These are the statements with which it stores and removes a record."""
    state.put_many("ban", [Record("expired", "", 1.0), Record("removed", "", 4e9)])
    with closing(sqlite3.connect(path, isolation_level=None)) as earlier:
        earlier.execute("BEGIN IMMEDIATE")
        earlier.execute("DELETE FROM records WHERE kind = ? AND expires_at < ?", ("ban", 2.0))
        earlier.execute(
            "INSERT OR REPLACE INTO records (kind, record_id, body, expires_at)"
            " VALUES (?, ?, ?, ?)",
            ("ban", "put", "1", 4e9),
        )
        earlier.execute("DELETE FROM records WHERE kind = ? AND record_id = ?", ("ban", "removed"))
        earlier.execute(
            "INSERT INTO record_versions (kind, version) VALUES (?, 1)"
            " ON CONFLICT (kind) DO UPDATE SET version = version + 1",
            ("ban",),
        )
        earlier.execute("COMMIT")
    assert stored_records(path, "ban") == [Record("put", "1", 4e9)]
    assert state.record("ban", "put") == Record("put", "1", 4e9)


def plan_of_prune(path: Path) -> list[str]:
    """SQLite's plan for the statement that deletes expired records."""
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute(f"EXPLAIN QUERY PLAN {PRUNE}", ("ban", 0.0, 1))
        return [detail for _, _, _, detail in rows]
