"""Tags of channels, stream keys and key pairs: TagResource, UntagResource, ListTagsForResource."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from local_ivs import tagging
from local_ivs.errors import ValidationError
from local_ivs.operations.key_pairs import find_key_pair
from local_ivs.operations.lookup import find_channel
from local_ivs.operations.stream_keys import find_stream_key

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Mapping

    from local_ivs.calls import Call

# What the broken pattern of ResourceArn in the model is meant to match (see `shapes`).
_ARN = re.compile(r"arn:aws:ivs:[a-z0-9-]+:[0-9]+:(?P<kind>[a-z-]+)/[a-zA-Z0-9-]+")
_FINDERS: Mapping[str, Callable[[Call, str], sqlite3.Row]] = {
    "channel": find_channel,
    "stream-key": find_stream_key,
    "playback-key": find_key_pair,
}


def tag_resource(call: Call, request: Mapping[str, Any]) -> dict[str, Any]:
    """TagResource: adds tags and replaces the values of existing ones."""
    tagging.add_tags(call.connection, _existing_arn(call, request), request["tags"])
    return {}


def untag_resource(call: Call, request: Mapping[str, Any]) -> dict[str, Any]:
    """UntagResource: a tag key that doesn't exist is not an error."""
    tagging.remove_tags(call.connection, _existing_arn(call, request), request["tagKeys"])
    return {}


def list_tags(call: Call, request: Mapping[str, Any]) -> dict[str, Any]:
    """ListTagsForResource."""
    return {"tags": tagging.tags_of(call.connection, _existing_arn(call, request))}


def _existing_arn(call: Call, request: Mapping[str, Any]) -> str:
    """The ARN of the request's resource.

    Raises:
        ValidationError: it isn't the ARN of a channel, stream key or playback key pair.
        ResourceNotFoundError: the resource doesn't exist in the caller's account and region.
    """
    arn: str = request["resourceArn"]
    match = _ARN.fullmatch(arn)
    find = _FINDERS.get(match["kind"]) if match else None
    if find is None:
        raise ValidationError(
            "Request member: resourceArn failed to satisfy the constraints: it must be the ARN of "
            f"a resource of one of these types: {', '.join(_FINDERS)}"
        )
    find(call, arn)
    return arn
