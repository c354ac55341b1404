from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from local_ivs.database import Database
from local_ivs.errors import DatabaseUnusableError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COUNTS = "CREATE TABLE IF NOT EXISTS counts (name TEXT PRIMARY KEY, n INTEGER NOT NULL) STRICT;"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A state file with one table."""
    database = Database(tmp_path / "new" / "folder" / "state.sqlite3")
    database.ensure(COUNTS)
    yield database
    database.close()


def value_of(database: Database) -> int:
    """The count, as a reader sees it."""
    with database.reading() as connection:
        row = connection.execute("SELECT n FROM counts WHERE name = 'a'").fetchone()
    return int(row["n"])


def sqlite_error_of(error: pytest.ExceptionInfo[DatabaseUnusableError]) -> str:
    """SQLite's name of the error that made the file unusable; empty if SQLite raised no error."""
    return getattr(error.value.__cause__, "sqlite_errorname", "")


def test_no_file_exists_before_first_use(tmp_path: Path) -> None:
    """Creating a Database opens no file, so it can be created before a fork."""
    Database(tmp_path / "state.sqlite3").ensure(COUNTS)
    assert list(tmp_path.iterdir()) == []


def test_a_committed_write_is_present_after_reopening(database: Database) -> None:
    """State survives the process."""
    with database.transaction() as connection:
        connection.execute("INSERT INTO counts VALUES ('a', 7)")
    database.close()
    reopened = Database(database.path)
    assert value_of(reopened) == 7
    reopened.close()


def test_a_failed_transaction_is_rolled_back_and_the_next_one_works(database: Database) -> None:
    """An exception rolls back every write of its transaction, and no others."""
    with database.transaction() as connection:
        connection.execute("INSERT INTO counts VALUES ('a', 1)")

    def fail_after_a_write() -> None:
        with database.transaction() as connection:
            connection.execute("UPDATE counts SET n = 2")
            raise KeyError("planned")

    with pytest.raises(KeyError):
        fail_after_a_write()
    assert value_of(database) == 1
    with database.transaction() as connection:
        connection.execute("UPDATE counts SET n = 3")
    assert value_of(database) == 3


def test_a_statement_that_sqlite_refuses_leaves_the_database_usable(database: Database) -> None:
    """A constraint error is raised unchanged, and the next call works."""
    with database.transaction() as connection:
        connection.execute("INSERT INTO counts VALUES ('a', 1)")
    with pytest.raises(sqlite3.IntegrityError), database.transaction() as connection:
        connection.execute("INSERT INTO counts VALUES ('a', 2)")
    assert value_of(database) == 1


def test_an_error_of_the_sqlite3_module_is_raised_unchanged(database: Database) -> None:
    """Such an error has no `sqlite_errorname`; the next call works."""
    with (
        pytest.raises(sqlite3.ProgrammingError) as caught,
        database.reading() as connection,
    ):
        connection.execute("SELECT ?", ())
    assert not hasattr(caught.value, "sqlite_errorname")
    with database.reading() as connection:
        assert connection.execute("SELECT count(*) FROM counts").fetchone()[0] == 0


def test_writes_of_a_reader_are_rolled_back(database: Database) -> None:
    """Reading can't change the state by mistake."""
    with database.transaction() as connection:
        connection.execute("INSERT INTO counts VALUES ('a', 1)")
    with database.reading() as connection:
        connection.execute("UPDATE counts SET n = 2")
    assert value_of(database) == 1


def test_concurrent_transactions_lose_no_write(database: Database) -> None:
    """The transactions of several threads run one after another, including the first use."""

    def count(_: int) -> None:
        with database.transaction() as connection:
            connection.execute(
                "INSERT INTO counts VALUES ('a', 1) ON CONFLICT (name) DO UPDATE SET n = n + 1"
            )

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(count, range(80)))
    assert value_of(database) == 80


def test_tables_defined_after_the_first_use_exist_at_the_next_use(database: Database) -> None:
    """`ensure` also works on a database that is already open."""
    with database.reading() as connection:
        connection.execute("SELECT * FROM counts")
    database.ensure("CREATE TABLE IF NOT EXISTS late (n INTEGER) STRICT;")
    with database.reading() as connection:
        assert connection.execute("SELECT count(*) FROM late").fetchone()[0] == 0


def test_tables_defined_while_a_connection_is_in_use_exist_at_the_next_use(
    database: Database,
) -> None:
    """That connection doesn't have them, so it is not used again."""
    with database.reading():
        database.ensure("CREATE TABLE IF NOT EXISTS late (n INTEGER) STRICT;")
    with database.reading() as connection:
        assert connection.execute("SELECT count(*) FROM late").fetchone()[0] == 0


