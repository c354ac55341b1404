"""Backups of a state that is in use, and their restore: always the old state or the new one."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.state.processes import start
from tests.support.clock import EXAMPLE_NOW, ManualClock
from tests.support.documents import save_next, stored
from tests.support.sizes import sized
from tests.support.sqlite_files import created_state
from tokensvc.errors import BackupRefused, StateConflict, StateDamaged, StateMissing
from tokensvc.state.base import NEW, Contents, Document, Record
from tokensvc.state.sqlite import SqliteState

BACKUPS = sized(short=15, full=50)
OTHER = Contents(
    {"ring": Document("from the backup", NEW.next()), "api-keys": Document("keys", NEW.next())},
    (("channel", Record("b", "answer", EXAMPLE_NOW)),),
)


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "state.sqlite3"


@pytest.fixture(name="state")
def _state(path: Path) -> SqliteState:
    """A state with one document and one record."""
    state = created_state(path, ManualClock())
    save_next(state, "ring", "body")
    state.put_many("channel", [Record("a", "answer", EXAMPLE_NOW)])
    return state


def opened(path: Path) -> SqliteState:
    """The state file as another process opens it."""
    return SqliteState(path, ManualClock())


def run_module(module: str, *arguments: str) -> None:
    """Run a Python module of the tests in a process of its own."""
    subprocess.run([sys.executable, "-m", module, *arguments], check=True, timeout=120)


# --- Backup


def test_each_of_many_backups_under_writes_is_a_whole_state(tmp_path: Path, path: Path) -> None:
    """Each restores, passes SQLite's check, and has the documents and records of one moment."""
    state = created_state(path, ManualClock())
    with start("write_until_killed", str(path)) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        for number in range(BACKUPS):
            state.back_up(tmp_path / f"{number}.backup")
        writer.send_signal(signal.SIGKILL)

    seen = []
    for number in range(BACKUPS):
        contents = opened(tmp_path / f"{number}.backup").contents()
        restored = opened(tmp_path / f"restored-{number}.sqlite3")
        restored.restore(contents, replace=False)
        with closing(sqlite3.connect(tmp_path / f"restored-{number}.sqlite3")) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        body, version = stored(restored, "ring")
        assert body == f"body of {version}" + "x" * 5_000
        # The writer saves a version, then puts the record with its number.
        assert len(restored.records("ban")) in (version - 1, version)
        seen.append(version)
    assert seen == sorted(seen)
    assert seen[0] < seen[-1]  # They were made during the writes.


def test_a_backup_is_one_file_for_its_owner_with_everything(
    tmp_path: Path, state: SqliteState
) -> None:
    """What `back_up` returns is what is in it."""
    (tmp_path / "backups").mkdir()
    backup = tmp_path / "backups" / "state"
    contents = state.back_up(backup)
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert [entry.name for entry in backup.parent.iterdir()] == ["state"]
    assert set(contents.documents) == {"ring", "schema"}
    assert contents.documents["ring"] == state.load("ring")
    assert contents.records == (("channel", Record("a", "answer", EXAMPLE_NOW)),)
    backup.chmod(0o400)
    assert opened(backup).contents() == contents


def test_a_backup_does_not_replace_a_file(tmp_path: Path, state: SqliteState) -> None:
    """Yesterday's backup must not be lost by a typing error."""
    backup = tmp_path / "backup"
    backup.write_text("yesterday's")
    with pytest.raises(BackupRefused, match="already exists"):
        state.back_up(backup)
    assert backup.read_text() == "yesterday's"


def test_a_backup_that_can_not_be_written_is_refused(tmp_path: Path, state: SqliteState) -> None:
    """The error names the file, not the state."""
    backup = tmp_path / "missing" / "backup"
    with pytest.raises(BackupRefused, match=str(backup)):
        state.back_up(backup)


def test_a_damaged_state_is_not_backed_up(tmp_path: Path, path: Path, state: SqliteState) -> None:
    """A backup of it would be found out only when it is needed."""
    save_next(state, "ring", "x" * 50_000)
    with path.open("r+b") as file:
        file.seek(6 * 4_096)
        file.write(b"\xff" * 4_096)
    with pytest.raises(StateDamaged):
        opened(path).back_up(tmp_path / "backup")
    assert [entry.name for entry in tmp_path.iterdir()] == ["keys"]


