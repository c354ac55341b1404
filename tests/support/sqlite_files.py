"""What tests do with a SQLite state file from outside: list its records, and lock it."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from tests.support.clock import ManualClock
from tokensvc.clock import Clock
from tokensvc.state.base import Record
from tokensvc.state.sqlite import SqliteState

_LOCK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA locking_mode = " + sys.argv[2])
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.read()
"""


def created_state(
    path: Path,
    clock: Clock | None = None,
    *,
    connection_class: type[sqlite3.Connection] = sqlite3.Connection,
) -> SqliteState:
    """The state in that file, which is created unless it exists."""
    state = SqliteState(path, clock or ManualClock(), connection_class=connection_class)
    state.create()
    return state


def stored_records(path: Path, kind: str) -> list[Record]:
    """Every record of that kind in the state file, ordered by ID."""
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute(
            "SELECT record_id, body, expires_at FROM records WHERE kind = ? ORDER BY record_id",
            (kind,),
        )
        return [Record(*row) for row in rows]


@contextlib.contextmanager
def write_lock_held(path: Path) -> Iterator[None]:
    """Another process is in a write transaction on the state file until the block ends."""
    with _locking_process(path, "NORMAL"):
        yield


@contextlib.contextmanager
def whole_file_locked(path: Path) -> Iterator[None]:
    """Another process locks the state file against reads and writes until the block ends."""
    with _locking_process(path, "EXCLUSIVE"):
        yield


@contextlib.contextmanager
def _locking_process(path: Path, locking_mode: str) -> Iterator[None]:
    with subprocess.Popen(
        [sys.executable, "-c", _LOCK, str(path), locking_mode],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "locked\n"
            yield
        finally:
            process.stdin.close()
