"""Connections of SQLite with one fault each, for `SqliteState(connection_class=...)`."""

from __future__ import annotations

import sqlite3
from typing import Any, ClassVar, Self


class LosesAcknowledgement(sqlite3.Connection):
    """Commits, then says that the disk failed: once for the class that `once` gives."""

    _left: ClassVar[list[str]] = []

    @classmethod
    def once(cls) -> type[Self]:
        """A class of connections of which one, once, fails after a commit."""
        return type("LosesOneAcknowledgement", (cls,), {"_left": ["one"]})

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """Execute, and fail after a commit if that is still to happen."""
        cursor = super().execute(sql, parameters)
        if sql == "COMMIT" and self._left:
            self._left.pop()
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorname = "SQLITE_IOERR_FSYNC"
            raise error
        return cursor


class FailsBeforeCommit(sqlite3.Connection):
    """Never commits: the disk fails first."""

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """Execute anything but a commit."""
        if sql == "COMMIT":
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorname = "SQLITE_IOERR_WRITE"
            raise error
        return super().execute(sql, parameters)


class HasLittleRoom(sqlite3.Connection):
    """Finds the disk full when the file would grow by more than a few pages."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.executescript("PRAGMA max_page_count = 12")
