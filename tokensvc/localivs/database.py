"""Local IVS's state: one SQLite file that outlives restarts and kill -9.

Nothing is opened before first use, so that an application made before a fork holds no handle.
Each room (control plane, edge) brings its own tables through `Database.ensure`.
"""

from __future__ import annotations

import sqlite3
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tokensvc.localivs.errors import DatabaseUnusableError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Written into the file's header, so that another program's SQLite file is recognised as such.
APPLICATION_ID = 0x4C495653  # "LIVS"
SCHEMA_VERSION = 1
BUSY_TIMEOUT_SECONDS = 10.0

_FILE_AT_FAULT = (
    "SQLITE_CANTOPEN",
    "SQLITE_CORRUPT",
    "SQLITE_FULL",
    "SQLITE_IOERR",
    "SQLITE_NOTADB",
    "SQLITE_READONLY",
)


class Database:
    """The state file; safe to share between threads, and between processes by SQLite's locks."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._schemas: list[str] = []
        self._idle: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._opening = threading.Lock()
        self._inspected = False

    def ensure(self, schema: str) -> None:
        """Promise these tables (`CREATE ... IF NOT EXISTS` statements) to every later reader."""
        with self._lock:
            if schema not in self._schemas:
                self._schemas.append(schema)
        # Connections run the schemas when they open; idle ones have missed this one.
        self.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A connection inside a write transaction: committed on leaving, undone on an exception.

        Raises:
            DatabaseUnusableError: the file is damaged, foreign, or can't be opened.
        """
        with self._connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                _roll_back(connection)
                raise
            connection.execute("COMMIT")

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection that sees one moment of the state, and whose writes are thrown away.

        Raises:
            DatabaseUnusableError: the file is damaged, foreign, or can't be opened.
        """
        with self._connection() as connection:
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                _roll_back(connection)

    def close(self) -> None:
        """Close every connection that isn't in use now; the next use opens a new one."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        if connection is None:
            connection = self._open()
        try:
            yield connection
        except sqlite3.Error as error:
            # A connection that SQLite itself complained about isn't used again.
            connection.close()
            self._explain(error)
            raise
        except BaseException:
            self._give_back(connection)
            raise
        self._give_back(connection)

    def _give_back(self, connection: sqlite3.Connection) -> None:
        with self._lock:
            self._idle.append(connection)

    def _open(self) -> sqlite3.Connection:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(
                self.path,
                timeout=BUSY_TIMEOUT_SECONDS,
                isolation_level=None,  # Transactions are begun and ended by hand, above.
                check_same_thread=False,  # One thread at a time holds a connection of the pool.
            )
        except (OSError, sqlite3.Error) as error:
            raise self._unusable(str(error)) from error
        try:
            connection.row_factory = sqlite3.Row
            # Two threads that switch a new file to WAL at once would meet a lock.
            with self._opening:
                self._claim(connection)
                self._look_for_damage(connection)
                connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            for schema in tuple(self._schemas):
                connection.executescript(schema)
        except sqlite3.Error as error:
            connection.close()
            self._explain(error)
            raise
        except BaseException:
            connection.close()
            raise
        return connection

    def _claim(self, connection: sqlite3.Connection) -> None:
        """Refuse a foreign file; mark a new one as ours, though it replace one just deleted."""
        connection.execute("BEGIN IMMEDIATE")
        tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        application_id = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if tables == 0:
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        elif application_id != APPLICATION_ID:
            raise self._unusable("it is a database of another program")
        elif version > SCHEMA_VERSION:
            raise self._unusable(f"a newer Local IVS wrote it (schema version {version})")
        connection.execute("COMMIT")

    def _look_for_damage(self, connection: sqlite3.Connection) -> None:
        """Refuse a damaged file; once a process, since it reads all of it."""
        if self._inspected:
            return
        verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if verdict != "ok":
            raise self._unusable(f"it is damaged: {verdict}")
        self._inspected = True

    def _explain(self, error: sqlite3.Error) -> None:
        """Raise a clear error where the file is at fault, and not a statement or a long lock."""
        # What Python's own module complains about has no name of SQLite's.
        if getattr(error, "sqlite_errorname", "").startswith(_FILE_AT_FAULT):
            raise self._unusable(str(error)) from error

    def _unusable(self, reason: str) -> DatabaseUnusableError:
        return DatabaseUnusableError(
            f"Local IVS can't use its state file {self.path}: {reason}. "
            "Give it another folder, or move the file away to begin with an empty account."
        )


def _roll_back(connection: sqlite3.Connection) -> None:
    # SQLite has done it by itself after some errors, such as a full disk.
    if connection.in_transaction:
        connection.execute("ROLLBACK")
