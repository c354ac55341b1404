from __future__ import annotations

import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.clock import EXAMPLE_NOW, ManualClock
from tests.support.sqlite_faults import FailsBeforeCommit, HasLittleRoom
from tests.support.unprivileged import unprivileged_folder
from tokensvc.errors import StateDamaged, StateUnavailable
from tokensvc.state.base import NEW, Document, Record
from tokensvc.state.sqlite import EXPIRED_RECORDS_KEPT_SECONDS, SqliteState

PROCESS = "tests.state.sqlite_process"
PROJECT = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the state file will be: in a folder that is not there yet."""
    return tmp_path / "keys" / "state.sqlite3"


@pytest.fixture
def state(path: Path) -> SqliteState:
    """The state that most tests use."""
    return SqliteState(path, ManualClock())


def start(*arguments: str) -> subprocess.Popen[str]:
    """One of the programs of `sqlite_process`, running."""
    return subprocess.Popen(
        [sys.executable, "-m", PROCESS, *arguments],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
    )


def lines_of(*arguments: str) -> list[str]:
    """What one of the programs printed, after it has ended well."""
    ended = subprocess.run(
        [sys.executable, "-m", PROCESS, *arguments],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
        check=True,
    )
    return ended.stdout.splitlines()


# --- The file


def test_nothing_is_made_before_the_first_use(path: Path) -> None:
    """An application that is made before a fork touches nothing."""
    SqliteState(path, ManualClock()).close()
    assert not path.parent.exists()


def test_the_file_and_its_folder_are_their_owners_alone(path: Path, state: SqliteState) -> None:
    """0600 in 0700, and nothing but the file stays in the folder."""
    state.save("ring", "body", replacing=NEW)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [entry.name for entry in path.parent.iterdir()] == ["state.sqlite3"]


def test_commits_are_on_the_disk_before_they_are_acknowledged(
    path: Path, state: SqliteState
) -> None:
    """A write-ahead log, and a sync for every commit (2 is FULL)."""
    with state._connection() as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)


def test_a_path_of_odd_characters_is_taken_as_it_is(tmp_path: Path) -> None:
    """A path becomes a URI on its way to SQLite, and means the same there."""
    path = tmp_path / "50% of #1? é" / "state.sqlite3"
    SqliteState(path, ManualClock()).save("ring", "body", replacing=NEW)
    assert path.is_file()


def test_a_state_that_vanished_is_not_taken_for_an_empty_one(
    path: Path, state: SqliteState
) -> None:
    """What was seen and is gone is an error with a way out; put back, it is used again."""
    state.save("ring", "body", replacing=NEW)
    elsewhere = path.rename(path.with_suffix(".moved"))
    with pytest.raises(StateUnavailable, match="Check that it is there"):
        state.load("ring")
    assert not path.exists()
    elsewhere.rename(path)
    assert state.load("ring") == Document("body", version=1)


def test_records_are_swept_an_hour_after_their_expiry(path: Path) -> None:
    """Readers' clocks differ, so an expired record stays for a while, to the second."""
    clock = ManualClock()
    state = SqliteState(path, clock)
    state.put("ban", Record("early", "1", EXAMPLE_NOW + 10.0))
    state.put("ban", Record("late", "2", EXAMPLE_NOW + 11.0))
    assert EXPIRED_RECORDS_KEPT_SECONDS == 3_600
    clock.advance(10.0 + 3_600.0)
    state.put("ban", Record("new", "3", EXAMPLE_NOW + 9_999.0))
    assert [record.record_id for record in state.records("ban")] == ["early", "late", "new"]
    clock.advance(0.5)
    state.put("ban", Record("new", "3", EXAMPLE_NOW + 9_999.0))
    assert [record.record_id for record in state.records("ban")] == ["late", "new"]


# --- Many processes


def test_of_two_processes_that_race_exactly_one_wins_each_version(path: Path) -> None:
    """Rule 7 between real processes, from a file that neither has made yet."""
    runners = [start("race", str(path), name, "40") for name in ("one", "other")]
    outputs = [runner.communicate(timeout=60)[0] for runner in runners]
    assert [runner.returncode for runner in runners] == [0, 0]
    won = [line.removeprefix("won ") for output in outputs for line in output.splitlines()]
    assert sorted(map(int, won)) == list(range(1, 41))


