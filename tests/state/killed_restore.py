"""Restores a state again and again, each time killed one statement or file operation later.

`python -m tests.state.killed_restore FOLDER BACKUP EXISTING` restores BACKUP in FOLDER/0, FOLDER/1,
and so on, over a state with the contents of EXISTING if that is not "". The last one is not killed.
A process of its own, because it forks: the test's process has threads.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

from tests.support.clock import ManualClock
from tokensvc.state.base import Contents
from tokensvc.state.sqlite import SqliteState

_FILE_CALLS = ("open", "fsync", "link", "unlink", "mkdir")


class _Killed(sqlite3.Connection):
    """Counts statements, and kills its process before one of them."""

    calls_left: ClassVar[int]

    @classmethod
    def count(cls) -> None:
        """Count a call, or kill this process."""
        if cls.calls_left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        cls.calls_left -= 1

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """Count and execute."""
        self.count()
        return super().execute(sql, parameters)

    def executemany(self, sql: str, parameters: Any, /) -> sqlite3.Cursor:
        """Count and execute."""
        self.count()
        return super().executemany(sql, parameters)

    def executescript(self, sql: str, /) -> sqlite3.Cursor:
        """Count and execute."""
        self.count()
        return super().executescript(sql)


def main(folder: Path, backup: Path, existing: Path | None) -> None:
    """Restore in one folder after another, until a restore is not killed."""
    contents = _contents(backup)
    for calls in count():
        path = folder / str(calls) / "state.sqlite3"
        if existing is not None:
            SqliteState(path, ManualClock()).restore(_contents(existing), replace=False)
        if not _is_killed(path, contents, calls):
            return


def _contents(file: Path) -> Contents:
    return SqliteState(file, ManualClock()).contents()


def _is_killed(path: Path, contents: Contents, calls: int) -> bool:
    child = os.fork()
    if child == 0:
        _Killed.calls_left = calls
        for name in _FILE_CALLS:
            setattr(os, name, _counted(getattr(os, name)))
        state = SqliteState(path, ManualClock(), connection_class=_Killed)
        state.restore(contents, replace=True)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return True
    assert os.waitstatus_to_exitcode(status) == 0
    return False


def _counted(call: Callable[..., Any]) -> Callable[..., Any]:
    def counted(*arguments: Any, **options: Any) -> Any:
        _Killed.count()
        return call(*arguments, **options)

    return counted


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]) if sys.argv[3] else None)
