"""Who was let in: playback sessions and used tokens, in Local IVS's state.

A good token opens a session; the URLs of its playlists and segments carry the session's ID in place
of the token (IVS: private-channels-session-protection). A session ends when nobody has asked for a
playlist in `IDLE_SECONDS`, or down to half of them, or at once when its viewer is revoked. The
token's own expiry ends none.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from tokensvc.localivs.edge import revocations
from tokensvc.localivs.edge.origins import OriginRule
from tokensvc.localivs.edge.refusals import (
    SessionUnknownError,
    TokenUsedError,
    ViewerRevokedError,
)
from tokensvc.localivs.edge.segments import Resolution

if TYPE_CHECKING:
    import sqlite3

    from tokensvc.localivs.database import Database
    from tokensvc.localivs.edge.verifier import Admission

SCHEMA = """
CREATE TABLE IF NOT EXISTS playback_sessions (
    id TEXT PRIMARY KEY,
    channel_arn TEXT NOT NULL,
    viewer_id TEXT, -- null when the token named no viewer; so nobody can revoke the session
    viewer_session_version INTEGER NOT NULL,
    allowed_origins TEXT, -- the claim as it was; null when it was absent
    strict_origins INTEGER NOT NULL,
    maximum_resolution TEXT NOT NULL,
    created_at REAL NOT NULL, -- Unix seconds, as the other times
    expires_at REAL NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS playback_sessions_by_expiry ON playback_sessions (expires_at);

CREATE VIEW IF NOT EXISTS sessions_not_revoked AS
SELECT * FROM playback_sessions AS session
WHERE NOT EXISTS (
    SELECT 1 FROM viewer_revocations AS revocation
    WHERE revocation.channel_arn = session.channel_arn
    AND revocation.viewer_id = session.viewer_id
    AND session.viewer_session_version <= revocation.versions_up_to
);

CREATE TABLE IF NOT EXISTS used_tokens (
    channel_arn TEXT NOT NULL,
    single_use_uuid TEXT NOT NULL, -- in lower case
    expires_at REAL NOT NULL, -- when its token expires: from then on nothing needs the row
    PRIMARY KEY (channel_arn, single_use_uuid)
) STRICT, WITHOUT ROWID;
"""

ID_BYTES = 18  # 144 bits that nobody guesses, as 24 characters in a URL.
IDLE_SECONDS = 300.0
REVOKED = "This viewer's sessions were revoked up to this version: ask for a new playback URL."


@dataclass(frozen=True, kw_only=True)
class Session:
    """A viewer's way to one channel's stream; times in Unix seconds."""

    id: str
    channel_arn: str
    viewer_id: str | None
    viewer_session_version: int
    origin_rule: OriginRule
    maximum_resolution: Resolution
    created_at: float
    expires_at: float

    @classmethod
    def of_row(cls, row: sqlite3.Row) -> Self:
        """The session that a row of `playback_sessions` holds."""
        return cls(
            id=row["id"],
            channel_arn=row["channel_arn"],
            viewer_id=row["viewer_id"],
            viewer_session_version=row["viewer_session_version"],
            origin_rule=OriginRule(row["allowed_origins"], bool(row["strict_origins"])),
            maximum_resolution=Resolution[row["maximum_resolution"]],
            created_at=row["created_at"],
            expires_at=row["expires_at"],
        )


class Sessions:
    """The playback sessions of all channels."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.ensure(revocations.SCHEMA)
        database.ensure(SCHEMA)

    def open(self, channel_arn: str, admission: Admission | None, now: float) -> Session:
        """Open a session, and use up the token if it was for a single use: both or neither.

        Args:
            channel_arn: The channel.
            admission: What the token grants; None for a public channel.
            now: Unix seconds.

        Raises:
            ViewerRevokedError: the viewer is revoked at this version.
            TokenUsedError: the token was for a single use and has been used.
        """
        session = Session(
            id=secrets.token_urlsafe(ID_BYTES),
            channel_arn=channel_arn,
            viewer_id=admission.viewer_id if admission else None,
            viewer_session_version=admission.viewer_session_version if admission else 0,
            origin_rule=admission.origin_rule if admission else OriginRule(),
            maximum_resolution=(admission.maximum_resolution if admission else max(Resolution)),
            created_at=now,
            expires_at=now + IDLE_SECONDS,
        )
        with self._database.transaction() as connection:
            _purge(connection, now)
            _refuse_revoked(connection, session)
            if admission is not None and admission.single_use_uuid is not None:
                _use_up(connection, channel_arn, admission.single_use_uuid, admission.expires_at)
            connection.execute(
                "INSERT INTO playback_sessions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    session.id,
                    session.channel_arn,
                    session.viewer_id,
                    session.viewer_session_version,
                    session.origin_rule.allowed,
                    session.origin_rule.strict,
                    session.maximum_resolution.name,
                    session.created_at,
                    session.expires_at,
                ),
            )
        return session

    def get(self, session_id: str, now: float) -> Session:
        """The session of this ID.

        Raises:
            SessionUnknownError: there is none, or it has expired.
            ViewerRevokedError: its viewer was revoked at this version or a later one.
        """
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT * FROM playback_sessions WHERE id = ? AND ? < expires_at",
                (session_id, now),
            ).fetchone()
            if row is None:
                raise SessionUnknownError(
                    "This playback session has ended: ask for a new playback URL."
                )
            session = Session.of_row(row)
            _refuse_revoked(connection, session)
        return session

    def keep_alive(self, session: Session, now: float) -> None:
        """Put off the session's end, since its viewer still watches.

        Only in the second half of its time, so that most playlists cost no write.
        """
        if session.expires_at - now > IDLE_SECONDS / 2:
            return
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE playback_sessions SET expires_at = max(expires_at, ?) WHERE id = ?",
                (now + IDLE_SECONDS, session.id),
            )

    def current(self, now: float) -> tuple[Session, ...]:
        """The sessions that are neither expired nor revoked, newest first."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT * FROM sessions_not_revoked WHERE ? < expires_at"
                " ORDER BY created_at DESC, id",
                (now,),
            ).fetchall()
        return tuple(map(Session.of_row, rows))


def viewer_count(connection: sqlite3.Connection, channel_arn: str, now: float) -> int:
    """How many watch the channel: its playback sessions that are neither expired nor revoked."""
    row = connection.execute(
        "SELECT count(*) FROM sessions_not_revoked WHERE channel_arn = ? AND ? < expires_at",
        (channel_arn, now),
    ).fetchone()
    return int(row[0])


def _purge(connection: sqlite3.Connection, now: float) -> None:
    connection.execute("DELETE FROM playback_sessions WHERE expires_at <= ?", (now,))
    connection.execute("DELETE FROM used_tokens WHERE expires_at <= ?", (now,))


def _refuse_revoked(connection: sqlite3.Connection, session: Session) -> None:
    if revocations.is_revoked(
        connection, session.channel_arn, session.viewer_id, session.viewer_session_version
    ):
        raise ViewerRevokedError(REVOKED)


def _use_up(
    connection: sqlite3.Connection, channel_arn: str, single_use_uuid: str, expires_at: float
) -> None:
    used = connection.execute(
        "INSERT INTO used_tokens VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        (channel_arn, single_use_uuid.lower(), expires_at),
    )
    if used.rowcount == 0:
        raise TokenUsedError("This playback URL was for a single use: ask for a new one.")
