from __future__ import annotations

import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.clock import EXAMPLE_NOW, ManualClock
from tests.support.documents import save_next, stored
from tests.support.sqlite_faults import (
    CountsCommits,
    FailsBeforeCommit,
    FailsWhenTheFileGrows,
)
from tests.support.sqlite_files import (
    created_state,
    stored_records,
    whole_file_locked,
    write_lock_held,
)
from tests.support.unprivileged import unprivileged_folder
from tokensvc.errors import SchemaUnsupported, StateConflict, StateDamaged, StateUnavailable
from tokensvc.state.base import NEW, Record
from tokensvc.state.sqlite import _PRUNE, EXPIRED_RECORD_RETENTION_SECONDS, SqliteState

PROCESS = "tests.state.sqlite_process"
PROJECT = Path(__file__).parents[2]
ALL_DONE = ["create done", "read done", "write done"]
"""What the program `read_and_write` prints where everything is permitted."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The path of the state file, in a folder that does not exist yet."""
    return tmp_path / "keys" / "state.sqlite3"


@pytest.fixture
def state(path: Path) -> SqliteState:
    """The state that most tests use."""
    return created_state(path, ManualClock())


def start(*arguments: str) -> subprocess.Popen[str]:
    """One of the programs of `sqlite_process`, running."""
    return subprocess.Popen(
        [sys.executable, "-m", PROCESS, *arguments],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
    )


def lines_of(*arguments: str) -> list[str]:
    """The lines that one of the programs printed before it exited with status 0."""
    process = subprocess.run(
        [sys.executable, "-m", PROCESS, *arguments],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
        check=True,
    )
    return process.stdout.splitlines()


# --- The file


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
        rows = connection.execute(f"EXPLAIN QUERY PLAN {_PRUNE}", ("ban", 0.0, 1))
        return [detail for _, _, _, detail in rows]


# --- Many processes


def test_exactly_one_of_two_racing_processes_saves_each_version(path: Path) -> None:
    """Rule 7 with real processes, starting without a file."""
    runners = [start("race", str(path), name, "40") for name in ("one", "other")]
    outputs = [runner.communicate(timeout=60)[0] for runner in runners]
    assert [runner.returncode for runner in runners] == [0, 0]
    saved = [line.removeprefix("saved ") for output in outputs for line in output.splitlines()]
    assert sorted(map(int, saved)) == list(range(1, 41))


def test_everything_acknowledged_survives_a_kill_of_the_writing_process(path: Path) -> None:
    """After kill -9 the last acknowledged save is complete, and saving still works."""
    for run in range(3):
        path.unlink(missing_ok=True)
        for companion in path.parent.glob("*-[ws]*"):
            companion.unlink()
        with start("write_until_killed", str(path)) as writer:
            assert writer.stdout is not None
            for _ in range(15 + run):
                last = writer.stdout.readline()
            writer.send_signal(signal.SIGKILL)
            last = [last, *writer.stdout.readlines()][-1]
        acknowledged = int(last.removeprefix("acknowledged "))
        state = SqliteState(path, ManualClock())
        document = state.load("ring")
        assert document is not None
        number = document.version.number
        assert acknowledged <= number <= acknowledged + 1
        assert document.body == f"body of {number}" + "x" * 5_000
        assert len(stored_records(path, "ban")) >= acknowledged
        assert save_next(state, "ring", "on") == number + 1


def test_a_state_used_before_a_fork_works_in_parent_and_child(
    path: Path, state: SqliteState
) -> None:
    """No handle is inherited across a fork."""
    assert lines_of("fork", str(path)) == ["child exited with 0", "parent saved 3"]
    assert stored(state, "ring") == ("by the parent again", 3)


