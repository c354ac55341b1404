"""Errors of the machine under the SQLite state: disk, locks and permissions."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.state.processes import lines_of
from tests.support.clock import EXAMPLE_NOW, ManualClock
from tests.support.documents import save_next, stored
from tests.support.sqlite_faults import (
    FailsBeforeCommit,
    FailsWhenTheFileGrows,
)
from tests.support.sqlite_files import (
    stored_records,
    whole_file_locked,
    write_lock_held,
)
from tests.support.unprivileged import unprivileged_folder
from tokensvc.errors import StateUnavailable
from tokensvc.state.base import NEW, Record
from tokensvc.state.sqlite import SqliteState

ALL_DONE = ["create done", "read done", "write done"]
"""What the program `read_and_write` prints where everything is permitted."""


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
        # One that waited for the lock would take 5 s.
        assert time.monotonic() - began_at < 4.0


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


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("/dev/null")])
def test_what_is_not_a_file_is_reported_without_waiting(make: Callable[[Path], None]) -> None:
    """It is unavailable, not damaged. SQLite waits for the writer of a named pipe, forever."""
    with unprivileged_folder() as folder:
        make(folder / "state.sqlite3")
        printed = lines_of("read_and_write", str(folder / "state.sqlite3"))
    assert printed == [
        "create done",
        "read failed: state_unavailable",
        "write failed: state_unavailable",
    ]


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
