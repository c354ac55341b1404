"""Revoked viewers: for each viewer of a channel, the highest revoked session version.

Sessions of that version or lower stop and can't start again
(IVS: private-channels-start-session-revocation). A revocation is stored permanently, because AWS
doesn't document how long IVS stores one.
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
    """A viewer's sessions on a channel are revoked up to and including `versions_up_to`.

    `revoked_at` is in Unix seconds.
    """

    channel_arn: str
    viewer_id: str
    versions_up_to: int
    revoked_at: float


def revoke(connection: sqlite3.Connection, revocation: Revocation) -> None:
    """Store a revocation. If the viewer is revoked already, the higher version applies."""
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
    """Whether the viewer's sessions of this version are revoked. Without a viewer ID, never."""
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
