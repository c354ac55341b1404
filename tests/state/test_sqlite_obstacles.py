"""The state on a full disk and on one that is mounted read-only, with real file systems."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.clock import ManualClock
from tests.support.disks import SmallDisk, can_mount, small_disk
from tests.support.documents import save_next, stored
from tests.support.sqlite_files import created_state
from tokensvc.errors import BackupRefused, StateMissing, StateUnavailable, TokensvcError
from tokensvc.keyring.checks.files import find_obstacle_to_writing
from tokensvc.state.base import NEW, Contents, Document, Record
from tokensvc.state.sqlite import SqliteState

PROJECT = Path(__file__).parents[2]
KILLED_WRITER = """
import os, signal, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("UPDATE documents SET body = 'in the log', version = 2 WHERE name = 'ring'")
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """A file system of 2 MiB."""
    if not can_mount(tmp_path):
        assert "CI" not in os.environ, "CI runs as root, which may mount a file system."
        pytest.skip("This user may not mount a file system.")
    with small_disk(tmp_path / "disk") as mounted:
        yield mounted


@pytest.fixture
def path(disk: SmallDisk) -> Path:
    """A state file on the small disk, with a saved document and a record; nothing has it open."""
    path = disk.folder / "state.sqlite3"
    with closing(created_state(path)) as state:
        state.save("ring", "body", replacing=NEW)
        state.put_many("channel", [Record("a", "answer", 4e9)])
    return path


def opened(path: Path) -> SqliteState:
    """The state as a process opens it that starts now."""
    return SqliteState(path, ManualClock())


def kill_a_writer(path: Path) -> None:
    """Leave a commit in the log that is not in the file yet."""
    subprocess.run([sys.executable, "-c", KILLED_WRITER, str(path)], check=False)
    assert path.with_name("state.sqlite3-wal").stat().st_size > 0


def fault(operation: Callable[[], object]) -> TokensvcError:
    """The error of the operation."""
    with pytest.raises(StateUnavailable) as refusal:
        operation()
    return refusal.value


def test_everything_is_read_on_a_full_disk(disk: SmallDisk, path: Path) -> None:
    """By a process that starts on it, too: without space there is no index of the log."""
    disk.fill()
    state = opened(path)
    assert state.version("ring").number == 1
    assert stored(state, "ring") == ("body", 1)
    assert list(state.versions()) == ["ring", "schema"]
    assert state.record("channel", "a") == Record("a", "answer", 4e9)
    assert state.record("channel", "b") is None


def test_a_write_on_a_full_disk_says_so_and_works_when_there_is_space(
    disk: SmallDisk, path: Path
) -> None:
    """Nothing was written meanwhile."""
    disk.fill()
    state = opened(path)
    assert "disk is full" in fault(lambda: save_next(state, "ring", "new")).detail
    assert "disk is full" in fault(lambda: state.put_many("a", [Record("a", "", 4e9)])).detail
    assert stored(state, "ring") == ("body", 1)
    disk.free()
    assert save_next(state, "ring", "new") == 2


def test_doctor_reports_a_full_and_a_read_only_disk(disk: SmallDisk, path: Path) -> None:
    """Workers sign from it as usual, so that nothing else would show that no rotation can work."""
    assert find_obstacle_to_writing(path) == ()
    disk.fill()
    full = find_obstacle_to_writing(path)
    disk.free()
    with disk.read_only():
        read_only = find_obstacle_to_writing(path)
    for findings in (full, read_only):
        assert [(one.severity, one.code, one.subject) for one in findings] == [
            ("warning", "state_unavailable", str(path))
        ]
    assert full != read_only


def test_a_full_disk_can_be_backed_up_to_another_and_not_to_itself(
    disk: SmallDisk, path: Path, tmp_path: Path
) -> None:
    """The error names the backup, of which nothing is left behind."""
    disk.fill()
    with pytest.raises(BackupRefused, match=str(disk.folder / "backup")):
        opened(path).back_up(disk.folder / "backup")
    assert [entry.name for entry in disk.folder.iterdir() if "backup" in entry.name] == []
    opened(path).back_up(tmp_path / "backup")
    assert stored(opened(tmp_path / "backup"), "ring") == ("body", 1)