def test_a_process_killed_while_it_writes_leaves_all_that_was_acknowledged(path: Path) -> None:
    """After kill -9 the last acknowledged save is there, whole, and work goes on."""
    for run in range(3):
        path.unlink(missing_ok=True)
        for neighbour in path.parent.glob("*-[ws]*"):
            neighbour.unlink()
        with start("write_on", str(path)) as writer:
            assert writer.stdout is not None
            for _ in range(15 + run):
                last = writer.stdout.readline()
            writer.send_signal(signal.SIGKILL)
            last = [last, *writer.stdout.readlines()][-1]
        acknowledged = int(last.removeprefix("acknowledged "))
        state = SqliteState(path, ManualClock())
        document = state.load("ring")
        assert document is not None
        assert acknowledged <= document.version <= acknowledged + 1
        assert document.body == f"body of {document.version}" + "x" * 5_000
        assert len(state.records("ban")) >= acknowledged
        assert state.save("ring", "on", replacing=document.version) == document.version + 1


def test_a_state_used_before_a_fork_works_in_parent_and_child(
    path: Path, state: SqliteState
) -> None:
    """No handle is carried over a fork."""
    assert lines_of("fork", str(path)) == ["child ended with 0", "parent saved 3"]
    assert state.load("ring") == Document("by the parent again", version=3)


