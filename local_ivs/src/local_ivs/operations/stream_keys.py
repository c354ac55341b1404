"""Stream keys: the secret that an encoder needs to send to a channel; one per channel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local_ivs.errors import ServiceQuotaExceededError
from local_ivs.identifiers import resource_id, stream_key_value
from local_ivs.operations.lookup import batch, find, find_channel
from local_ivs.paging import page
from local_ivs.tagging import add_tags, delete_all_tags, tags_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    from local_ivs.calls import Call

DEFAULT_PAGE_SIZE = 1  # botocore model: ListStreamKeysRequest


def create_stream_key(call: Call, request: Mapping[str, Any]) -> dict[str, Any]:
    """CreateStreamKey: refused while the channel already has a stream key."""
    arn = find_channel(call, request["channelArn"])["arn"]
    if _keys_of_channel(call, arn):
        raise ServiceQuotaExceededError(
            "Quota exceeded: a channel can have one stream key; delete it before creating another"
        )
    return {"streamKey": new_stream_key(call, arn, tags=request.get("tags", {}))}


def get_stream_key(call: Call, request: Mapping[str, Any]) -> dict[str, Any]:
    """GetStreamKey, including its secret value."""
    return {"streamKey": _stream_key(call, find_stream_key(call, request["arn"]))}


def batch_get_stream_key(call: Call, request: Mapping[str, Any]) -> dict[str, Any]:
    """BatchGetStreamKey: status 200; keys that aren't found are listed in `errors`."""
    keys, errors = batch(request["arns"], lambda arn: _stream_key(call, find_stream_key(call, arn)))
    return {"streamKeys": keys, "errors": errors}


def list_stream_keys(call: Call, request: Mapping[str, Any]) -> dict[str, Any]:
    """ListStreamKeys of one channel: the summaries have no secret value."""
    channel_arn = find_channel(call, request["channelArn"])["arn"]

    def rows_after(position: int, count: int) -> list[sqlite3.Row]:
        return call.connection.execute(
            "SELECT * FROM stream_keys WHERE channel_arn = ? AND position > ?"
            " ORDER BY position LIMIT ?",
            (channel_arn, position, count),
        ).fetchall()

    rows, next_token = page(call, request, rows_after, default_size=DEFAULT_PAGE_SIZE)
    return {"streamKeys": [_stream_key(call, row) for row in rows], "nextToken": next_token}


def delete_stream_key(call: Call, request: Mapping[str, Any]) -> dict[str, Any]:
    """DeleteStreamKey: a running stream continues until it is stopped."""
    _delete(call, find_stream_key(call, request["arn"])["arn"])
    return {}


def new_stream_key(call: Call, channel_arn: str, *, tags: Mapping[str, str]) -> dict[str, Any]:
    """Create a stream key for the channel; returns the model's `StreamKey`."""
    arn = call.caller.arn("stream-key", resource_id())
    call.connection.execute(
        "INSERT INTO stream_keys (arn, channel_arn, value) VALUES (?, ?, ?)",
        (arn, channel_arn, stream_key_value(call.caller.region)),
    )
    add_tags(call.connection, arn, tags)
    return _stream_key(call, find_stream_key(call, arn))


def delete_keys_of_channel(call: Call, channel_arn: str) -> None:
    """Delete the channel's stream keys, as DeleteChannel does."""
    for row in _keys_of_channel(call, channel_arn):
        _delete(call, row["arn"])


def _delete(call: Call, arn: str) -> None:
    delete_all_tags(call.connection, arn)
    call.connection.execute("DELETE FROM stream_keys WHERE arn = ?", (arn,))


def _keys_of_channel(call: Call, channel_arn: str) -> list[sqlite3.Row]:
    return call.connection.execute(
        "SELECT * FROM stream_keys WHERE channel_arn = ?", (channel_arn,)
    ).fetchall()


def find_stream_key(call: Call, arn: str) -> sqlite3.Row:
    """The stream key's row; raises the errors of `lookup.find`."""
    query = (
        "SELECT stream_keys.* FROM stream_keys"
        " JOIN channels ON channels.arn = stream_keys.channel_arn"
        " WHERE stream_keys.arn = :arn AND region = :region AND account_id = :account_id"
    )
    return find(call, query, arn)


def _stream_key(call: Call, row: sqlite3.Row) -> dict[str, Any]:
    return {
        "arn": row["arn"],
        "channelArn": row["channel_arn"],
        "value": row["value"],
        "tags": tags_of(call.connection, row["arn"]),
    }
