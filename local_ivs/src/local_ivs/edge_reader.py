"""The edge's read access to the control plane: channels, public keys and timed metadata."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from local_ivs.errors import ChannelUnknownError
from local_ivs.schema import CONTROL_PLANE

if TYPE_CHECKING:
    from local_ivs.database import Database


@dataclass(frozen=True)
class EdgeChannel:
    """A channel as the edge sees it.

    Attributes:
        arn: The channel's ARN.
        region: AWS region, as in the ARN.
        account_id: Twelve digits, as in the ARN.
        channel_id: The ARN's last part.
        authorized: Whether the channel is private: playback needs a token.
        live: Whether the channel has a stream.
        ended_at: When its last stream ended, in Unix seconds. None if none has ended.
    """

    arn: str
    region: str
    account_id: str
    channel_id: str
    authorized: bool
    live: bool
    ended_at: float | None


@dataclass(frozen=True)
class TimedMetadata:
    """The text that one PutMetadata call put into a stream.

    Attributes:
        position: A unique number that increases with every call.
        put_at: Unix seconds.
        metadata: The text, at most 1,024 bytes of UTF-8.
    """

    position: int
    put_at: float
    metadata: str


class EdgeReader:
    """Reads the control plane's tables for the edge. Each call reads the state at that time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.ensure(CONTROL_PLANE)

    def channel(self, region: str, account_id: str, channel_id: str) -> EdgeChannel:
        """Return the channel of a playback URL.

        Raises:
            ChannelUnknownError: the channel doesn't exist.
        """
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT channels.arn, authorized, stream_id, ended_at FROM channels"
                " LEFT JOIN streams ON streams.channel_arn = channels.arn"
                " LEFT JOIN ended_streams ON ended_streams.channel_arn = channels.arn"
                " WHERE region = ? AND account_id = ? AND channel_id = ?",
                (region, account_id, channel_id),
            ).fetchone()
        if row is None:
            raise ChannelUnknownError(
                f"Account {account_id} has no channel {channel_id} in {region}. "
                "Use the playbackUrl that GetChannel returns."
            )
        return EdgeChannel(
            arn=row["arn"],
            region=region,
            account_id=account_id,
            channel_id=channel_id,
            authorized=bool(row["authorized"]),
            live=row["stream_id"] is not None,
            ended_at=row["ended_at"],
        )

    def public_keys(self, region: str, account_id: str, now: float) -> tuple[str, ...]:
        """Return PEM texts of the public keys that the edge accepts at `now`, oldest first.

        The edge accepts a key pair from `edge_from`, when its import has taken effect there, until
        `edge_until`, when its deletion has.
        """
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT public_key_pem FROM playback_key_pairs"
                " WHERE region = ? AND account_id = ?"
                " AND edge_from <= ? AND (edge_until IS NULL OR ? < edge_until)"
                " ORDER BY position",
                (region, account_id, now, now),
            ).fetchall()
        return tuple(row["public_key_pem"] for row in rows)

    def timed_metadata(
        self, channel_arn: str, since: float, until: float = math.inf
    ) -> tuple[TimedMetadata, ...]:
        """Return the metadata put into the channel's stream between two times, in order.

        Both times are in Unix seconds. Metadata put at `since` itself is included, metadata put at
        `until` is not.
        """
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT position, put_at, metadata FROM timed_metadata"
                " WHERE channel_arn = ? AND ? <= put_at AND put_at < ? ORDER BY position",
                (channel_arn, since, until),
            ).fetchall()
        return tuple(TimedMetadata(**row) for row in rows)