def test_processes_that_begin_at_once_agree_on_one_file(path: Path) -> None:
    """Of many who make the file at the same moment, all use the one that came first."""
    together = threading.Barrier(8, timeout=30)

    def begin(number: int) -> None:
        state = SqliteState(path, ManualClock())
        together.wait()
        state.put("ban", Record(str(number), "x", EXAMPLE_NOW))

    threads = [threading.Thread(target=begin, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(SqliteState(path, ManualClock()).records("ban")) == 8
    assert [entry.name for entry in path.parent.iterdir()] == ["state.sqlite3"]


# --- Damage


def garbage(path: Path) -> None:
    """Something that was never a database."""
    path.write_bytes(b"not a database " * 1_000)


def truncated(path: Path) -> None:
    """A state of which a disk kept only the first half."""
    _make_large_state(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def overwritten(path: Path) -> None:
    """A state with another file's bytes in its middle."""
    _make_large_state(path)
    content = bytearray(path.read_bytes())
    content[8_192:40_960] = b"\xa5" * (40_960 - 8_192)
    path.write_bytes(content)


def emptied(path: Path) -> None:
    """A file of no bytes, which SQLite by itself takes for an empty database."""
    path.write_bytes(b"")


def foreign(path: Path) -> None:
    """Another program's database."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE bookmarks (url TEXT)")


def newer(path: Path) -> None:
    """A state as a later release may write it."""
    _make_large_state(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 2")


def without_tables(path: Path) -> None:
    """A state that someone cleaned by hand."""
    _make_large_state(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE documents")


def _make_large_state(path: Path) -> None:
    state = SqliteState(path, ManualClock())
    for number in range(20):
        state.save(f"document {number}", "x" * 5_000, replacing=NEW)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (garbage, "is damaged.*put a copy back"),
        (truncated, "is damaged.*put a copy back"),
        (overwritten, "is damaged.*put a copy back"),
        (emptied, "no state of tokensvc.*move this one away"),
        (foreign, "no state of tokensvc.*move this one away"),
        (newer, r"newer tokensvc.*version 2; this program reads 1.*later one"),
        (without_tables, "lacks tables.*put a copy back"),
    ],
)
def test_a_file_that_is_no_sound_state_is_refused_with_a_way_out_and_left_alone(
    path: Path, state: SqliteState, damage: Callable[[Path], None], words: str
) -> None:
    """Neither a read nor a write makes something of it, nor changes a byte of it."""
    path.parent.mkdir()
    damage(path)
    before = path.read_bytes()
    with pytest.raises(StateDamaged, match=f"(?s){words}"):
        state.load("document 1")
    with pytest.raises(StateDamaged, match=f"(?s){words}"):
        state.save("document 1", "body", replacing=NEW)
    assert path.read_bytes() == before


def test_a_copy_put_back_in_the_place_of_a_damaged_file_is_used_at_once(
    path: Path, state: SqliteState
) -> None:
    """The way out that the error names is one."""
    state.save("ring", "body", replacing=NEW)
    copy = path.parent / "copy"
    shutil.copy(path, copy)
    garbage(path)
    with pytest.raises(StateDamaged):
        state.version("ring")
    copy.replace(path)
    assert state.version("ring") == 1


# --- Faults of the machine


def test_a_save_whose_commit_failed_is_reported_and_nothing_was_written(
    path: Path, state: SqliteState
) -> None:
    """An error of the disk before the commit is no win."""
    state.save("ring", "body", replacing=NEW)
    failing = SqliteState(path, ManualClock(), connection_class=FailsBeforeCommit)
    with pytest.raises(StateUnavailable, match="the disk is sound"):
        failing.save("ring", "lost", replacing=1)
    with pytest.raises(StateUnavailable):
        failing.put("ban", Record("a", "1", EXAMPLE_NOW))
    assert state.load("ring") == Document("body", version=1)
    assert state.records("ban") == ()
    assert state.records_version("ban") == 0


def test_a_full_disk_is_reported_and_what_was_there_stays(path: Path, state: SqliteState) -> None:
    """No room is a refusal that says so; with room again the same save succeeds."""
    state.save("ring", "body", replacing=NEW)
    cramped = SqliteState(path, ManualClock(), connection_class=HasLittleRoom)
    with pytest.raises(StateUnavailable, match=r"no room left.*Make room"):
        cramped.save("ring", "x" * 500_000, replacing=1)
    assert cramped.load("ring") == Document("body", version=1)
    assert cramped.save("ring", "short", replacing=1) == 2
    assert state.save("ring", "x" * 500_000, replacing=2) == 3


def test_a_file_that_another_program_keeps_locked_is_reported_with_the_wait(
    path: Path, state: SqliteState, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reads go on beside a writer; a write says for how long it has waited."""
    state.save("ring", "body", replacing=NEW)
    monkeypatch.setattr("tokensvc.state.sqlite._BUSY_TIMEOUT_SECONDS", 0.05)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StateUnavailable, match=r"more than 0\.05 seconds"):
            state.save("ring", "late", replacing=1)
        assert state.load("ring") == Document("body", version=1)
    assert state.save("ring", "late", replacing=1) == 2


def test_a_folder_that_is_a_file_is_reported(tmp_path: Path) -> None:
    """A path that can't be has the same words as one that may not be."""
    (tmp_path / "keys").write_text("a file")
    state = SqliteState(tmp_path / "keys" / "state.sqlite3", ManualClock())
    with pytest.raises(StateUnavailable, match="its folder"):
        state.version("ring")


def test_a_state_file_that_is_a_folder_is_reported(path: Path, state: SqliteState) -> None:
    """What SQLite can't open is unavailable, not damaged."""
    path.mkdir(parents=True)
    with pytest.raises(StateUnavailable):
        state.version("ring")


@pytest.mark.parametrize(
    ("folder_mode", "file_mode", "expected"),
    [
        (0o500, None, ["read refused: state_unavailable", "write refused: state_unavailable"]),
        (0o000, None, ["read refused: state_unavailable", "write refused: state_unavailable"]),
        (0o000, 0o600, ["read refused: state_unavailable", "write refused: state_unavailable"]),
        (0o700, 0o000, ["read refused: state_unavailable", "write refused: state_unavailable"]),
        (0o700, 0o400, ["read done", "write refused: state_unavailable"]),
        (0o700, None, ["read done", "write done"]),
    ],
)
def test_permissions_that_stand_in_the_way_are_reported(
    folder_mode: int, file_mode: int | None, expected: list[str]
) -> None:
    """A folder or file that this user may not read or write is unavailable; nothing breaks."""
    with unprivileged_folder() as folder:
        path = folder / "state.sqlite3"
        if file_mode is not None:
            assert lines_of("touch", str(path)) == ["read done", "write done"]
            path.chmod(file_mode)
        folder.chmod(folder_mode)
        found = lines_of("touch", str(path))
        folder.chmod(0o700)
    assert found == expected
