"""Lookups that several operations share: a resource, a channel's stream, a batch of resources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local_ivs.errors import ApiError, ResourceNotFoundError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable

    from local_ivs.calls import Call


def find(call: Call, query: str, arn: str) -> sqlite3.Row:
    """The row of a resource.

    Args:
        call: The call; the resource must be in its account and region.
        query: SQL with the parameters `:arn`, `:region` and `:account_id`.
        arn: The resource's ARN.

    Raises:
        ResourceNotFoundError: the caller's account has no such resource in the caller's region.
    """
    where = {"arn": arn, "region": call.caller.region, "account_id": call.caller.account_id}
    row: sqlite3.Row | None = call.connection.execute(query, where).fetchone()
    if row is None:
        raise ResourceNotFoundError(f"Resource: {arn} not found")
    return row


def find_channel(call: Call, arn: str) -> sqlite3.Row:
    """The channel's row; raises the errors of `find`."""
    query = (
        "SELECT * FROM channels WHERE arn = :arn AND region = :region AND account_id = :account_id"
    )
    return find(call, query, arn)


def find_stream(call: Call, channel_arn: str) -> sqlite3.Row | None:
    """The row of the channel's current stream; None while the channel is offline."""
    row: sqlite3.Row | None = call.connection.execute(
        "SELECT * FROM streams WHERE channel_arn = ?", (channel_arn,)
    ).fetchone()
    return row


def playback_url(call: Call, channel: sqlite3.Row) -> str:
    """The channel's playback URL, on the host and port that the client used."""
    name = f"{channel['region']}.{channel['account_id']}.channel.{channel['channel_id']}"
    return f"{call.base_url}/api/video/v1/{name}.m3u8"


def batch(
    arns: Iterable[str], get: Callable[[str], dict[str, Any]]
) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """The results of `get` for each ARN, and the model's `BatchErrors` for those that failed."""
    found: list[dict[str, Any]] = []
    errors: list[dict[str, str]] = []
    for arn in arns:
        try:
            found.append(get(arn))
        except ApiError as error:
            errors.append({"arn": arn, "code": error.error_type, "message": str(error)})
    return found, errors
