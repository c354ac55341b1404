"""State in one SQLite file, for all the processes of one host.

SQLite brings atomicity and durability: a write-ahead log, and `synchronous=FULL`, by which a commit
is on the disk before it is acknowledged. Each operation opens a connection of its own, which costs
a fraction of a millisecond: so no handle is shared by threads, carried over a fork, or kept on a
file that has been moved away.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from tokensvc import durable
from tokensvc.clock import Clock
from tokensvc.errors import StateConflict, StateDamaged, StateUnavailable, TokensvcError
from tokensvc.state.base import NEW, Document, Record

# Written into the file's header, so that another program's SQLite file is recognised as such.
APPLICATION_ID = 0x746B7376  # "tksv"
SCHEMA_VERSION = 1
EXPIRED_RECORDS_KEPT_SECONDS = 3_600
"""How long an expired record stays: the clocks of its readers differ, and they judge expiry."""

_BUSY_TIMEOUT_SECONDS = 5.0
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
PRAGMA journal_mode = WAL;
"""


class SqliteState:
    """Implements `State` in the file at `path`, which is made at the first use (0600, folder 0700).

    A file that this object has seen and that vanished is never made again: it was not for us to
    forget what it held.

    Args:
        path: the state file; SQLite keeps two neighbours with the suffixes -wal and -shm.
        clock: tells which records have long expired.
        connection_class: what `sqlite3.connect` makes; tests inject faults through it.
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

    def version(self, name: str) -> int:
        """The document's version, `NEW` when it was never saved.

        Raises:
            StateUnavailable: when the file can't be read now.
            StateDamaged: when it is no state of ours.
        """
        with self._connection() as connection:
            return _version(connection, name)

    def load(self, name: str) -> Document | None:
        """The document, or None when it was never saved.

        Raises:
            StateUnavailable: when the file can't be read now.
            StateDamaged: when it is no state of ours.
        """
        with self._connection() as connection:
            row = connection.execute(
                "SELECT body, version FROM documents WHERE name = ?", (name,)
            ).fetchone()
        return None if row is None else Document(body=row[0], version=row[1])

    def save(self, name: str, body: str, *, replacing: int) -> int:
        """The new version, after `body` has durably taken the place of version `replacing`.

        Raises:
            StateConflict: when the stored version is another; nothing was written.
            StateUnavailable: when the file can't be written now; the save is lost, unless reading
                it back failed as well.
            StateDamaged: when it is no state of ours.
        """
        writer = secrets.token_hex(16)
        try:
            self._replace(name, body, replacing, writer)
        except StateUnavailable:
            # A commit that failed late may have been stored all the same: the writer's nonce tells.
            if not self._is_writer(name, writer):
                raise
        return replacing + 1

    def put(self, kind: str, record: Record) -> None:
        """Store the record durably, in the place of one with the same kind and ID.

        Raises:
            StateUnavailable: when the file can't be written now.
            StateDamaged: when it is no state of ours.
        """
        long_expired = self._clock.now() - EXPIRED_RECORDS_KEPT_SECONDS
        with self._transaction() as connection:
            connection.execute(
                "DELETE FROM records WHERE kind = ? AND expires_at < ?", (kind, long_expired)
            )
            connection.execute(
                "INSERT OR REPLACE INTO records (kind, record_id, body, expires_at)"
                " VALUES (?, ?, ?, ?)",
                (kind, record.record_id, record.body, record.expires_at),
            )
            _count_change(connection, kind)

    def remove(self, kind: str, record_id: str) -> None:
        """Remove the record; nothing happens when there is none.

        Raises:
            StateUnavailable: when the file can't be written now.
            StateDamaged: when it is no state of ours.
        """
        with self._transaction() as connection:
            removed = connection.execute(
                "DELETE FROM records WHERE kind = ? AND record_id = ?", (kind, record_id)
            )
            if removed.rowcount:
                _count_change(connection, kind)

    def record(self, kind: str, record_id: str) -> Record | None:
        """That record, possibly expired, or None when there is none.

        Raises:
            StateUnavailable: when the file can't be read now.
            StateDamaged: when it is no state of ours.
        """
        with self._connection() as connection:
            row = connection.execute(
                "SELECT body, expires_at FROM records WHERE kind = ? AND record_id = ?",
                (kind, record_id),
            ).fetchone()
        return None if row is None else Record(record_id, body=row[0], expires_at=row[1])

    def records(self, kind: str) -> Sequence[Record]:
        """Every record of that kind, by ID, expired ones possibly among them.

        Raises:
            StateUnavailable: when the file can't be read now.
            StateDamaged: when it is no state of ours.
        """
        with self._connection() as connection:
            rows = connection.execute(
                "SELECT record_id, body, expires_at FROM records WHERE kind = ? ORDER BY record_id",
                (kind,),
            ).fetchall()
        return tuple(
            Record(record_id=record_id, body=body, expires_at=expires_at)
            for record_id, body, expires_at in rows
        )

    def records_version(self, kind: str) -> int:
        """A number that grows with each put and remove of that kind.

        Raises:
            StateUnavailable: when the file can't be read now.
            StateDamaged: when it is no state of ours.
        """
        with self._connection() as connection:
            row = connection.execute(
                "SELECT version FROM record_versions WHERE kind = ?", (kind,)
            ).fetchone()
        return 0 if row is None else int(row[0])

    def close(self) -> None:
        """Refuse every later use; there is nothing open between two operations."""
        self._closed = True

    def _replace(self, name: str, body: str, replacing: int, writer: str) -> None:
        with self._transaction() as connection:
            stored = _version(connection, name)
            if stored != replacing:
                raise StateConflict(
                    f"Another process saved the document {name!r} first: it has version {stored},"
                    f" and version {replacing} was to be replaced.",
                    hint="Nothing was written. Do it again: it is decided on what is there now.",
                )
            connection.execute(
                "INSERT OR REPLACE INTO documents (name, body, version, writer)"
                " VALUES (?, ?, ?, ?)",
                (name, body, replacing + 1, writer),
            )

    def _is_writer(self, name: str, writer: str) -> bool:
        with self._connection() as connection:
            row = connection.execute(
                "SELECT writer FROM documents WHERE name = ?", (name,)
            ).fetchone()
        return row is not None and bool(row[0] == writer)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """A connection whose changes are kept together, or not at all when the block raises."""
        with self._connection() as connection:
            # Takes the write lock before the first read, so that nobody writes in between. Closing
            # the connection undoes what was not committed.
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        if self._closed:
            raise StateUnavailable("This process has closed the state.")
        try:
            if not self._inspected and not self._path.exists():
                self._create()
            with closing(self._connect(self._path)) as connection:
                connection.execute("PRAGMA synchronous = FULL")
                if not self._inspected:
                    self._inspect(connection)
                yield connection
        except sqlite3.ProgrammingError:
            raise  # A mistake in this module, which no operator can mend.
        except (sqlite3.Error, OSError) as exc:
            raise self._translated(exc) from exc

    def _connect(self, path: Path) -> sqlite3.Connection:
        return sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=rw",  # Never makes a file: `_create` does.
            uri=True,
            timeout=_BUSY_TIMEOUT_SECONDS,
            isolation_level=None,  # Transactions are begun and ended above.
            factory=self._connection_class,
        )

    def _create(self) -> None:
        # Made whole under another name, so that no process ever meets a file without its tables,
        # and two that begin at once agree on one.
        durable.make_private_folder(self._path.parent)
        with (
            suppress(FileExistsError),
            durable.new_file(self._path) as draft,
            closing(self._connect(draft)) as connection,
        ):
            connection.executescript(_SCHEMA)

    def _inspect(self, connection: sqlite3.Connection) -> None:
        """Return when the file is a sound state of ours: asked once by each object."""
        (application_id,) = connection.execute("PRAGMA application_id").fetchone()
        (schema_version,) = connection.execute("PRAGMA user_version").fetchone()
        if application_id != APPLICATION_ID:
            raise StateDamaged(
                f"The file {self._path} is no state of tokensvc.",
                hint="Name another file in the setting state.url, or move this one away.",
            )
        if schema_version > SCHEMA_VERSION:
            raise StateDamaged(
                f"A newer tokensvc wrote the state file {self._path} (schema version"
                f" {schema_version}; this program reads {SCHEMA_VERSION}).",
                hint="Run that release again, or a later one.",
            )
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise self._damaged()
        self._inspected = True

    def _translated(self, error: sqlite3.Error | OSError) -> TokensvcError:
        # SQLITE_IOERR_FSYNC and its like say more than is needed: the word after SQLITE_ decides.
        name = getattr(error, "sqlite_errorname", "OS_")
        match name.split("_")[1]:
            case "NOTADB" | "CORRUPT":
                return self._damaged()
            case "ERROR":
                return StateDamaged(
                    f"The state file {self._path} lacks tables that every state has.",
                    hint=_RESTORE_HINT,
                )
            case "FULL":
                return StateUnavailable(
                    f"There is no room left to write the state file {self._path}.",
                    hint="Make room on its disk.",
                )
            case "BUSY" | "LOCKED":
                return StateUnavailable(
                    f"Another process has locked the state file {self._path} for more than"
                    f" {_BUSY_TIMEOUT_SECONDS:g} seconds.",
                    hint="Find the program that holds it open, for example with fuser.",
                )
            case _:
                return StateUnavailable(
                    f"The state file {self._path} can't be opened, read or written.",
                    hint="Check that it is there, that this user may read and write it and its"
                    " folder, and that the disk is sound.",
                )

    def _damaged(self) -> StateDamaged:
        return StateDamaged(f"The state file {self._path} is damaged.", hint=_RESTORE_HINT)


def _version(connection: sqlite3.Connection, name: str) -> int:
    row = connection.execute("SELECT version FROM documents WHERE name = ?", (name,)).fetchone()
    return NEW if row is None else int(row[0])


def _count_change(connection: sqlite3.Connection, kind: str) -> None:
    connection.execute(
        "INSERT INTO record_versions (kind, version) VALUES (?, 1)"
        " ON CONFLICT (kind) DO UPDATE SET version = version + 1",
        (kind,),
    )


_RESTORE_HINT = (
    "Stop every process that uses it, move it away together with its neighbours -wal and -shm, and"
    " put a copy back in its place."
)