# --- Restore


def test_a_restore_creates_the_state_where_it_is_lost(path: Path) -> None:
    """With its folder, and the modes of a new state."""
    opened(path).restore(OTHER, replace=False)
    assert opened(path).contents() == OTHER
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_restore_replaces_an_existing_state_only_on_request(
    path: Path, state: SqliteState
) -> None:
    """Then nothing of the old one is left, for processes that have it open too."""
    before = state.contents()
    with pytest.raises(BackupRefused) as refusal:
        opened(path).restore(OTHER, replace=False)
    assert "--replace" in refusal.value.hint
    assert state.contents() == before

    opened(path).restore(OTHER, replace=True)

    assert state.contents() == OTHER
    assert state.load("schema") is None
    assert state.record("channel", "a") is None


def test_a_process_that_read_before_a_restore_can_not_save(state: SqliteState) -> None:
    """Also where the restored document has the same number (rule 7)."""
    read_before = state.version("ring")
    assert OTHER.documents["ring"].version.number == read_before.number
    state.restore(OTHER, replace=True)
    with pytest.raises(StateConflict):
        state.save("ring", "by a slow process", replacing=read_before)
    assert stored(state, "ring") == ("from the backup", 1)


def test_a_damaged_state_is_moved_away_before_a_restore(path: Path, state: SqliteState) -> None:
    """Its hint has the steps. A process may have it open, so no command moves it."""
    path.write_bytes(b"garbage" * 1_000)
    with pytest.raises(StateDamaged) as refusal:
        opened(path).restore(OTHER, replace=True)
    assert "`tokensvc state restore BACKUP`" in refusal.value.hint
    assert f"{path}-wal" in refusal.value.hint
    path.rename(path.with_suffix(".damaged"))
    state.restore(OTHER, replace=False)
    assert opened(path).contents() == OTHER


@pytest.mark.parametrize(
    "make",
    [lambda state: state.restore(OTHER, replace=True), lambda state: state.create()],
    ids=["restore", "create"],
)
def test_a_log_that_was_left_behind_is_not_taken_for_one_of_the_new_file(
    path: Path, state: SqliteState, make: Callable[[SqliteState], None]
) -> None:
    """SQLite would write its pages into the new file."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE documents SET body = 'of the old file'")
        connection.commit()
        shutil.copy(f"{path}-wal", path.with_name("log"))
    path.unlink()
    log = path.with_name("log").rename(f"{path}-wal")

    with pytest.raises(StateDamaged) as refusal:
        make(opened(path))

    assert str(log) in refusal.value.detail
    assert not path.exists()
    log.unlink()
    make(opened(path))
    assert opened(path).versions()


# --- A restore that is killed


@pytest.mark.no_cover
@pytest.mark.parametrize("is_lost", [False, True], ids=["replaces", "creates"])
def test_a_restore_that_is_killed_leaves_the_old_state_or_the_new_one(
    tmp_path: Path, state: SqliteState, *, is_lost: bool
) -> None:
    """Before and after each statement and file operation. The next restore completes."""
    before, existing = state.back_up(tmp_path / "before"), tmp_path / "before"
    opened(tmp_path / "other.sqlite3").restore(OTHER, replace=False)
    killed = tmp_path / "killed"
    run_module(
        "tests.state.killed_restore",
        str(killed),
        str(tmp_path / "other.sqlite3"),
        "" if is_lost else str(existing),
    )

    results = []
    for number in range(len(list(killed.iterdir()))):
        restored = opened(killed / f"{number}" / "state.sqlite3")
        try:
            found = restored.contents()
            assert found in (([] if is_lost else [before]) + [OTHER])
            results.append("new" if found == OTHER else "old")
        except StateMissing:
            assert is_lost
            results.append("old")
        restored.restore(OTHER, replace=True)
        assert restored.contents() == OTHER
    assert results == sorted(results, reverse=True)  # Old until one moment, then new.
    assert results.count("old") > 10
    assert results[-1] == "new"