def test_a_connection_in_use_is_closed_after_its_use(database: Database) -> None:
    """`close` lets the use finish, and nothing stays open."""
    with database.transaction() as connection:
        connection.execute("INSERT INTO counts VALUES ('a', 7)")
        database.close()
        connection.execute("UPDATE counts SET n = 8")
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        connection.execute("SELECT 1")
    assert value_of(database) == 8


def test_a_use_after_the_close_leaves_nothing_open(database: Database) -> None:
    """Such as that of a request that a fault made slow, when its test has ended."""
    database.close()
    with database.reading() as connection:
        connection.execute("SELECT * FROM counts")
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        connection.execute("SELECT 1")


def test_commits_are_synced_to_the_disk(database: Database) -> None:
    """WAL with synchronous=FULL (2): a commit survives a power cut."""
    with database.reading() as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2
        assert connection.execute("PRAGMA foreign_keys").fetchone()[0] == 1


def test_a_file_that_is_not_a_database_is_refused_and_unchanged(tmp_path: Path) -> None:
    """The error names the file; the file keeps its bytes."""
    path = tmp_path / "state.sqlite3"
    path.write_bytes(b"not a database, but long enough to be looked at" * 50)
    with pytest.raises(DatabaseUnusableError) as caught:
        value_of(Database(path))
    assert str(path) in str(caught.value)
    assert path.read_bytes().startswith(b"not a database")


@pytest.mark.parametrize("application_id", [0, 987654])
def test_a_database_of_another_program_is_refused_and_unchanged(
    tmp_path: Path, application_id: int
) -> None:
    """An SQLite file without Local IVS's application ID is never written to."""
    path = tmp_path / "state.sqlite3"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE theirs (n INTEGER)")
        connection.execute(f"PRAGMA application_id = {application_id}")
    before = path.read_bytes()
    with pytest.raises(DatabaseUnusableError, match=rf" {application_id}\)"):
        value_of(Database(path))
    assert path.read_bytes() == before


def test_a_file_deleted_under_a_running_server_is_created_again(database: Database) -> None:
    """The new file has Local IVS's application ID too, so that the next start accepts it."""
    with database.transaction() as connection:
        connection.execute("INSERT INTO counts VALUES ('a', 1)")
    database.close()
    database.path.unlink()
    with database.transaction() as connection:
        connection.execute("INSERT INTO counts VALUES ('a', 2)")
    database.close()
    reopened = Database(database.path)
    assert value_of(reopened) == 2
    reopened.close()


@pytest.mark.parametrize("version", [2, 987654])
def test_a_file_of_a_newer_version_is_refused(database: Database, version: int) -> None:
    """An older Local IVS doesn't try to read a newer file."""
    with database.transaction() as connection:
        connection.execute(f"PRAGMA user_version = {version}")
    database.close()
    with pytest.raises(DatabaseUnusableError, match=rf" {version},"):
        value_of(Database(database.path))


def test_a_damaged_page_is_found_when_the_file_is_opened(database: Database) -> None:
    """Damage is reported at the start, not by wrong results later."""
    with database.transaction() as connection:
        connection.executemany(
            "INSERT INTO counts VALUES (?, ?)", [(f"name-{i}", i) for i in range(2000)]
        )
    with database.reading() as connection:
        connection.execute("SELECT 1")
    database.close()
    contents = bytearray(database.path.read_bytes())
    contents[8192:12288] = b"\xff" * 4096
    database.path.write_bytes(contents)
    with pytest.raises(DatabaseUnusableError) as caught:
        value_of(Database(database.path))
    # PRAGMA quick_check names the page; some releases of SQLite raise an error instead.
    assert "Page 3" in str(caught.value) or sqlite_error_of(caught) == "SQLITE_CORRUPT"


def test_a_full_disk_rolls_the_transaction_back(database: Database) -> None:
    """SQLite rolls back by itself; the error names the file, and smaller writes still succeed."""
    with database.transaction() as connection:
        connection.execute("INSERT INTO counts VALUES ('a', 1)")

    def fill() -> None:
        with database.transaction() as connection:
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count = {pages}")
            connection.execute("UPDATE counts SET n = 2")
            connection.execute("INSERT INTO counts VALUES (?, 0)", ("x" * 1_000_000,))

    with pytest.raises(DatabaseUnusableError) as caught:
        fill()
    assert sqlite_error_of(caught) == "SQLITE_FULL"
    assert str(database.path) in str(caught.value)
    assert value_of(database) == 1
    with database.transaction() as connection:
        connection.execute("UPDATE counts SET n = 3")
    assert value_of(database) == 3


def test_a_folder_that_cannot_be_created_is_refused(tmp_path: Path) -> None:
    """A path through a regular file can't hold the state; the error names `--data`."""
    (tmp_path / "file").write_text("")
    with pytest.raises(DatabaseUnusableError, match="--data"):
        value_of(Database(tmp_path / "file" / "state.sqlite3"))