def test_states_that_start_at_the_same_time_use_the_same_file(path: Path) -> None:
    """If several create the file at once, all of them use the first one."""
    barrier = threading.Barrier(8, timeout=30)

    def begin(number: int) -> None:
        state = created_state(path, ManualClock())
        barrier.wait()
        state.put_many("ban", [Record(str(number), "x", EXAMPLE_NOW)])

    threads = [threading.Thread(target=begin, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(stored_records(path, "ban")) == 8
    assert [entry.name for entry in path.parent.iterdir()] == ["state.sqlite3"]


# --- Damage


def garbage(path: Path) -> None:
    """A file that was never a database."""
    path.write_bytes(b"not a database " * 1_000)


def truncated(path: Path) -> None:
    """A state file that was cut off in the middle."""
    _make_large_state(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def overwritten(path: Path) -> None:
    """A state file with other bytes in the middle."""
    _make_large_state(path)
    content = bytearray(path.read_bytes())
    content[8_192:40_960] = b"\xa5" * (40_960 - 8_192)
    path.write_bytes(content)


def emptied(path: Path) -> None:
    """A file of no bytes, which SQLite treats as an empty database."""
    path.write_bytes(b"")


def of_another_program(path: Path) -> None:
    """The database of another program."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE bookmarks (url TEXT)")


def newer(path: Path) -> None:
    """A state file with the schema version of a later release."""
    _make_large_state(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 2")


def without_tables(path: Path) -> None:
    """A state file from which a table was deleted."""
    _make_large_state(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE documents")


def _make_large_state(path: Path) -> None:
    state = created_state(path, ManualClock())
    for number in range(20):
        state.save(f"document {number}", "x" * 5_000, replacing=NEW)


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (garbage, "state.sqlite3-wal"),
        (truncated, "state.sqlite3-wal"),
        (overwritten, "state.sqlite3-wal"),
        (emptied, r"state\.url"),
        (of_another_program, r"state\.url"),
        (without_tables, "state.sqlite3-wal"),
    ],
)
def test_a_file_that_is_not_an_undamaged_state_file_is_refused_and_not_changed(
    path: Path, damage: Callable[[Path], None], named: str
) -> None:
    """Neither a read nor a write uses it. The hint names the files to move, or the setting."""
    path.parent.mkdir()
    damage(path)
    state = SqliteState(path, ManualClock())
    before = path.read_bytes()
    with pytest.raises(StateDamaged, match=f"(?s){named}") as refusal:
        state.load("document 1")
    assert str(path) in refusal.value.detail
    with pytest.raises(StateDamaged, match=f"(?s){named}"):
        state.save("document 1", "body", replacing=NEW)
    assert path.read_bytes() == before


def test_a_file_of_a_newer_release_is_not_used_and_not_changed(path: Path) -> None:
    """The error names both schema versions."""
    newer(path)
    state = SqliteState(path, ManualClock())
    before = path.read_bytes()
    with pytest.raises(SchemaUnsupported, match=r"version 2,.*version 1"):
        state.load("document 1")
    with pytest.raises(SchemaUnsupported):
        state.save("document 1", "body", replacing=NEW)
    assert path.read_bytes() == before


def test_a_backup_restored_in_the_place_of_a_damaged_file_is_used_at_once(
    path: Path, state: SqliteState
) -> None:
    """The hint of the error works."""
    state.save("ring", "body", replacing=NEW)
    copy = path.parent / "copy"
    shutil.copy(path, copy)
    garbage(path)
    with pytest.raises(StateDamaged):
        state.version("ring")
    copy.replace(path)
    assert state.version("ring").number == 1


def test_a_process_that_read_the_document_before_a_restore_can_not_replace_it(
    path: Path, state: SqliteState
) -> None:
    """The stored version has the number that the process has read, and another nonce."""
    copy_before = path.read_bytes()
    read_before = state.save("ring", "lost", replacing=NEW)
    path.write_bytes(copy_before)
    restored = state.save("ring", "after the restore", replacing=NEW)
    assert restored.number == read_before.number
    with pytest.raises(StateConflict):
        state.save("ring", "by a process that read before", replacing=read_before)
    assert stored(state, "ring") == ("after the restore", 1)


# --- Errors of the machine


def test_a_save_whose_commit_failed_is_reported_and_nothing_was_written(
    path: Path, state: SqliteState
) -> None:
    """A disk error before the commit makes the save fail."""
    state.save("ring", "body", replacing=NEW)
    failing = SqliteState(path, ManualClock(), connection_class=FailsBeforeCommit)
    with pytest.raises(StateUnavailable, match=str(path)):
        save_next(failing, "ring", "lost")
    with pytest.raises(StateUnavailable):
        failing.put_many("ban", [Record("a", "1", EXAMPLE_NOW), Record("b", "2", EXAMPLE_NOW)])
    assert stored(state, "ring") == ("body", 1)
    assert stored_records(path, "ban") == []
    state.put_many("ban", [Record("a", "1", EXAMPLE_NOW)])
    with pytest.raises(StateUnavailable):
        failing.remove_many("ban", ["a"])
    assert stored_records(path, "ban") == [Record("a", "1", EXAMPLE_NOW)]


def test_a_full_disk_is_reported_and_the_stored_document_is_not_changed(
    path: Path, state: SqliteState
) -> None:
    """When there is space again, the same save succeeds."""
    state.save("ring", "body", replacing=NEW)
    full = SqliteState(path, ManualClock(), connection_class=FailsWhenTheFileGrows)
    with pytest.raises(StateUnavailable, match="full"):
        save_next(full, "ring", "x" * 500_000)
    assert stored(full, "ring") == ("body", 1)
    assert save_next(full, "ring", "short") == 2
    assert save_next(state, "ring", "x" * 500_000) == 3


def test_a_file_that_another_process_has_locked_is_reported_with_the_time_waited(
    path: Path, state: SqliteState, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reads work during another process's write; a write fails after a time-out."""
    state.save("ring", "body", replacing=NEW)
    monkeypatch.setattr("tokensvc.state.sqlite._BUSY_TIMEOUT_SECONDS", 0.05)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StateUnavailable, match=r"0\.05 seconds.*fuser"):
            save_next(state, "ring", "late")
        assert stored(state, "ring") == ("body", 1)
    assert save_next(state, "ring", "late") == 2


def test_a_reader_does_not_wait_for_a_writer(path: Path, state: SqliteState) -> None:
    """While another process holds the write lock, records and documents are read at once."""
    record = Record("a", "1", EXAMPLE_NOW)
    state.save("ring", "body", replacing=NEW)
    state.put_many("channel", [record])
    with write_lock_held(path):
        began_at = time.monotonic()
        assert state.record("channel", "a") == record
        started = SqliteState(path, ManualClock())  # It also inspects the file.
        assert stored(started, "ring") == ("body", 1)
        assert time.monotonic() - began_at < 1.0


def test_reading_a_record_of_a_file_that_is_locked_as_a_whole_takes_a_second(
    path: Path, state: SqliteState
) -> None:
    """Requests wait for this read, so it is given up earlier than other operations."""
    state.put_many("channel", [Record("a", "1", EXAMPLE_NOW)])
    with whole_file_locked(path):
        began_at = time.monotonic()
        with pytest.raises(StateUnavailable, match=r"more than 1 seconds.*fuser"):
            state.record("channel", "a")
        assert time.monotonic() - began_at < 4.0


def test_a_folder_that_is_a_file_is_reported(tmp_path: Path) -> None:
    """The state is unavailable, and the error names the path."""
    (tmp_path / "keys").write_text("a file")
    path = tmp_path / "keys" / "state.sqlite3"
    with pytest.raises(StateUnavailable, match=str(path)):
        SqliteState(path, ManualClock()).version("ring")


def test_a_state_file_that_is_a_folder_is_reported(path: Path) -> None:
    """A file that SQLite can't open is unavailable, not damaged."""
    path.mkdir(parents=True)
    with pytest.raises(StateUnavailable):
        SqliteState(path, ManualClock()).version("ring")


@pytest.mark.parametrize(
    ("folder_mode", "file_mode", "failed"),
    [
        (0o500, None, ["create", "read", "write"]),
        (0o000, None, ["create", "read", "write"]),
        (0o000, 0o600, ["create", "read", "write"]),
        (0o700, 0o000, ["read", "write"]),
        (0o700, 0o400, ["write"]),
        (0o500, 0o600, ["write"]),
        (0o500, 0o400, ["write"]),
        (0o700, None, []),
    ],
)
def test_missing_permissions_are_reported(
    folder_mode: int, file_mode: int | None, failed: list[str]
) -> None:
    """What this user may not do is unavailable; what can be read is read."""
    with unprivileged_folder() as folder:
        path = folder / "state.sqlite3"
        if file_mode is not None:
            assert lines_of("read_and_write", str(path)) == ALL_DONE
            path.chmod(file_mode)
        folder.chmod(folder_mode)
        printed = lines_of("read_and_write", str(path))
        folder.chmod(0o700)
    failures = {f"{what} done": f"{what} failed: state_unavailable" for what in failed}
    assert printed == [failures.get(line, line) for line in ALL_DONE]
