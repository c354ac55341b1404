"""Viewers who were thrown out: up to which session version, on which channel.

A revocation is a line for a viewer of a channel: sessions of that version or below stop and can't
start again (IVS: private-channels-start-session-revocation). It is kept for good: AWS doesn't say
how long it keeps one.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

SCHEMA = """
CREATE TABLE IF NOT EXISTS viewer_revocations (
    channel_arn TEXT NOT NULL,
    viewer_id TEXT NOT NULL,
    versions_up_to INTEGER NOT NULL,
    revoked_at REAL NOT NULL, -- Unix seconds
    PRIMARY KEY (channel_arn, viewer_id)
) STRICT, WITHOUT ROWID;
"""


@dataclass(frozen=True)
class Revocation:
    """A viewer whose sessions up to and including a version are dead on a channel."""

    channel_arn: str
    viewer_id: str
    versions_up_to: int
    revoked_at: float


def revoke(connection: sqlite3.Connection, revocation: Revocation) -> None:
    """Draw the line. It isn't drawn back: of two revocations the higher version stands."""
    connection.execute(
        "INSERT INTO viewer_revocations (channel_arn, viewer_id, versions_up_to, revoked_at)"
        " VALUES (?, ?, ?, ?)"
        " ON CONFLICT (channel_arn, viewer_id) DO UPDATE SET"
        " versions_up_to = max(versions_up_to, excluded.versions_up_to),"
        " revoked_at = excluded.revoked_at",
        astuple(revocation),
    )


def is_revoked(
    connection: sqlite3.Connection, channel_arn: str, viewer_id: str | None, version: int
) -> bool:
    """Whether the viewer's sessions of this version are dead; nobody revokes a nameless one."""
    row = connection.execute(
        "SELECT 1 FROM viewer_revocations"
        " WHERE channel_arn = ? AND viewer_id = ? AND ? <= versions_up_to",
        (channel_arn, viewer_id, version),
    ).fetchone()
    return row is not None


def all_revocations(connection: sqlite3.Connection) -> tuple[Revocation, ...]:
    """Every revocation, newest first."""
    rows = connection.execute(
        "SELECT channel_arn, viewer_id, versions_up_to, revoked_at"
        " FROM viewer_revocations ORDER BY revoked_at DESC, channel_arn, viewer_id"
    ).fetchall()
    return tuple(Revocation(*row) for row in rows)