def test_a_restore_on_a_full_disk_changes_nothing(disk: SmallDisk, path: Path) -> None:
    """When there is space again, it succeeds."""
    contents = Contents({"ring": Document("x" * 500_000, NEW.next())})
    disk.fill()
    assert "disk is full" in fault(lambda: opened(path).restore(contents, replace=True)).detail
    assert stored(opened(path), "ring") == ("body", 1)
    disk.free()
    opened(path).restore(contents, replace=True)
    assert opened(path).contents() == contents


def test_no_state_is_created_on_a_full_disk(disk: SmallDisk) -> None:
    """The error names the disk, and nothing is left behind."""
    disk.fill()
    path = disk.folder / "new.sqlite3"
    assert "disk is full" in fault(opened(path).create).detail
    assert [entry.name for entry in disk.folder.iterdir()] == ["filling"]
    assert isinstance(fault(lambda: opened(path).load("ring")), StateMissing)


@pytest.mark.parametrize("index", ["left", "lost"])
def test_what_only_the_log_has_is_read_on_a_full_disk(
    disk: SmallDisk, path: Path, index: str
) -> None:
    """A writer was killed. `immutable=1` would read the body from before."""
    kill_a_writer(path)
    if index == "lost":
        path.with_name("state.sqlite3-shm").unlink()
    disk.fill()
    assert stored(opened(path), "ring") == ("in the log", 2)
    assert stored(opened(path), "ring") == ("in the log", 2)


def test_everything_is_read_from_a_disk_that_is_mounted_read_only(
    disk: SmallDisk, path: Path
) -> None:
    """A write says what prevents it."""
    with disk.read_only():
        state = opened(path)
        assert stored(state, "ring") == ("body", 1)
        assert state.record("channel", "a") == Record("a", "answer", 4e9)
        assert "read-only" in fault(lambda: save_next(state, "ring", "new")).detail
    assert save_next(state, "ring", "new") == 2


def test_what_only_the_log_has_is_read_from_a_read_only_disk_with_its_index(
    disk: SmallDisk, path: Path
) -> None:
    """Without the index it is unavailable: what `immutable=1` reads would be out of date."""
    kill_a_writer(path)
    with disk.read_only():
        assert stored(opened(path), "ring") == ("in the log", 2)
    path.with_name("state.sqlite3-shm").unlink()
    with disk.read_only():
        assert "read-only" in fault(lambda: opened(path).load("ring")).detail
    assert stored(opened(path), "ring") == ("in the log", 2)


def test_a_read_during_which_the_file_changes_is_repeated(disk: SmallDisk, path: Path) -> None:
    """The disk gets space and a writer while a connection without locks reads."""
    disk.fill()
    writes: list[int] = []

    class WritesMeanwhile(sqlite3.Connection):
        def execute(self, sql: str, parameters: object = (), /) -> sqlite3.Cursor:
            cursor = super().execute(sql, parameters)  # type: ignore[arg-type] # As given.
            if sql.startswith("SELECT body") and not writes:
                disk.free()
                writes.append(save_next(opened(path), "ring", "newer"))
            return cursor

    state = SqliteState(path, ManualClock(), connection_class=WritesMeanwhile)
    assert stored(state, "ring") == ("newer", 2)
    assert writes == [2]


def test_where_no_file_may_grow_reads_go_on_and_a_write_says_that_the_disk_is_full(
    tmp_path: Path,
) -> None:
    """A limit of the process stands for a full disk, where this user may not mount one."""
    path = tmp_path / "state.sqlite3"
    created_state(path).close()
    printed = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.state.sqlite_process",
            "read_and_write_without_space",
            str(path),
        ],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=60,
    ).stdout.splitlines()
    assert printed[0] == "read done"
    assert "disk is full" in printed[1]


def test_a_folder_that_vanishes_is_missing_and_never_an_empty_state(tmp_path: Path) -> None:
    """A process that starts meanwhile creates nothing, and goes on when the folder is back."""
    folder = tmp_path / "keys"
    path = folder / "state.sqlite3"
    running = created_state(path)
    running.save("ring", "body", replacing=NEW)
    away = folder.rename(tmp_path / "away")
    for state in (running, opened(path)):
        for operation in (
            lambda state=state: state.load("ring"),
            lambda state=state: state.version("ring"),
            lambda state=state: state.save("ring", "new", replacing=NEW),
            lambda state=state: state.put_many("channel", [Record("a", "", 4e9)]),
        ):
            assert isinstance(fault(operation), StateMissing)
    assert not folder.exists()
    shutil.move(away, folder)
    assert stored(opened(path), "ring") == ("body", 1)
