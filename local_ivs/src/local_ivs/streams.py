"""Starts and ends a channel's stream, for the control API and StopStream."""

from __future__ import annotations

from typing import TYPE_CHECKING

from local_ivs.identifiers import stream_id

if TYPE_CHECKING:
    import sqlite3


def start(connection: sqlite3.Connection, channel_arn: str, health: str, now: float) -> None:
    """Start a stream without timed metadata; a running stream continues, with the new health.

    Args:
        connection: A connection in a write transaction.
        channel_arn: A channel that exists.
        health: The stream's health (botocore model: StreamHealth).
        now: Unix seconds.
    """
    running = connection.execute(
        "UPDATE streams SET health = ? WHERE channel_arn = ?", (health, channel_arn)
    )
    if running.rowcount > 0:
        return
    connection.execute("DELETE FROM timed_metadata WHERE channel_arn = ?", (channel_arn,))
    connection.execute(
        "INSERT INTO streams (channel_arn, stream_id, started_at, health) VALUES (?, ?, ?, ?)",
        (channel_arn, stream_id(), now, health),
    )


def end(connection: sqlite3.Connection, channel_arn: str, now: float) -> None:
    """End the channel's stream at `now` (Unix seconds); does nothing while it is offline.

    The end and the timed metadata are kept, for the players that are still playing the stream.
    """
    ended = connection.execute("DELETE FROM streams WHERE channel_arn = ?", (channel_arn,))
    if ended.rowcount > 0:
        connection.execute(
            "INSERT INTO ended_streams VALUES (?, ?)"
            " ON CONFLICT (channel_arn) DO UPDATE SET ended_at = excluded.ended_at",
            (channel_arn, now),
        )
