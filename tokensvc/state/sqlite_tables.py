"""The tables of the SQLite state file: created, checked, and read or written as a whole."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Sequence
from pathlib import Path

from tokensvc.errors import SchemaUnsupported, StateDamaged
from tokensvc.state.base import (
    EXPIRED_RECORD_RETENTION_SECONDS,
    Contents,
    Document,
    Record,
    Version,
)
from tokensvc.state.sqlite_errors import damaged

# Stored in the file header, so that an SQLite file of another program is recognized.
APPLICATION_ID = 0x746B7376  # "tksv"
SCHEMA_VERSION = 1

MAX_PRUNED = 1_000
"""How many expired records are deleted at once, so that the transaction stays short."""

# Created where it is missing, without a new schema version: SQLite itself keeps an index up to
# date, so that an earlier program can use the file too.
EXPIRY_INDEX = "CREATE INDEX IF NOT EXISTS records_by_expiry ON records (kind, expires_at)"
# `record_versions` is no longer read or written. It stays, because an earlier program that uses
# the same file counts the changes of records in it.
_TABLES = f"""
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
{EXPIRY_INDEX};
PRAGMA journal_mode = WAL;
"""
_SAVE_DOCUMENT = """
INSERT OR REPLACE INTO documents (name, body, version, writer) VALUES (?, ?, ?, ?)
"""
PRUNE = """
DELETE FROM records WHERE rowid IN (
    SELECT rowid FROM records WHERE kind = ? AND expires_at < ? LIMIT ?
)
"""
_READ_RECORDS = """
SELECT record_id, body, expires_at FROM records
WHERE kind = ? AND record_id IN (SELECT value FROM json_each(?))
"""
_PUT_RECORD = """
INSERT OR REPLACE INTO records (kind, record_id, body, expires_at) VALUES (?, ?, ?, ?)
"""


def create_tables(connection: sqlite3.Connection) -> None:
    """Make an empty file a state file without documents and records."""
    connection.executescript(_TABLES)


def require_state_file(connection: sqlite3.Connection, path: Path) -> None:
    """Check that the file is a tokensvc state file that this release can use.

    Raises:
        StateDamaged: when it is damaged or is not a tokensvc state file.
        SchemaUnsupported: when a newer release wrote it.
    """
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    (schema_version,) = connection.execute("PRAGMA user_version").fetchone()
    if application_id != APPLICATION_ID:
        raise StateDamaged(
            f"{path} is not a tokensvc state file.",
            hint="Set state.url to another file, or move this file away.",
        )
    if schema_version > SCHEMA_VERSION:
        raise SchemaUnsupported(
            f"The state file {path} was written by a newer release of tokensvc. It has"
            f" schema version {schema_version}, but this release reads up to version"
            f" {SCHEMA_VERSION}.",
            hint="Install the newer release of tokensvc on this host.",
        )
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise damaged(path)


def require_integrity(connection: sqlite3.Connection, path: Path) -> None:
    """Check every page and every index of the file: slower than `require_state_file`.

    Raises:
        StateDamaged: when any is damaged.
    """
    (verdict,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if verdict != "ok":
        raise damaged(path)


def stored_version(connection: sqlite3.Connection, name: str) -> Version | None:
    """The version of the document, or None when it was never saved."""
    row = connection.execute(
        "SELECT version, writer FROM documents WHERE name = ?", (name,)
    ).fetchone()
    return None if row is None else Version(*row)


def stored_document(connection: sqlite3.Connection, name: str) -> Document | None:
    """The document, or None when it was never saved."""
    row = connection.execute(
        "SELECT body, version, writer FROM documents WHERE name = ?", (name,)
    ).fetchone()
    return None if row is None else Document(row[0], Version(row[1], row[2]))


def save_document(connection: sqlite3.Connection, name: str, document: Document) -> None:
    """Store the document, without a comparison of versions."""
    version = document.version
    connection.execute(_SAVE_DOCUMENT, (name, document.body, version.number, version.nonce))


def records_with(
    connection: sqlite3.Connection, kind: str, record_ids: Collection[str]
) -> Sequence[Record]:
    """Those of the records that there are."""
    rows = connection.execute(_READ_RECORDS, (kind, json.dumps(list(record_ids))))
    return [Record(record_id, body, expires_at) for record_id, body, expires_at in rows]


def prune_records(connection: sqlite3.Connection, kind: str, now: float) -> None:
    """Delete records of that kind that have long expired at that time, `MAX_PRUNED` at most."""
    before = now - EXPIRED_RECORD_RETENTION_SECONDS
    connection.execute(EXPIRY_INDEX)  # A file of an earlier program may not have it yet.
    connection.execute(PRUNE, (kind, before, MAX_PRUNED))


def put_records(connection: sqlite3.Connection, kind: str, records: Sequence[Record]) -> None:
    """Store the records. Each replaces the one with its kind and ID."""
    connection.executemany(
        _PUT_RECORD, [(kind, each.record_id, each.body, each.expires_at) for each in records]
    )


def contents_of(connection: sqlite3.Connection) -> Contents:
    """Everything in the file."""
    documents = connection.execute("SELECT name, body, version, writer FROM documents")
    records = connection.execute("SELECT kind, record_id, body, expires_at FROM records")
    return Contents(
        {name: Document(body, Version(*version)) for name, body, *version in documents},
        tuple((kind, Record(*record)) for kind, *record in records),
    )


def replace_contents(connection: sqlite3.Connection, contents: Contents) -> None:
    """Store these documents and records, and no others."""
    connection.execute("DELETE FROM documents")
    connection.execute("DELETE FROM records")
    for name, document in contents.documents.items():
        save_document(connection, name, document)
    for kind, record in contents.records:
        put_records(connection, kind, [record])
