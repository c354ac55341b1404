"""Rotate a channel's stream key, so that a leaked key no longer works.

IVS allows one stream key for each channel. The old key is deleted before the new one is created, so
the channel has no key for a short time. If the rotation stops early, the keys are listed again, and
the operator reads what was done and which command completes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from tokensvc.arns import ChannelArn, Region
from tokensvc.aws import QUOTA_EXCEEDED, translate_errors
from tokensvc.cli.ivs_access import IvsAccess
from tokensvc.cli.live_channels import stop_stream
from tokensvc.cli.output import say
from tokensvc.errors import IvsRefused, NotFound, TokensvcError

if TYPE_CHECKING:
    from mypy_boto3_ivs import IVSClient
    from mypy_boto3_ivs.type_defs import (
        CreateStreamKeyRequestTypeDef,
        StreamKeySummaryTypeDef,
        StreamKeyTypeDef,
    )

_PAGE_SIZE = 50  # stream keys, the maximum of IVS (botocore model, MaxStreamKeyResults)


def list_stream_keys(client: IVSClient, channel: ChannelArn) -> list[StreamKeySummaryTypeDef]:
    """Return the channel's stream keys, without their values.

    Raises:
        NotFound, IvsRefused, IvsUnavailable: when the call to IVS fails.
    """
    with translate_errors("ListStreamKeys", channel.region):
        pages = client.get_paginator("list_stream_keys").paginate(
            channelArn=str(channel), PaginationConfig={"PageSize": _PAGE_SIZE}
        )
        return [stream_key for page in pages for stream_key in page["streamKeys"]]


def create_stream_key(
    ivs: IvsAccess, channel: ChannelArn, tags: Mapping[str, str]
) -> StreamKeyTypeDef:
    """Create a stream key for the channel and return it, with its value.

    Raises:
        IvsRefused: when the channel has a stream key already, or IVS denies the action.
        NotFound, IvsUnavailable: when the call to IVS fails.
    """
    client = ivs.client(channel.region)
    request: CreateStreamKeyRequestTypeDef = {"channelArn": str(channel)}
    if tags:  # A request without tags needs no permission to tag.
        request["tags"] = tags
    try:
        with translate_errors("CreateStreamKey", channel.region):
            return client.create_stream_key(**request)["streamKey"]
    except IvsRefused as exc:
        if exc.aws_code != QUOTA_EXCEEDED:
            raise
        raise IvsRefused(
            f"Channel {channel} has a stream key already. IVS allows one for each channel.",
            aws_code=QUOTA_EXCEEDED,
            hint=f"Show the stream key with `tokensvc stream-keys show {channel} --reveal`, or"
            f" replace it with `tokensvc stream-keys rotate {channel}`.",
        ) from exc


def delete_stream_key(client: IVSClient, region: Region, arn: str) -> None:
    """Delete the stream key.

    Raises:
        NotFound: when it does not exist, also after an attempt that succeeded without an answer.
        IvsRefused, IvsUnavailable: when the call to IVS fails.
    """
    with translate_errors("DeleteStreamKey", region):
        client.delete_stream_key(arn=arn)


def rotate_stream_key(ivs: IvsAccess, channel: ChannelArn, *, stop: bool) -> StreamKeyTypeDef:
    """Delete the channel's stream key, create a new one with the same tags, and return it.

    Args:
        ivs: access to IVS.
        channel: the channel; if it has no stream key, one is created.
        stop: whether to stop the stream once the old key is deleted. The stream may still use the
            old key: IVS checks the key only when an encoder connects (IVS: StopStream).

    Raises:
        NotFound, IvsRefused, IvsUnavailable: when a call to IVS fails; the status of the rotation
            has been printed.
    """
    client = ivs.client(channel.region)
    old = list_stream_keys(client, channel)
    tags = {key: value for each in old for key, value in each.get("tags", {}).items()}
    old_arns = [each["arn"] for each in old]
    with _printing_status_on_failure(ivs, channel, old_arns, stop=stop) as mark_stopped:
        for arn in old_arns:
            # The key existed just before: if it is not found, an earlier attempt has deleted it.
            with suppress(NotFound):
                delete_stream_key(client, channel.region, arn)
            say(f"Deleted {arn}: encoders can't connect with it any longer.")
        # Before the new key is created, so that an attacker is cut off even if that fails.
        if stop:
            was_live = stop_stream(ivs, channel)
            mark_stopped()
            say(f"Stopped the stream of {channel}." if was_live else f"{channel} was not live.")
        return create_stream_key(ivs, channel, tags)


@contextmanager
def _printing_status_on_failure(
    ivs: IvsAccess, channel: ChannelArn, old: Sequence[str], *, stop: bool
) -> Iterator[Callable[[], None]]:
    """Print the status of the rotation when the block fails, or is interrupted with Ctrl-C.

    Yields a function that must be called once the stream is stopped.
    """
    must_stop = stop

    def mark_stopped() -> None:
        nonlocal must_stop
        must_stop = False

    try:
        yield mark_stopped
    except (TokensvcError, KeyboardInterrupt):
        say(rotation_status(channel, old, _current_arns(ivs, channel), must_stop=must_stop))
        raise


def _current_arns(ivs: IvsAccess, channel: ChannelArn) -> list[str] | None:
    """Return the ARNs of the channel's stream keys; None when the call to IVS fails."""
    try:
        client = ivs.client_without_retries(channel.region)
        return [stream_key["arn"] for stream_key in list_stream_keys(client, channel)]
    except TokensvcError:
        return None


def rotation_status(
    channel: ChannelArn, old: Sequence[str], current: Sequence[str] | None, *, must_stop: bool
) -> str:
    """Describe what a failed rotation has done, and which command completes it.

    Args:
        channel: the channel.
        old: the ARNs of the stream keys before the rotation.
        current: the ARNs of the stream keys now; None when IVS can't be reached.
        must_stop: whether the stream still has to be stopped.
    """
    option = " --stop-stream" if must_stop else ""
    rotate = f"tokensvc stream-keys rotate {channel}{option}"
    if current is None:
        return (
            "The rotation did not complete, and the current stream key can't be read from IVS.\n"
            f"Check the stream key: tokensvc stream-keys list {channel}\n"
            f"Then complete the rotation: {rotate}"
        )
    if not current:
        return (
            f"Channel {channel} has no stream key now: encoders can't connect to it.\n"
            f"Complete the rotation: {rotate}"
        )
    if set(current) & set(old):
        return (
            "The old stream key is still valid. Nothing has changed.\n"
            f"Complete the rotation: {rotate}"
        )
    lines = [
        f"Channel {channel} has the new stream key {current[0]}.",
        f"Show its value: tokensvc stream-keys show {current[0]} --reveal",
    ]
    if must_stop:
        lines.append(
            "An encoder may still stream with the old key. Stop the stream:"
            f" tokensvc streams stop {channel}"
        )
    return "\n".join(lines)
