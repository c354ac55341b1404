"""The state in one SQLite file, shared by all processes of one host.

SQLite provides atomicity and durability with a write-ahead log and `synchronous=FULL`: a commit is
on the disk before it is acknowledged. Each operation opens its own connection, which costs a
fraction of a millisecond. So no handle is shared between threads, inherited across a fork, or open
on a file that has been moved away. Reads go on where nothing can be written: `sqlite_reading`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from tokensvc import durable
from tokensvc.clock import Clock
from tokensvc.errors import BackupRefused, StateConflict, StateDamaged, StateUnavailable
from tokensvc.state import schema, sqlite_reading
from tokensvc.state.base import (
    NEW,
    Contents,
    Document,
    Record,
    Version,
)
from tokensvc.state.sqlite_errors import require_regular_file, translated
from tokensvc.state.sqlite_tables import (
    contents_of,
    create_tables,
    prune_records,
    put_records,
    records_with,
    replace_contents,
    require_integrity,
    require_state_file,
    save_document,
    stored_document,
    stored_version,
)
from tokensvc.waiting import may_wait

T = TypeVar("T")

RECORD_TIMEOUT_SECONDS = 1.0
PUT_IF_TIMEOUT_SECONDS = 0.5
_BUSY_TIMEOUT_SECONDS = 5.0


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
                with suppress(FileExistsError):
                    self._make(_empty_state())

    def version(self, name: str) -> Version:
        """The document's version, `NEW` when it was never saved.

        Raises:
            StateUnavailable: when the file can't be read now.
            StateDamaged: when the file is damaged or is not a tokensvc state file.
        """
        return self._read(lambda connection: stored_version(connection, name) or NEW)

    def load(self, name: str) -> Document | None:
        """The document, or None when it was never saved.

        Raises:
            StateUnavailable: when the file can't be read now.
            StateDamaged: when the file is damaged or is not a tokensvc state file.
        """
        return self._read(lambda connection: stored_document(connection, name))

    def versions(self) -> Mapping[str, Version]:
        """The version of each document, by name, sorted.

        Raises:
            StateUnavailable: when the file can't be read now.
            StateDamaged: when the file is damaged or is not a tokensvc state file.
        """
        sql = "SELECT name, version, writer FROM documents ORDER BY name"
        rows = self._read(lambda connection: connection.execute(sql).fetchall())
        return {name: Version(*version) for name, *version in rows}

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
        with self._transaction() as connection:
            prune_records(connection, kind, self._clock.now())
            put_records(connection, kind, records)

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
        the whole file locked, and here for at most `RECORD_TIMEOUT_SECONDS`.

        Raises:
            StateUnavailable: when the file can't be read now.
            StateDamaged: when the file is damaged or is not a tokensvc state file.
        """
        return next(iter(self.read_many(kind, [record_id])), None)

    def read_many(self, kind: str, record_ids: Collection[str]) -> Sequence[Record]:
        """Those of the records that there are. Some may have expired. Waits as `record` does.

        Raises:
            StateUnavailable, StateDamaged: as `record` does.
        """
        return self._read(
            lambda connection: records_with(connection, kind, record_ids), RECORD_TIMEOUT_SECONDS
        )

    def put_if(self, kind: str, record: Record, *, replacing: Record | None) -> bool:
        """Store the record if the one with its ID is `replacing`, by its body.

        Waits for at most `PUT_IF_TIMEOUT_SECONDS` while another process writes.

        Raises:
            StateUnavailable: when the file can't be written now.
            StateDamaged: when the file is damaged or is not a tokensvc state file.
        """
        with self._transaction(PUT_IF_TIMEOUT_SECONDS) as connection:
            stored = [each.body for each in records_with(connection, kind, [record.record_id])]
            is_expected = stored == ([] if replacing is None else [replacing.body])
            if is_expected:
                put_records(connection, kind, [record])
                prune_records(connection, kind, self._clock.now())
        return is_expected

    def records(self, kind: str) -> Sequence[Record]:
        """Every record of that kind, by ID. Some may have expired.

        Raises:
            StateUnavailable: when the file can't be read now.
            StateDamaged: when the file is damaged or is not a tokensvc state file.
        """
        sql = "SELECT record_id, body, expires_at FROM records WHERE kind = ? ORDER BY record_id"
        rows = self._read(lambda connection: connection.execute(sql, (kind,)).fetchall())
        return [Record(record_id, body, expires_at) for record_id, body, expires_at in rows]

    def exists(self) -> bool:
        """Whether there is a file, in any condition."""
        return self._path.exists()

    def contents(self) -> Contents:
        """Everything in the file, as it was at one moment. Every page is checked.

        Raises:
            StateUnavailable: when the file can't be read now.
            StateDamaged: when the file is damaged or is not a tokensvc state file.
        """
        with closing(self._copy()) as copy:
            return contents_of(copy)

    def back_up(self, file: Path) -> Contents:
        """Copy the state to a new file, mode 0600, and return what is in the copy.

        The copy has the state of one moment, while other processes go on. It is one file without a
        log, and it is on the disk when this returns.

        Raises:
            BackupRefused: when `file` exists or can't be written.
            StateUnavailable: when the state can't be read now.
            StateDamaged: when the state is damaged; a backup of it could not be restored.
        """
        with closing(self._copy()) as copy:
            try:
                with durable.new_file(file) as draft, closing(sqlite3.connect(draft)) as connection:
                    copy.backup(connection)
                    connection.execute("PRAGMA journal_mode = DELETE")
            except FileExistsError as exc:
                raise BackupRefused(
                    f"{file} already exists. It was not changed.", hint="Choose another file."
                ) from exc
            except (OSError, sqlite3.Error) as exc:
                reason = exc.strerror if isinstance(exc, OSError) else exc
                raise BackupRefused(
                    f"The backup {file} can't be written ({reason}).",
                    hint="Choose a file in a folder that exists, that this user can write, and"
                    " whose disk has space.",
                ) from exc
            return contents_of(copy)

    def restore(self, contents: Contents, *, replace: bool) -> None:
        """Store these contents, and no others. After a crash there are the old or the new ones.

        With `replace`, an existing file gets them in one transaction, while other processes use it.

        Raises:
            BackupRefused: when the file exists, and `replace` is not set. Nothing was written.
            StateUnavailable: when the file can't be written now.
            StateDamaged: when the existing file is damaged or is not a tokensvc state file.
        """
        if replace and self.exists():
            with self._transaction() as connection:
                replace_contents(connection, contents)
            return
        with self._errors_translated(_BUSY_TIMEOUT_SECONDS):
            try:
                self._make(contents)
            except FileExistsError as exc:
                raise BackupRefused(
                    f"The state file {self._path} exists. It was not changed.",
                    hint="To replace what is in it, add --replace.",
                ) from exc

    def _copy(self) -> sqlite3.Connection:
        """A copy in memory, so that an error of the state is not one of the backup's disk."""
        copy = sqlite3.connect(":memory:", isolation_level=None)
        try:
            self._read(lambda connection: connection.backup(copy))
            require_integrity(copy, self._path)
        except BaseException:
            copy.close()
            raise
        return copy

    def close(self) -> None:
        """Refuse every later operation. Nothing is open between two operations."""
        self._closed = True

    def _replace(self, name: str, body: str, replacing: Version, saved: Version) -> None:
        with self._transaction() as connection:
            stored = stored_version(connection, name) or NEW
            if stored != replacing:
                raise StateConflict(
                    f"Another process saved the document {name!r} first, or restored a backup: the"
                    f" stored version is {stored.number} ({stored.nonce}), but this save replaces"
                    f" version {replacing.number} ({replacing.nonce}). Nothing was written.",
                    hint="Run the command again. It will use the stored version.",
                )
            save_document(connection, name, Document(body, saved))

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
    def _transaction(self, timeout_seconds: float | None = None) -> Iterator[sqlite3.Connection]:
        """A connection in a transaction, which is rolled back when the block raises."""
        seconds = _BUSY_TIMEOUT_SECONDS if timeout_seconds is None else timeout_seconds
        with (
            self._errors_translated(seconds),
            closing(self._connect(self._path, seconds)) as connection,
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
        require_regular_file(path)
        return sqlite3.connect(
            # No mode that is used creates a file; `_make` does that.
            f"{path.absolute().as_uri()}?{parameters}",
            uri=True,
            timeout=timeout_seconds,
            isolation_level=None,  # `_transaction` begins and ends transactions itself.
            factory=self._connection_class,
        )

    def _make(self, contents: Contents) -> None:
        # Created completely under another name, so that no process ever opens a file without
        # tables, and processes that start at the same time use the same file.
        durable.make_private_folder(self._path.parent)
        self._require_no_log()
        with (
            durable.new_file(self._path) as draft,
            closing(self._connect(draft, _BUSY_TIMEOUT_SECONDS)) as connection,
        ):
            create_tables(connection)
            replace_contents(connection, contents)

    def _require_no_log(self) -> None:
        """Check that no log of a file that was moved away would become one of the new file."""
        logs = [self._path.with_name(f"{self._path.name}-{suffix}") for suffix in ("wal", "shm")]
        # In this order: a file that another process creates meanwhile exists before its log.
        left = [str(log) for log in logs if log.exists()]
        if left and not self._path.exists():
            raise StateDamaged(
                f"The state file {self._path} does not exist, but its log does:"
                f" {', '.join(left)}. It would damage a new file.",
                hint="Stop every process that uses the state, and move the log to where the file"
                " was moved.",
            )

    def _inspect(self, connection: sqlite3.Connection) -> None:
        """Check once for this object that the file is an undamaged tokensvc state file."""
        if self._inspected:
            return
        require_state_file(connection, self._path)
        self._inspected = True


def _empty_state() -> Contents:
    document = Document(schema.schema_document(schema.CURRENT), NEW.next())
    return Contents({schema.DOCUMENT_NAME: document})
