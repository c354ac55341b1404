"""A stream key exchanged for another, so that one that leaked opens nothing any more.

IVS allows a channel one stream key, so the old one is deleted before the new one is made, and for
a moment there is none. Should the rotation end early, IVS is asked what it holds, and the state is
told with the command that completes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from tokensvc.arns import ChannelArn, Region
from tokensvc.aws import QUOTA_EXCEEDED, translated
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

_PAGE_SIZE = 50  # stream keys, IVS's own most (botocore model, MaxStreamKeyResults)


def list_stream_keys(client: IVSClient, channel: ChannelArn) -> list[StreamKeySummaryTypeDef]:
    """The channel's stream keys, without their values.

    Raises:
        NotFound, IvsRefused, IvsUnavailable: when IVS does not give them.
    """
    with translated("ListStreamKeys", channel.region):
        pages = client.get_paginator("list_stream_keys").paginate(
            channelArn=str(channel), PaginationConfig={"PageSize": _PAGE_SIZE}
        )
        return [stream_key for page in pages for stream_key in page["streamKeys"]]


def create_stream_key(
    ivs: IvsAccess, channel: ChannelArn, tags: Mapping[str, str]
) -> StreamKeyTypeDef:
    """The channel's new stream key, value included.

    Raises:
        IvsRefused: when the channel has one; IVS allows no more.
        NotFound, IvsUnavailable: when IVS does not make it.
    """
    client = ivs.client(channel.region)
    request: CreateStreamKeyRequestTypeDef = {"channelArn": str(channel)}
    if tags:  # Without any, no permission to tag is needed.
        request["tags"] = tags
    try:
        with translated("CreateStreamKey", channel.region):
            return client.create_stream_key(**request)["streamKey"]
    except IvsRefused as exc:
        if exc.aws_code != QUOTA_EXCEEDED:
            raise
        raise IvsRefused(
            f"{channel} has a stream key, and IVS allows a channel no second one.",
            aws_code=QUOTA_EXCEEDED,
            hint=f"`tokensvc stream-keys show {channel} --reveal` shows it,"
            f" `tokensvc stream-keys rotate {channel}` exchanges it.",
        ) from exc


def delete_stream_key(client: IVSClient, region: Region, arn: str) -> None:
    """Delete it.

    Raises:
        NotFound: when IVS holds none, be it that an attempt whose answer was lost has deleted it.
        IvsRefused, IvsUnavailable: when IVS does not delete it.
    """
    with translated("DeleteStreamKey", region):
        client.delete_stream_key(arn=arn)


def rotate_stream_key(ivs: IvsAccess, channel: ChannelArn, *, stop: bool) -> StreamKeyTypeDef:
    """The channel's new stream key, with the tags of the old one, which is deleted.

    Args:
        ivs: the way to IVS.
        channel: the channel; one without a stream key just gets one.
        stop: whether to stop the stream that may run by the old key, once that is deleted: IVS
            checks the key when an encoder connects (IVS: StopStream).

    Raises:
        NotFound, IvsRefused, IvsUnavailable: when IVS does not do it; the state has been told.
    """
    client = ivs.client(channel.region)
    old = list_stream_keys(client, channel)
    tags = {key: value for each in old for key, value in each.get("tags", {}).items()}
    with _state_told(ivs, channel, [each["arn"] for each in old], stop=stop) as stop_is_done:
        for each in old:
            # Just now it was there: one that is unknown was deleted by an attempt before.
            with suppress(NotFound):
                delete_stream_key(client, channel.region, each["arn"])
            say(f"Deleted {each['arn']}: no encoder connects with it any more.")
        # Before the new key is made, so that a thief is out even if that fails.
        if stop:
            was_live = stop_stream(ivs, channel)
            stop_is_done()
            say(f"{channel}: {'its stream is stopped' if was_live else 'it was not live'}.")
        return create_stream_key(ivs, channel, tags)


@contextmanager
def _state_told(
    ivs: IvsAccess, channel: ChannelArn, old: Sequence[str], *, stop: bool
) -> Iterator[Callable[[], None]]:
    """Tell the state of the channel when what is done inside ends early, by Ctrl-C too.

    Gives a function to be called once the stream is stopped.
    """
    stop_is_left = stop

    def stop_is_done() -> None:
        nonlocal stop_is_left
        stop_is_left = False

    try:
        yield stop_is_done
    except (TokensvcError, KeyboardInterrupt):
        say(state_told(channel, old, _held_now(ivs, channel), stop_is_left=stop_is_left))
        raise


def _held_now(ivs: IvsAccess, channel: ChannelArn) -> list[str] | None:
    """The ARNs of the channel's stream keys; None when IVS can't be asked."""
    try:
        client = ivs.client_of_one_attempt(channel.region)
        return [stream_key["arn"] for stream_key in list_stream_keys(client, channel)]
    except TokensvcError:
        return None


def state_told(
    channel: ChannelArn, old: Sequence[str], held: Sequence[str] | None, *, stop_is_left: bool
) -> str:
    """What state a rotation that ended early has left, and what completes it, for a person.

    Args:
        channel: the channel.
        old: the ARNs of the stream keys that it had.
        held: those that it has now; None when IVS can't be asked.
        stop_is_left: whether the stream was to be stopped, and was not.
    """
    option = " --stop-stream" if stop_is_left else ""
    rotate = f"tokensvc stream-keys rotate {channel}{option}"
    if held is None:
        return (
            f"The rotation ended early, and IVS can't be asked how far it came.\n"
            f"Look: tokensvc stream-keys list {channel}\nThen complete it: {rotate}"
        )
    if not held:
        return (
            f"{channel} has no stream key now: no encoder can connect to it.\nComplete it: {rotate}"
        )
    if set(held) & set(old):
        return f"The old stream key is still valid; nothing has changed.\nComplete it: {rotate}"
    lines = [
        f"{channel} has the new stream key {held[0]}.",
        f"Show it: tokensvc stream-keys show {held[0]} --reveal",
    ]
    if stop_is_left:
        lines.append(
            f"Its stream may still run by the old one. Stop it: tokensvc streams stop {channel}"
        )
    return "\n".join(lines)
