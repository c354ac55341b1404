"""A copy of a folder of databases and files, with which a test begins.

Making an active key pair and a standby as an operator does takes a tenth of a second of work, and
hundreds of tests begin with them. So that is done once in each test process, and copied.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_DATABASES = (".sqlite3", ".db")
_PARTS_OF_DATABASES = ("-wal", "-shm")


@dataclass(frozen=True)
class Snapshot:
    """The files below a folder, by their paths in it.

    Attributes:
        databases: SQLite databases in memory.
        files: the bytes of all other files.
    """

    databases: Mapping[Path, sqlite3.Connection]
    files: Mapping[Path, bytes]

    @classmethod
    def of(cls, folder: Path) -> Self:
        """A copy of the folder, whose databases may be open."""
        paths = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
        paths = [path for path in paths if not path.name.endswith(_PARTS_OF_DATABASES)]
        databases = {}
        for path in paths:
            if path.suffix in _DATABASES:
                databases[path] = sqlite3.connect(":memory:")
                with closing(sqlite3.connect(folder / path)) as connection:
                    connection.backup(databases[path])
        files = {path: (folder / path).read_bytes() for path in paths if path not in databases}
        return cls(databases, files)

    def restore(self, folder: Path) -> None:
        """Write everything into another folder, whose databases may be open."""
        for path in (*self.databases, *self.files):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
        for path, database in self.databases.items():
            with closing(sqlite3.connect(folder / path)) as connection:
                database.backup(connection)
        for path, content in self.files.items():
            (folder / path).write_bytes(content)

    def close(self) -> None:
        """Close the databases."""
        for database in self.databases.values():
            database.close()
