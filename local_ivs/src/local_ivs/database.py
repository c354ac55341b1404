"""Local IVS's state: one SQLite file that survives restarts and kill -9.

The file is opened at first use, so that an application created before a fork has no open handle.
The control plane, the edge and the others each define their tables with `Database.ensure`.
"""

from __future__ import annotations

import sqlite3
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from local_ivs.errors import DatabaseUnusableError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Written into the file's header, to recognize the SQLite file of another program.
APPLICATION_ID = 0x4C495653  # "LIVS"
SCHEMA_VERSION = 1
BUSY_TIMEOUT_SECONDS = 10.0

_CHOOSE_ANOTHER_FILE = (
    "Choose another folder with `--data` (LOCAL_IVS_DATA), or move the file away to start with an "
    "empty account."
)
# SQLite errors whose cause is the file or the disk, and not a statement or a lock.
_FILE_ERRORS = (
    "SQLITE_CANTOPEN",
    "SQLITE_CORRUPT",
    "SQLITE_IOERR",
    "SQLITE_NOTADB",
    "SQLITE_READONLY",
)


class Database:
    """The state file; safe to use from several threads, and processes (by SQLite's locks)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._schemas: list[str] = []
        self._idle: list[sqlite3.Connection] = []
        self._is_closed = False
        self._lock = threading.Lock()
        self._opening = threading.Lock()
        self._integrity_checked = False

    def ensure(self, schema: str) -> None:
        """Create these tables (`CREATE ... IF NOT EXISTS` statements) before the next use."""
        with self._lock:
            if schema not in self._schemas:
                self._schemas.append(schema)
        # A connection runs the schemas when it opens; those that are open don't have the new one.
        self._close_connections()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A connection in a write transaction: committed at the end, rolled back on an exception.

        Raises:
            DatabaseUnusableError: the file is damaged, can't be opened, or isn't Local IVS's.
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
        """A connection with a consistent snapshot of the state; writes are rolled back.

        Raises:
            DatabaseUnusableError: the file is damaged, can't be opened, or isn't Local IVS's.
        """
        with self._connection() as connection:
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                _roll_back(connection)

    def close(self) -> None:
        """Close every connection; one that is in use, after its use.

        A later use, such as that of a slow request, opens a connection, and closes it afterwards.
        """
        self._is_closed = True
        self._close_connections()

    def _close_connections(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            pool = self._idle  # `_close_connections` begins another one.
            connection = pool.pop() if pool else None
        if connection is None:
            connection = self._open()
        try:
            yield connection
        except sqlite3.Error as error:
            # A connection with an SQLite error isn't reused.
            connection.close()
            self._raise_if_file_unusable(error)
            raise
        except BaseException:
            self._release(connection, pool)
            raise
        self._release(connection, pool)

    def _release(self, connection: sqlite3.Connection, pool: list[sqlite3.Connection]) -> None:
        with self._lock:
            is_kept = pool is self._idle and not self._is_closed
            if is_kept:
                pool.append(connection)
        if not is_kept:
            connection.close()

    def _open(self) -> sqlite3.Connection:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(
                self.path,
                timeout=BUSY_TIMEOUT_SECONDS,
                isolation_level=None,  # The methods above begin and end transactions themselves.
                check_same_thread=False,  # Only one thread at a time uses a connection of the pool.
            )
        except (OSError, sqlite3.Error) as error:
            raise self._unusable_error(str(error)) from error
        try:
            connection.row_factory = sqlite3.Row
            # Two threads that switch a new file to WAL at the same time would fail on a lock.
            with self._opening:
                self._check_application_id(connection)
                self._check_integrity(connection)
                connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            for schema in tuple(self._schemas):
                connection.executescript(schema)
        except sqlite3.Error as error:
            connection.close()
            self._raise_if_file_unusable(error)
            raise
        except BaseException:
            connection.close()
            raise
        return connection

    def _check_application_id(self, connection: sqlite3.Connection) -> None:
        """Refuse the file of another program; mark an empty file as Local IVS's.

        Checked for each connection, because the file may have been deleted and created again.
        """
        connection.execute("BEGIN IMMEDIATE")
        tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        application_id = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if tables == 0:
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        elif application_id != APPLICATION_ID:
            raise self._unusable_error(
                f"it belongs to another program (application ID {application_id})"
            )
        elif version > SCHEMA_VERSION:
            raise self._unusable_error(
                f"a newer release wrote it (schema version {version}, this one reads "
                f"{SCHEMA_VERSION})"
            )
        connection.execute("COMMIT")

    def _check_integrity(self, connection: sqlite3.Connection) -> None:
        """Refuse a damaged file; once per process, because the check reads the whole file."""
        if self._integrity_checked:
            return
        verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if verdict != "ok":
            raise self._unusable_error(f"it is damaged: {verdict}")
        self._integrity_checked = True

    def _raise_if_file_unusable(self, error: sqlite3.Error) -> None:
        """Raise DatabaseUnusableError if the cause is the file or the disk."""
        # Errors that Python's sqlite3 module raises itself have no `sqlite_errorname`.
        name = getattr(error, "sqlite_errorname", "")
        if name == "SQLITE_FULL":
            raise self._unusable_error(str(error), hint="Free some disk space.") from error
        if name.startswith(_FILE_ERRORS):
            raise self._unusable_error(str(error)) from error

    def _unusable_error(
        self, reason: str, hint: str = _CHOOSE_ANOTHER_FILE
    ) -> DatabaseUnusableError:
        return DatabaseUnusableError(
            f"Local IVS can't use its state file {self.path}: {reason}. {hint}"
        )


def _roll_back(connection: sqlite3.Connection) -> None:
    # After some errors, such as a full disk, SQLite has already rolled back.
    if connection.in_transaction:
        connection.execute("ROLLBACK")
