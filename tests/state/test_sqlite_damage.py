"""A damaged state file is refused and never changed, and a restored one is used."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.clock import ManualClock
from tests.support.documents import stored
from tests.support.sqlite_files import (
    created_state,
)
from tokensvc.errors import SchemaUnsupported, StateConflict, StateDamaged
from tokensvc.state.base import NEW
from tokensvc.state.sqlite import SqliteState


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
