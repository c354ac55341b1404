"""Playback sessions and used single-use tokens, in Local IVS's state.

A valid token opens a session. The URLs of the session's playlists and segments carry the session ID
instead of the token (IVS: private-channels-session-protection). A session continues after its token
has expired. It ends at once when its viewer is revoked, and expires when its player requests no
playlist for `IDLE_SECONDS`. Because not every request extends it, it can expire earlier, but not
before 50 % of `IDLE_SECONDS`.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from local_ivs.edge import revocations
from local_ivs.edge.origins import OriginRule
from local_ivs.edge.refusals import (
    SessionUnknownError,
    TokenUsedError,
    ViewerRevokedError,
)
from local_ivs.edge.segments import Resolution

if TYPE_CHECKING:
    import sqlite3

    from local_ivs.database import Database
    from local_ivs.edge.verifier import Admission

SCHEMA = """
CREATE TABLE IF NOT EXISTS playback_sessions (
    id TEXT PRIMARY KEY,
    channel_arn TEXT NOT NULL,
    viewer_id TEXT, -- null if the token has no viewer ID; such a session can't be revoked
    viewer_session_version INTEGER NOT NULL,
    allowed_origins TEXT, -- the unchanged claim; null if the token doesn't have it
    strict_origins INTEGER NOT NULL,
    maximum_resolution TEXT NOT NULL,
    created_at REAL NOT NULL, -- Unix seconds, like the other times
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
    expires_at REAL NOT NULL, -- when the token expires; the row is not needed after that
    PRIMARY KEY (channel_arn, single_use_uuid)
) STRICT, WITHOUT ROWID;
"""

ID_BYTES = 18  # 144 random bits, which are 24 characters in a URL.
IDLE_SECONDS = 300.0
REVOKED = (
    "This viewer's sessions up to this aws:viewer-session-version were revoked. "
    "Request a new playback URL."
)


@dataclass(frozen=True, kw_only=True)
class Session:
    """One player's access to a channel's stream. Times are in Unix seconds."""

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
        """Return the session that is stored in this row of `playback_sessions`."""
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
        """Open a session and, in the same transaction, mark a single-use token as used.

        Args:
            channel_arn: The channel.
            admission: What the token allows. None for a public channel.
            now: Unix seconds.

        Raises:
            ViewerRevokedError: the viewer is revoked at this version.
            TokenUsedError: the token is for a single use and was already used.
        """
        session = _new_session(channel_arn, admission, now)
        with self._database.transaction() as connection:
            _purge(connection, now)
            _require_startable(connection, session, admission)
            if admission is not None and admission.single_use_uuid is not None:
                _mark_used(connection, channel_arn, admission.single_use_uuid, admission.expires_at)
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

    def preview(self, channel_arn: str, admission: Admission | None, now: float) -> Session:
        """Return the session that `open` would open, and raise its errors, but store nothing."""
        session = _new_session(channel_arn, admission, now)
        with self._database.reading() as connection:
            _require_startable(connection, session, admission)
        return session

    def get(self, session_id: str, now: float) -> Session:
        """Return the session with this ID.

        Raises:
            SessionUnknownError: the session doesn't exist or has expired.
            ViewerRevokedError: its viewer was revoked at this version or a higher one.
        """
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT * FROM playback_sessions WHERE id = ? AND ? < expires_at",
                (session_id, now),
            ).fetchone()
            if row is None:
                raise SessionUnknownError(
                    "This playback session has expired or does not exist. "
                    "Request a new playback URL."
                )
            session = Session.of_row(row)
            _require_not_revoked(connection, session)
        return session

    def keep_alive(self, session: Session, now: float) -> None:
        """Extend the session to `IDLE_SECONDS` from now, because its player is still playing.

        Does nothing while more than 50 % of `IDLE_SECONDS` is left, so that most playlist requests
        cost no write.
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
    """The number of the channel's playback sessions that are neither expired nor revoked."""
    row = connection.execute(
        "SELECT count(*) FROM sessions_not_revoked WHERE channel_arn = ? AND ? < expires_at",
        (channel_arn, now),
    ).fetchone()
    return int(row[0])


def _new_session(channel_arn: str, admission: Admission | None, now: float) -> Session:
    return Session(
        id=secrets.token_urlsafe(ID_BYTES),
        channel_arn=channel_arn,
        viewer_id=admission.viewer_id if admission else None,
        viewer_session_version=admission.viewer_session_version if admission else 0,
        origin_rule=admission.origin_rule if admission else OriginRule(),
        maximum_resolution=admission.maximum_resolution if admission else max(Resolution),
        created_at=now,
        expires_at=now + IDLE_SECONDS,
    )


def _purge(connection: sqlite3.Connection, now: float) -> None:
    connection.execute("DELETE FROM playback_sessions WHERE expires_at <= ?", (now,))
    connection.execute("DELETE FROM used_tokens WHERE expires_at <= ?", (now,))


def _require_not_revoked(connection: sqlite3.Connection, session: Session) -> None:
    if revocations.is_revoked(
        connection, session.channel_arn, session.viewer_id, session.viewer_session_version
    ):
        raise ViewerRevokedError(REVOKED)


def _require_startable(
    connection: sqlite3.Connection, session: Session, admission: Admission | None
) -> None:
    _require_not_revoked(connection, session)
    if admission is None or admission.single_use_uuid is None:
        return
    used = connection.execute(
        "SELECT 1 FROM used_tokens WHERE channel_arn = ? AND single_use_uuid = ?",
        (session.channel_arn, admission.single_use_uuid.lower()),
    )
    if used.fetchone() is not None:
        raise TokenUsedError(
            "This playback URL is for a single use (aws:single-use-uuid) and was already used. "
            "Request a new playback URL."
        )


def _mark_used(
    connection: sqlite3.Connection, channel_arn: str, single_use_uuid: str, expires_at: float
) -> None:
    connection.execute(
        "INSERT INTO used_tokens VALUES (?, ?, ?)",
        (channel_arn, single_use_uuid.lower(), expires_at),
    )
