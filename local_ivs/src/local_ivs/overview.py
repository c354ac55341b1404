"""The overview page at `/`, and its data: Local IVS's state without session IDs and secrets."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, jsonify

from local_ivs import control
from local_ivs.edge.revocations import all_revocations
from local_ivs.edge.sessions import Sessions
from local_ivs.faults import Faults
from local_ivs.timestamps import rfc3339

if TYPE_CHECKING:
    import sqlite3

    from local_ivs.clock import MovableClock
    from local_ivs.database import Database
    from local_ivs.recent import RecentRequests

# The page loads files and data from its own origin only, and has no inline styles or scripts.
CONTENT_SECURITY_POLICY = "default-src 'self'; frame-ancestors 'none'; form-action 'none'"

CHANNELS = """
SELECT arn, json_extract(settings, '$.name') AS name, authorized, stream_id, started_at, health
FROM channels LEFT JOIN streams ON streams.channel_arn = channels.arn
ORDER BY channels.position
"""
KEY_PAIRS = """
SELECT arn, name, fingerprint, edge_from, edge_until FROM playback_key_pairs
WHERE edge_until IS NULL OR edge_until > ?
ORDER BY position
"""


def create_blueprint(database: Database, clock: MovableClock, recent: RecentRequests) -> Blueprint:
    """Return the blueprint of `GET /`, the page's files, and `GET /_local/overview`."""
    overview = Overview(database, clock, recent)
    blueprint = Blueprint(
        "overview", __name__, static_folder="pages", static_url_path="/_local/pages"
    )

    @blueprint.get("/")
    def page() -> Response:
        return blueprint.send_static_file("index.html")

    @blueprint.get("/_local/overview")
    def read() -> Response:
        return jsonify(overview.read())

    control.protect(blueprint)

    @blueprint.after_request
    def harden(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Cache-Control"] = "no-store"
        return response

    return blueprint


class Overview:
    """Reads the state that the page shows, without session IDs, stream keys and tokens."""

    def __init__(self, database: Database, clock: MovableClock, recent: RecentRequests) -> None:
        self._database = database
        self._clock = clock
        self._recent = recent
        self._sessions = Sessions(database)
        self._faults = Faults(database)

    def read(self) -> dict[str, Any]:
        """Return channels, key pairs, sessions, revocations, faults and last requests as JSON."""
        now = self._clock.now()
        with self._database.reading() as connection:
            channels = [_channel(row) for row in connection.execute(CHANNELS)]
            key_pairs = [_key_pair(row, now) for row in connection.execute(KEY_PAIRS, (now,))]
            revocations = all_revocations(connection)
        return {
            "now": rfc3339(now),
            "offset_seconds": self._clock.offset_seconds(),
            "channels": channels,
            "key_pairs": key_pairs,
            "sessions": [
                {
                    "channel_arn": session.channel_arn,
                    "viewer_id": session.viewer_id,
                    "viewer_session_version": session.viewer_session_version,
                    "created_at": rfc3339(session.created_at),
                    "expires_at": rfc3339(session.expires_at),
                }
                for session in self._sessions.current(now)
            ],
            "revocations": [
                asdict(each) | {"revoked_at": rfc3339(each.revoked_at)} for each in revocations
            ],
            "faults": [asdict(fault) for fault in self._faults.pending()],
            "requests": [each.document() for each in self._recent.latest()],
        }


def _channel(row: sqlite3.Row) -> dict[str, Any]:
    return {
        "arn": row["arn"],
        "name": row["name"],
        "private": bool(row["authorized"]),
        "live_since": None if row["started_at"] is None else rfc3339(row["started_at"]),
        "stream_id": row["stream_id"],
        "health": row["health"],
    }


def _key_pair(row: sqlite3.Row, now: float) -> dict[str, Any]:
    return {
        "arn": row["arn"],
        "name": row["name"],
        "fingerprint": row["fingerprint"],
        "deleted": row["edge_until"] is not None,
        "accepted_at_the_edge": row["edge_from"] <= now,
    }
