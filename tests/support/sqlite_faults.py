"""SQLite connections for `SqliteState(connection_class=...)`: counting, or with one fault each."""

from __future__ import annotations

import sqlite3
from typing import Any, ClassVar, Self


class LosesAcknowledgement(sqlite3.Connection):
    """Commits, then raises a disk error. Use the class that `once` returns."""

    _remaining_faults: ClassVar[list[str]] = []

    @classmethod
    def once(cls) -> type[Self]:
        """A class of connections that fails once after a commit."""
        return type("LosesOneAcknowledgement", (cls,), {"_remaining_faults": ["one"]})

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """Execute the statement, and fail after the first commit."""
        cursor = super().execute(sql, parameters)
        if sql == "COMMIT" and self._remaining_faults:
            self._remaining_faults.pop()
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorname = "SQLITE_IOERR_FSYNC"
            raise error
        return cursor


class CountsCommits(sqlite3.Connection):
    """Counts the commits of all its connections. Use the class that `from_zero` returns."""

    commits: ClassVar[int]

    @classmethod
    def from_zero(cls) -> type[Self]:
        """A class of connections whose `commits` is 0."""
        return type("CountsFromZero", (cls,), {"commits": 0})

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """Execute the statement, and count it if it is a commit."""
        cursor = super().execute(sql, parameters)
        if sql == "COMMIT":
            type(self).commits += 1
        return cursor


class FailsBeforeCommit(sqlite3.Connection):
    """Raises a disk error instead of each commit."""

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """Execute every statement except a commit."""
        if sql == "COMMIT":
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorname = "SQLITE_IOERR_WRITE"
            raise error
        return super().execute(sql, parameters)


class FailsWhenTheFileGrows(sqlite3.Connection):
    """Reports a full disk when the file would grow by more than a few pages."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.executescript("PRAGMA max_page_count = 12")
