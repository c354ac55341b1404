from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tokensvc.localivs.database import Database
from tokensvc.localivs.errors import DatabaseUnusableError

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
    """The count as a reader sees it."""
    with database.reading() as connection:
        row = connection.execute("SELECT n FROM counts WHERE name = 'a'").fetchone()
    return int(row["n"])


def test_nothing_exists_on_disk_before_first_use(tmp_path: Path) -> None:
    """Making a database opens nothing, so that it may be made before a fork."""
    Database(tmp_path / "state.sqlite3").ensure(COUNTS)
    assert list(tmp_path.iterdir()) == []


def test_a_committed_write_is_there_after_reopening(database: Database) -> None:
    """State outlives the process."""
    with database.transaction() as connection:
        connection.execute("INSERT INTO counts VALUES ('a', 7)")
    database.close()
    again = Database(database.path)
    assert value_of(again) == 7
    again.close()


def test_a_failed_transaction_leaves_nothing_and_the_next_one_works(database: Database) -> None:
    """An exception undoes every write of its transaction, and only those."""
    with database.transaction() as connection:
        connection.execute("INSERT INTO counts VALUES ('a', 1)")

    def fail_half_way() -> None:
        with database.transaction() as connection:
            connection.execute("UPDATE counts SET n = 2")
            raise KeyError("half way")

    with pytest.raises(KeyError):
        fail_half_way()
    assert value_of(database) == 1
    with database.transaction() as connection:
        connection.execute("UPDATE counts SET n = 3")
    assert value_of(database) == 3


def test_a_statement_that_sqlite_refuses_leaves_the_database_usable(database: Database) -> None:
    """A constraint's error comes out as it is, and the next call works."""
    with database.transaction() as connection:
        connection.execute("INSERT INTO counts VALUES ('a', 1)")
    with pytest.raises(sqlite3.IntegrityError), database.transaction() as connection:
        connection.execute("INSERT INTO counts VALUES ('a', 2)")
    assert value_of(database) == 1


def test_a_statement_that_python_refuses_comes_out_as_it_is(database: Database) -> None:
    """Such an error has no name of SQLite's; the next call works."""
    with (
        pytest.raises(sqlite3.ProgrammingError, match="bindings"),
        database.reading() as connection,
    ):
        connection.execute("SELECT ?", ())
    with database.reading() as connection:
        assert connection.execute("SELECT count(*) FROM counts").fetchone()[0] == 0


def test_writes_of_a_reader_are_thrown_away(database: Database) -> None:
    """A reading can't change the state by mistake."""
    with database.transaction() as connection:
        connection.execute("INSERT INTO counts VALUES ('a', 1)")
    with database.reading() as connection:
        connection.execute("UPDATE counts SET n = 2")
    assert value_of(database) == 1


def test_threads_that_count_together_lose_no_count(database: Database) -> None:
    """Transactions of many threads, the first use included, happen one after the other."""

    def count(_: int) -> None:
        with database.transaction() as connection:
            connection.execute(
                "INSERT INTO counts VALUES ('a', 1) ON CONFLICT (name) DO UPDATE SET n = n + 1"
            )

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(count, range(80)))
    assert value_of(database) == 80


def test_tables_promised_late_are_there_for_the_next_use(database: Database) -> None:
    """A room that comes after the first use finds its tables too."""
    with database.reading() as connection:
        connection.execute("SELECT * FROM counts")
    database.ensure("CREATE TABLE IF NOT EXISTS late (n INTEGER) STRICT;")
    with database.reading() as connection:
        assert connection.execute("SELECT count(*) FROM late").fetchone()[0] == 0


def test_commits_are_synced_to_the_disk(database: Database) -> None:
    """WAL with synchronous=FULL (2): a commit survives a power cut."""
    with database.reading() as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2
        assert connection.execute("PRAGMA foreign_keys").fetchone()[0] == 1


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    """The error names the file and the way out; the file keeps its bytes."""
    path = tmp_path / "state.sqlite3"
    path.write_bytes(b"not a database, but long enough to be looked at" * 50)
    with pytest.raises(DatabaseUnusableError, match=r"state\.sqlite3.*move the file away"):
        value_of(Database(path))
    assert path.read_bytes().startswith(b"not a database")


def test_another_programs_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    """A SQLite file without Local IVS's mark is never written to."""
    path = tmp_path / "state.sqlite3"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE theirs (n INTEGER)")
    before = path.read_bytes()
    with pytest.raises(DatabaseUnusableError, match="another program"):
        value_of(Database(path))
    assert path.read_bytes() == before


def test_a_file_that_is_deleted_under_a_running_server_is_begun_anew(database: Database) -> None:
    """The new file bears Local IVS's mark too, so that the next start knows it."""
    with database.transaction() as connection:
        connection.execute("INSERT INTO counts VALUES ('a', 1)")
    database.close()
    database.path.unlink()
    with database.transaction() as connection:
        connection.execute("INSERT INTO counts VALUES ('a', 2)")
    database.close()
    again = Database(database.path)
    assert value_of(again) == 2
    again.close()


def test_a_file_of_a_newer_version_is_refused(database: Database) -> None:
    """An older Local IVS doesn't guess at a newer file."""
    with database.transaction() as connection:
        connection.execute("PRAGMA user_version = 2")
    database.close()
    with pytest.raises(DatabaseUnusableError, match="newer Local IVS"):
        value_of(Database(database.path))


def test_a_damaged_page_is_found_when_the_file_is_opened(database: Database) -> None:
    """Damage is told at the start, not by a wrong answer later."""
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
    with pytest.raises(DatabaseUnusableError, match=r"damaged|malformed"):
        value_of(Database(database.path))


def test_a_full_disk_undoes_the_transaction_and_is_told_clearly(database: Database) -> None:
    """SQLite rolls back by itself; the error names the file, and smaller writes go on."""
    with database.transaction() as connection:
        connection.execute("INSERT INTO counts VALUES ('a', 1)")

    def fill() -> None:
        with database.transaction() as connection:
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count = {pages}")
            connection.execute("UPDATE counts SET n = 2")
            connection.execute("INSERT INTO counts VALUES (?, 0)", ("x" * 1_000_000,))

    with pytest.raises(DatabaseUnusableError, match="full"):
        fill()
    assert value_of(database) == 1
    with database.transaction() as connection:
        connection.execute("UPDATE counts SET n = 3")
    assert value_of(database) == 3


def test_a_folder_that_cannot_be_made_is_told_clearly(tmp_path: Path) -> None:
    """A path through a plain file can't hold the state."""
    (tmp_path / "file").write_text("")
    with pytest.raises(DatabaseUnusableError, match="Give it another folder"):
        value_of(Database(tmp_path / "file" / "state.sqlite3"))
