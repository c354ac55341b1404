"""Streams: GetStream, ListStreams, StopStream, PutMetadata. `/_local/streams` starts them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local_ivs import streams
from local_ivs.edge.sessions import viewer_count
from local_ivs.errors import ChannelNotBroadcastingError, ValidationError
from local_ivs.operations.lookup import find_channel, find_stream, playback_url
from local_ivs.paging import page

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    from local_ivs.calls import Call

DEFAULT_PAGE_SIZE = 100  # botocore model: ListStreamsRequest
MAX_METADATA_BYTES = 1024  # "Maximum: 1 KB per request" (botocore model: PutMetadataRequest)
METADATA_RETENTION_SECONDS = 600.0  # Much longer than any playlist lists it.


def get_stream(call: Call, request: Mapping[str, Any]) -> dict[str, Any]:
    """GetStream: fails while the channel is offline."""
    channel = find_channel(call, request["channelArn"])
    stream = _live_stream(call, channel)
    return {"stream": {**_summary(call, stream), "playbackUrl": playback_url(call, channel)}}


def list_streams(call: Call, request: Mapping[str, Any]) -> dict[str, Any]:
    """ListStreams, optionally filtered by health."""
    health = request.get("filterBy", {}).get("health")

    def rows_after(position: int, count: int) -> list[sqlite3.Row]:
        return call.connection.execute(
            "SELECT streams.* FROM streams JOIN channels ON channels.arn = streams.channel_arn"
            " WHERE region = ? AND account_id = ? AND streams.position > ?"
            " AND (? IS NULL OR health = ?)"
            " ORDER BY streams.position LIMIT ?",
            (call.caller.region, call.caller.account_id, position, health, health, count),
        ).fetchall()

    rows, next_token = page(call, request, rows_after, default_size=DEFAULT_PAGE_SIZE)
    return {"streams": [_summary(call, row) for row in rows], "nextToken": next_token}


def stop_stream(call: Call, request: Mapping[str, Any]) -> dict[str, Any]:
    """StopStream: fails while the channel is offline."""
    stream = _live_stream(call, find_channel(call, request["channelArn"]))
    streams.end(call.connection, stream["channel_arn"], call.now)
    return {}


def put_metadata(call: Call, request: Mapping[str, Any]) -> dict[str, Any]:
    """PutMetadata: at most 1 KB of UTF-8, into a live stream."""
    metadata: str = request["metadata"]
    if len(metadata.encode()) > MAX_METADATA_BYTES:
        raise ValidationError(
            "Request member: metadata failed to satisfy the constraints: "
            f"it must be at most {MAX_METADATA_BYTES} bytes of UTF-8"
        )
    stream = _live_stream(call, find_channel(call, request["channelArn"]))
    call.connection.execute(
        "DELETE FROM timed_metadata WHERE put_at < ?", (call.now - METADATA_RETENTION_SECONDS,)
    )
    call.connection.execute(
        "INSERT INTO timed_metadata (channel_arn, put_at, metadata) VALUES (?, ?, ?)",
        (stream["channel_arn"], call.now, metadata),
    )
    return {}


def _live_stream(call: Call, channel: sqlite3.Row) -> sqlite3.Row:
    stream = find_stream(call, channel["arn"])
    if stream is None:
        raise ChannelNotBroadcastingError(f"Channel: {channel['arn']} is not broadcasting")
    return stream


def _summary(call: Call, stream: sqlite3.Row) -> dict[str, Any]:
    return {
        "channelArn": stream["channel_arn"],
        "streamId": stream["stream_id"],
        "state": "LIVE",
        "health": stream["health"],
        "startTime": stream["started_at"],
        "viewerCount": viewer_count(call.connection, stream["channel_arn"], call.now),
    }
