"""Read the SQLite state file where nothing can be written: on a full disk, in a read-only folder.

A connection to a file with a write-ahead log (`-wal`) needs the shared index of the log (`-shm`),
which SQLite creates for the first connection and removes with the last. Where it can't be created,
nothing could be read, although every commit is there. What reads it then depends on the log:

- The log is absent or empty. Then every commit is in the file itself, and `immutable=1` reads it
  without a log, an index and locks. Such a connection would not see what a writer does meanwhile,
  so the file and the log are compared before and after, and the result counts only if they are the
  same. (A writer needs the index too, so that there is none while it can't be created.)
- The log has commits, which `immutable=1` would ignore: it is never used then. With the locking
  mode EXCLUSIVE, SQLite keeps the index in the memory of this process. That needs the permission to
  lock the file, and no space. Others wait meanwhile, as for any lock.

In a read-only folder, SQLite itself reads a log if its index exists. A log with commits and without
an index, in a folder that can't be written, is the one case that stays unavailable.
`tests/state/test_sqlite_obstacles.py` shows each case on a real file system.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tokensvc.state.sqlite_errors import kind_of

T = TypeVar("T")

Query = Callable[[sqlite3.Connection], T]
Connect = Callable[[str], sqlite3.Connection]
"""Opens the file with those parameters of SQLite's URI, such as `mode=rw`."""

_MAX_ATTEMPTS = 3
_OBSTACLES = {"IOERR", "CANTOPEN", "READONLY", "FULL", "OS"}


def read(path: Path, connect: Connect, query: Query[T]) -> T:
    """The result of the query, which only reads.

    Raises:
        sqlite3.Error, OSError: the error of the usual way to read, when no way works.
    """
    for _ in range(_MAX_ATTEMPTS):
        try:
            with closing(connect("mode=rw")) as connection:
                return query(connection)
        except sqlite3.Error as exc:
            if kind_of(exc) not in _OBSTACLES:
                raise
            obstacle = exc
        try:
            return _read_without_writing(path, connect, query)
        except _Changed:
            continue
        except (sqlite3.Error, OSError) as exc:
            raise (obstacle if kind_of(exc) in _OBSTACLES else exc) from None
    raise sqlite3.OperationalError("The file changed during every attempt to read it.")


class _Changed(Exception):
    """The file changed while it was read: there is a writer, so the usual way works again."""


def _read_without_writing(path: Path, connect: Connect, query: Query[T]) -> T:
    if _contents(path).log_bytes == 0:
        return _read_immutable(path, connect, query)
    with closing(connect("mode=rw")) as connection:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        return query(connection)


def _read_immutable(path: Path, connect: Connect, query: Query[T]) -> T:
    before = _contents(path)
    try:
        with closing(connect("mode=ro&immutable=1")) as connection:
            return query(connection)
    finally:
        # Also after an error: what looks damaged may have been read during a write.
        if _contents(path) != before:
            raise _Changed


@dataclass(frozen=True, slots=True)
class _Contents:
    """Numbers that change with every change of the file or its log."""

    device: int
    inode: int
    file_bytes: int
    modified_ns: int
    changed_ns: int
    log_bytes: int


def _contents(path: Path) -> _Contents:
    file, log = path.stat(), path.with_name(f"{path.name}-wal")
    return _Contents(
        device=file.st_dev,
        inode=file.st_ino,
        file_bytes=file.st_size,
        modified_ns=file.st_mtime_ns,
        changed_ns=file.st_ctime_ns,
        log_bytes=log.stat().st_size if log.exists() else 0,
    )
