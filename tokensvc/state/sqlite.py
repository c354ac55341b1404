"""The state in one SQLite file, shared by all processes of one host.

SQLite provides atomicity and durability with a write-ahead log and `synchronous=FULL`: a commit is
on the disk before it is acknowledged. Each operation opens its own connection, which costs a
fraction of a millisecond. So no handle is shared between threads, inherited across a fork, or open
on a file that has been moved away. Reads go on where nothing can be written: `sqlite_reading`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from tokensvc import durable
from tokensvc.clock import Clock
from tokensvc.errors import SchemaUnsupported, StateConflict, StateDamaged, StateUnavailable
from tokensvc.state import schema, sqlite_reading
from tokensvc.state.base import NEW, Document, Record, Version
from tokensvc.state.sqlite_errors import damaged, translated
from tokensvc.waiting import may_wait

T = TypeVar("T")

# Stored in the file header, so that an SQLite file of another program is recognized.
APPLICATION_ID = 0x746B7376  # "tksv"
SCHEMA_VERSION = 1
EXPIRED_RECORD_RETENTION_SECONDS = 3_600
"""How long an expired record is stored. Readers check expiry with clocks that differ."""

MAX_PRUNED = 1_000
"""How many expired records one `put_many` deletes, so that its transaction stays short."""

RECORD_READ_TIMEOUT_SECONDS = 1.0
_BUSY_TIMEOUT_SECONDS = 5.0

# Created where it is missing, without a new schema version: SQLite itself keeps an index up to
# date, so that an earlier program can use the file too.
_EXPIRY_INDEX = "CREATE INDEX IF NOT EXISTS records_by_expiry ON records (kind, expires_at)"
_PRUNE = """
DELETE FROM records WHERE rowid IN (
    SELECT rowid FROM records WHERE kind = ? AND expires_at < ? LIMIT ?
)
"""
# `record_versions` is no longer read or written. It stays, because an earlier program that uses
# the same file counts the changes of records in it.
_SCHEMA = f"""
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
CREATE TABLE documents (
    name TEXT PRIMARY KEY,
    body TEXT NOT NULL,
    version INTEGER NOT NULL,
    writer TEXT NOT NULL
);
CREATE TABLE records (
    kind TEXT NOT NULL,
    record_id TEXT NOT NULL,
    body TEXT NOT NULL,
    expires_at REAL NOT NULL,
    PRIMARY KEY (kind, record_id)
);
CREATE TABLE record_versions (
    kind TEXT PRIMARY KEY,
    version INTEGER NOT NULL
);
{_EXPIRY_INDEX};
PRAGMA journal_mode = WAL;
"""


class SqliteState:
    """Implements `State` in the file at `path`.

    Only `create` makes the file. Where it is absent, everything else raises StateMissing: an empty
    state would hide that the data is lost, or not mounted.

    Args:
        path: the state file; SQLite has two more files beside it, with the suffixes -wal and -shm.
        clock: the clock that decides which expired records are deleted.
        connection_class: the class of the connections; tests inject faults through it.
    """

    def __init__(
        self,
        path: Path,
        clock: Clock,
        *,
        connection_class: type[sqlite3.Connection] = sqlite3.Connection,
    ) -> None:
        self._path = path
        self._clock = clock
        self._connection_class = connection_class
        self._inspected = False
        self._closed = False

    def create(self) -> None:
        """Create the file (mode 0600) and its folder (0700), unless the file exists.

        Raises:
            StateUnavailable: when it can't be written now.
        """
        with self._errors_translated(_BUSY_TIMEOUT_SECONDS):
            if not self._path.exists():
                self._create()

    def version(self, name: str) -> Version:
        """The document's version, `NEW` when it was never saved.

        Raises:
            StateUnavailable: when the file can't be read now.
            StateDamaged: when the file is damaged or is not a tokensvc state file.
        """
        return self._read(lambda connection: _version(connection, name))

    def load(self, name: str) -> Document | None:
        """The document, or None when it was never saved.

        Raises:
            StateUnavailable: when the file can't be read now.
            StateDamaged: when the file is damaged or is not a tokensvc state file.
        """
        row = self._read_row("SELECT body, version, writer FROM documents WHERE name = ?", (name,))
        return None if row is None else Document(row[0], Version(row[1], row[2]))

    def names(self) -> Sequence[str]:
        """The names of all documents, sorted.

        Raises:
            StateUnavailable: when the file can't be read now.
            StateDamaged: when the file is damaged or is not a tokensvc state file.
        """
        return self._read(
            lambda connection: tuple(
                name for (name,) in connection.execute("SELECT name FROM documents ORDER BY name")
            )
        )

    def save(self, name: str, body: str, *, replacing: Version) -> Version:
        """Durably replace version `replacing` with `body`, and return the new version.

        Raises:
            StateConflict: when the stored version is another; nothing was written.
            StateUnavailable: when the file can't be written now; nothing was written, unless
                reading the document back failed too.
            StateDamaged: when the file is damaged or is not a tokensvc state file.
        """
        saved = replacing.next()
        try:
            self._replace(name, body, replacing, saved)
        except StateUnavailable:
            # A commit that reported an error may have been stored: check for its nonce.
            if self.version(name) != saved:
                raise
        return saved

    def put_many(self, kind: str, records: Sequence[Record]) -> None:
        """Store the records durably in one transaction. Each replaces the one with its ID.

        Raises:
            StateUnavailable: when the file can't be written now.
            StateDamaged: when the file is damaged or is not a tokensvc state file.
        """
        if not records:
            return
        long_expired = self._clock.now() - EXPIRED_RECORD_RETENTION_SECONDS
        with self._transaction() as connection:
            connection.execute(_EXPIRY_INDEX)  # A file of an earlier program may not have it yet.
            connection.execute(_PRUNE, (kind, long_expired, MAX_PRUNED))
            connection.executemany(
                "INSERT OR REPLACE INTO records (kind, record_id, body, expires_at)"
                " VALUES (?, ?, ?, ?)",
                [(kind, each.record_id, each.body, each.expires_at) for each in records],
            )

    def remove_many(self, kind: str, record_ids: Sequence[str]) -> None:
        """Remove the records in one transaction. An ID without a record is not an error.

        Raises:
            StateUnavailable: when the file can't be written now.
            StateDamaged: when the file is damaged or is not a tokensvc state file.
        """
        if not record_ids:
            return
        with self._transaction() as connection:
            connection.executemany(
                "DELETE FROM records WHERE kind = ? AND record_id = ?",
                [(kind, record_id) for record_id in record_ids],
            )

    def record(self, kind: str, record_id: str) -> Record | None:
        """The record, or None when there is none. It may have expired.

        A request may wait for this read. SQLite's readers don't wait for a writer, however long it
        holds the write lock. They wait while another process recovers or deletes the log, or has
        the whole file locked, and here for at most `RECORD_READ_TIMEOUT_SECONDS`.

        Raises:
            StateUnavailable: when the file can't be read now.
            StateDamaged: when the file is damaged or is not a tokensvc state file.
        """
        row = self._read_row(
            "SELECT body, expires_at FROM records WHERE kind = ? AND record_id = ?",
            (kind, record_id),
            timeout_seconds=RECORD_READ_TIMEOUT_SECONDS,
        )
        return None if row is None else Record(record_id, body=row[0], expires_at=row[1])

    def records(self, kind: str) -> Sequence[Record]:
        """Every record of that kind, by ID. Some may have expired.

        Raises:
            StateUnavailable: when the file can't be read now.
            StateDamaged: when the file is damaged or is not a tokensvc state file.
        """
        sql = "SELECT record_id, body, expires_at FROM records WHERE kind = ? ORDER BY record_id"
        rows = self._read(lambda connection: connection.execute(sql, (kind,)).fetchall())
        return [Record(record_id, body, expires_at) for record_id, body, expires_at in rows]

    def close(self) -> None:
        """Refuse every later operation. Nothing is open between two operations."""
        self._closed = True

    def _replace(self, name: str, body: str, replacing: Version, saved: Version) -> None:
        with self._transaction() as connection:
            stored = _version(connection, name)
            if stored != replacing:
                raise StateConflict(
                    f"Another process saved the document {name!r} first, or restored a backup: the"
                    f" stored version is {stored.number} ({stored.nonce}), but this save replaces"
                    f" version {replacing.number} ({replacing.nonce}). Nothing was written.",
                    hint="Run the command again. It will use the stored version.",
                )
            connection.execute(
                "INSERT OR REPLACE INTO documents (name, body, version, writer)"
                " VALUES (?, ?, ?, ?)",
                (name, body, saved.number, saved.nonce),
            )

    def _read_row(
        self,
        sql: str,
        parameters: Sequence[str],
        *,
        timeout_seconds: float | None = None,
    ) -> tuple[Any, ...] | None:
        def query(connection: sqlite3.Connection) -> tuple[Any, ...] | None:
            row: tuple[Any, ...] | None = connection.execute(sql, parameters).fetchone()
            return row

        return self._read(query, timeout_seconds)

    def _read(
        self, query: Callable[[sqlite3.Connection], T], timeout_seconds: float | None = None
    ) -> T:
        seconds = _BUSY_TIMEOUT_SECONDS if timeout_seconds is None else timeout_seconds

        def inspect_and_query(connection: sqlite3.Connection) -> T:
            self._inspect(connection)
            return query(connection)

        with self._errors_translated(seconds):
            return sqlite_reading.read(
                self._path,
                lambda parameters: self._connect(self._path, seconds, parameters),
                inspect_and_query,
            )

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """A connection in a transaction, which is rolled back when the block raises."""
        with (
            self._errors_translated(_BUSY_TIMEOUT_SECONDS),
            closing(self._connect(self._path, _BUSY_TIMEOUT_SECONDS)) as connection,
        ):
            connection.execute("PRAGMA synchronous = FULL")
            self._inspect(connection)
            # Takes the write lock before the first read, so that no other process writes in
            # between. Closing the connection rolls back what was not committed.
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")

    @contextmanager
    def _errors_translated(self, timeout_seconds: float) -> Iterator[None]:
        may_wait()
        if self._closed:
            raise StateUnavailable("The state was closed by this process.")
        try:
            yield
        except sqlite3.ProgrammingError:
            raise  # A bug in this module, which an operator can't fix.
        except (sqlite3.Error, OSError) as exc:
            raise translated(exc, self._path, timeout_seconds=timeout_seconds) from exc

    def _connect(
        self, path: Path, timeout_seconds: float, parameters: str = "mode=rw"
    ) -> sqlite3.Connection:
        return sqlite3.connect(
            # No mode that is used creates a file; `_create` does that.
            f"{path.absolute().as_uri()}?{parameters}",
            uri=True,
            timeout=timeout_seconds,
            isolation_level=None,  # `_transaction` begins and ends transactions itself.
            factory=self._connection_class,
        )

    def _create(self) -> None:
        # Created completely under another name, so that no process ever opens a file without
        # tables, and processes that start at the same time use the same file.
        durable.make_private_folder(self._path.parent)
        with (
            suppress(FileExistsError),
            durable.new_file(self._path) as draft,
            closing(self._connect(draft, _BUSY_TIMEOUT_SECONDS)) as connection,
        ):
            connection.executescript(_SCHEMA)
            version = NEW.next()
            connection.execute(
                "INSERT INTO documents (name, body, version, writer) VALUES (?, ?, ?, ?)",
                (
                    schema.DOCUMENT_NAME,
                    schema.schema_document(schema.CURRENT),
                    version.number,
                    version.nonce,
                ),
            )

    def _inspect(self, connection: sqlite3.Connection) -> None:
        """Check once for this object that the file is an undamaged tokensvc state file."""
        if self._inspected:
            return
        (application_id,) = connection.execute("PRAGMA application_id").fetchone()
        (schema_version,) = connection.execute("PRAGMA user_version").fetchone()
        if application_id != APPLICATION_ID:
            raise StateDamaged(
                f"{self._path} is not a tokensvc state file.",
                hint="Set state.url to another file, or move this file away.",
            )
        if schema_version > SCHEMA_VERSION:
            raise SchemaUnsupported(
                f"The state file {self._path} was written by a newer release of tokensvc. It has"
                f" schema version {schema_version}, but this release reads up to version"
                f" {SCHEMA_VERSION}.",
                hint="Install the newer release of tokensvc on this host.",
            )
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise damaged(self._path)
        self._inspected = True


def _version(connection: sqlite3.Connection, name: str) -> Version:
    row = connection.execute(
        "SELECT version, writer FROM documents WHERE name = ?", (name,)
    ).fetchone()
    return NEW if row is None else Version(*row)
