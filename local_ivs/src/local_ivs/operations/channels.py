"""Channels: CreateChannel, and Get, BatchGet, List, Update and Delete."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from local_ivs.errors import ConflictError, ResourceNotFoundError, ValidationError
from local_ivs.identifiers import resource_id, srt_passphrase
from local_ivs.operations.lookup import batch, find_channel, find_stream, playback_url
from local_ivs.operations.stream_keys import delete_keys_of_channel, new_stream_key
from local_ivs.paging import page
from local_ivs.tagging import add_tags, delete_all_tags, tags_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    from local_ivs.calls import Call

DEFAULT_PAGE_SIZE = 100  # botocore model: ListChannelsRequest
DEFAULTS: dict[str, Any] = {  # botocore model: CreateChannelRequest
    "name": "",
    "latencyMode": "LOW",
    "type": "STANDARD",
    "authorized": False,
    "recordingConfigurationArn": "",
    "insecureIngest": False,
    "preset": "",
    "playbackRestrictionPolicyArn": "",
    "containerFormat": "TS",
    "adConfigurationArn": "",
    "failoverSlateConfigurationArn": "",
    "multitrackInputConfiguration": None,
}
TYPES_WITH_PRESET = frozenset({"ADVANCED_SD", "ADVANCED_HD"})
DEFAULT_PRESET = "HIGHER_BANDWIDTH_DELIVERY"
# Resources that a channel can refer to. Local IVS has none of them, so they are never found.
REFERENCES = (
    "recordingConfigurationArn",
    "playbackRestrictionPolicyArn",
    "adConfigurationArn",
    "failoverSlateConfigurationArn",
)
FILTERS = {  # ListChannels: member of the request -> member of the channel
    "filterByName": "name",
    "filterByRecordingConfigurationArn": "recordingConfigurationArn",
    "filterByPlaybackRestrictionPolicyArn": "playbackRestrictionPolicyArn",
    "filterByAdConfigurationArn": "adConfigurationArn",
    "filterByFailoverSlateConfigurationArn": "failoverSlateConfigurationArn",
}


def create_channel(call: Call, request: Mapping[str, Any]) -> dict[str, Any]:
    """CreateChannel; as on AWS, the response includes the new channel's stream key."""
    caller = call.caller
    channel_id = resource_id()
    arn = caller.arn("channel", channel_id)
    call.connection.execute(
        "INSERT INTO channels (arn, region, account_id, channel_id, srt_passphrase, settings)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (
            arn,
            caller.region,
            caller.account_id,
            channel_id,
            srt_passphrase(),
            json.dumps(_merged_settings(DEFAULTS, request)),
        ),
    )
    add_tags(call.connection, arn, request.get("tags", {}))
    return {
        "channel": _channel(call, find_channel(call, arn)),
        "streamKey": new_stream_key(call, arn, tags={}),
    }


def get_channel(call: Call, request: Mapping[str, Any]) -> dict[str, Any]:
    """GetChannel."""
    return {"channel": _channel(call, find_channel(call, request["arn"]))}


def batch_get_channel(call: Call, request: Mapping[str, Any]) -> dict[str, Any]:
    """BatchGetChannel: status 200; channels that aren't found are listed in `errors`."""
    channels, errors = batch(request["arns"], lambda arn: _channel(call, find_channel(call, arn)))
    return {"channels": channels, "errors": errors}


def list_channels(call: Call, request: Mapping[str, Any]) -> dict[str, Any]:
    """ListChannels: at most one filter; the summaries have no playback URL."""
    filters = {member: request[name] for name, member in FILTERS.items() if name in request}
    if len(filters) > 1:
        raise ConflictError("Filters are mutually exclusive: use one")

    def rows_after(position: int, count: int) -> list[sqlite3.Row]:
        member, wanted = next(iter(filters.items()), (None, None))
        return call.connection.execute(
            "SELECT * FROM channels WHERE region = ? AND account_id = ? AND position > ?"
            " AND (? IS NULL OR json_extract(settings, '$.' || ?) = ?)"
            " ORDER BY position LIMIT ?",
            (call.caller.region, call.caller.account_id, position, member, member, wanted, count),
        ).fetchall()

    rows, next_token = page(call, request, rows_after, default_size=DEFAULT_PAGE_SIZE)
    return {"channels": [_channel(call, row) for row in rows], "nextToken": next_token}


def update_channel(call: Call, request: Mapping[str, Any]) -> dict[str, Any]:
    """UpdateChannel: absent members keep their values; a live channel is refused."""
    row = find_channel(call, request["arn"])
    if find_stream(call, row["arn"]) is not None:
        raise ConflictError("A live channel can't be updated: stop its stream first")
    settings = _merged_settings(json.loads(row["settings"]), request)
    call.connection.execute(
        "UPDATE channels SET settings = ? WHERE arn = ?", (json.dumps(settings), row["arn"])
    )
    return get_channel(call, request)


def delete_channel(call: Call, request: Mapping[str, Any]) -> dict[str, Any]:
    """DeleteChannel, including its stream keys; a live channel is refused."""
    arn = find_channel(call, request["arn"])["arn"]
    if find_stream(call, arn) is not None:
        raise ConflictError("A live channel can't be deleted: stop its stream first")
    delete_keys_of_channel(call, arn)
    delete_all_tags(call.connection, arn)
    call.connection.execute("DELETE FROM channels WHERE arn = ?", (arn,))
    return {}


def _merged_settings(settings: Mapping[str, Any], request: Mapping[str, Any]) -> dict[str, Any]:
    """`settings`, overridden by the members of `request`.

    Raises:
        ValidationError: the settings contradict each other.
        ResourceNotFoundError: the settings refer to a resource that doesn't exist.
    """
    merged = {name: request.get(name, value) for name, value in settings.items()}
    if merged["type"] not in TYPES_WITH_PRESET:
        if "preset" in request:
            raise ValidationError(
                "preset can be set only for the types ADVANCED_HD and ADVANCED_SD"
            )
        merged["preset"] = ""
    elif not merged["preset"]:
        merged["preset"] = DEFAULT_PRESET
    for name in REFERENCES:
        if merged[name]:
            raise ResourceNotFoundError(
                f"{name}: {merged[name]} not found; Local IVS has no resources of this type"
            )
    _check_multitrack(merged)
    return merged


def _check_multitrack(settings: Mapping[str, Any]) -> None:
    """Check what multitrack input requires (botocore model: MultitrackInputConfiguration)."""
    multitrack = settings["multitrackInputConfiguration"] or {}
    if not multitrack.get("enabled", False):
        return
    requirements = {
        "type STANDARD": settings["type"] == "STANDARD",
        "containerFormat FRAGMENTED_MP4": settings["containerFormat"] == "FRAGMENTED_MP4",
        "a policy": "policy" in multitrack,
        "a maximumResolution": "maximumResolution" in multitrack,
    }
    missing = [name for name, is_met in requirements.items() if not is_met]
    if missing:
        raise ValidationError(f"Enabled multitrack input requires {' and '.join(missing)}")


def _channel(call: Call, row: sqlite3.Row) -> dict[str, Any]:
    endpoint = row["channel_id"].lower()
    return {
        **json.loads(row["settings"]),
        "arn": row["arn"],
        "ingestEndpoint": f"{endpoint}.global-contribute.live-video.net",
        "srt": {
            "endpoint": f"{endpoint}.srt.live-video.net",
            "passphrase": row["srt_passphrase"],
        },
        "playbackUrl": playback_url(call, row),
        "tags": tags_of(call.connection, row["arn"]),
    }
