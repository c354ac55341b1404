"""Stream keys, with which encoders authenticate, and their rotation.

IVS allows one stream key for each channel. A rotation deletes the old key before it creates the new
one, so the channel has no key for a short time. If the rotation stops early, its status says what
was done and which command completes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from tokensvc.arns import ChannelArn, ResourceArn
from tokensvc.aws import AwsClients
from tokensvc.errors import NotFound, TokensvcError
from tokensvc.ivs.errors import QuotaExceeded
from tokensvc.ivs.limits import STREAM_KEYS_PER_PAGE
from tokensvc.ivs.streams import stop_stream
from tokensvc.ivs.translation import translate_errors

if TYPE_CHECKING:
    from mypy_boto3_ivs.type_defs import (
        CreateStreamKeyRequestTypeDef,
        StreamKeySummaryTypeDef,
        StreamKeyTypeDef,
    )


def list_stream_keys(clients: AwsClients, channel: ChannelArn) -> list[StreamKeySummaryTypeDef]:
    """Return the channel's stream keys, without their values.

    Raises:
        NotFound, IvsRefused, IvsUnavailable: when the call to IVS fails.
    """
    paginator = clients.ivs(channel.region).get_paginator("list_stream_keys")
    with translate_errors("ListStreamKeys", channel.region):
        pages = paginator.paginate(
            channelArn=str(channel), PaginationConfig={"PageSize": STREAM_KEYS_PER_PAGE}
        )
        return [stream_key for page in pages for stream_key in page["streamKeys"]]


def create_stream_key(
    clients: AwsClients, channel: ChannelArn, tags: Mapping[str, str]
) -> StreamKeyTypeDef:
    """Create a stream key for the channel and return it, with its value.

    Raises:
        QuotaExceeded: when the channel has a stream key already.
        NotFound, IvsRefused, IvsUnavailable: when the call to IVS fails.
    """
    client = clients.ivs(channel.region)
    request: CreateStreamKeyRequestTypeDef = {"channelArn": str(channel)}
    if tags:  # A request without tags needs no permission to tag.
        request["tags"] = tags
    try:
        with translate_errors("CreateStreamKey", channel.region):
            return client.create_stream_key(**request)["streamKey"]
    except QuotaExceeded as exc:
        raise QuotaExceeded(
            f"Channel {channel} has a stream key already. IVS allows one for each channel.",
            hint=f"Show the stream key with `tokensvc stream-keys show {channel} --reveal`, or"
            f" replace it with `tokensvc stream-keys rotate {channel}`.",
        ) from exc


def stream_key_of(clients: AwsClients, channel: ChannelArn) -> ResourceArn:
    """Return the ARN of the channel's stream key.

    Raises:
        NotFound: when the channel has none, or does not exist.
        IvsRefused, IvsUnavailable: when the call to IVS fails.
    """
    for stream_key in list_stream_keys(clients, channel):
        return ResourceArn.parse(stream_key["arn"])
    raise NotFound(
        f"Channel {channel} has no stream key.",
        hint=f"Run `tokensvc stream-keys create {channel}` to create one.",
    )


def delete_stream_key(clients: AwsClients, arn: ResourceArn) -> None:
    """Delete the stream key.

    Raises:
        NotFound: when it does not exist, also after an attempt that succeeded without an answer.
        IvsRefused, IvsUnavailable: when the call to IVS fails.
    """
    client = clients.ivs(arn.region)
    with translate_errors("DeleteStreamKey", arn.region):
        client.delete_stream_key(arn=arn.text)


class StreamKeyRotation:
    """A rotation of a channel's stream key, so that a leaked key no longer works.

    Args:
        clients: the AWS clients.
        channel: the channel; if it has no stream key, one is created.
        old: the channel's stream keys.
        stop: whether to stop the stream once the old key is deleted. The stream may still use the
            old key: IVS checks the key only when an encoder connects (IVS: StopStream).
    """

    def __init__(
        self,
        clients: AwsClients,
        channel: ChannelArn,
        old: Sequence[StreamKeySummaryTypeDef],
        *,
        stop: bool,
    ) -> None:
        self._clients = clients
        self._channel = channel
        self._old_arns = [each["arn"] for each in old]
        self._tags = {key: value for each in old for key, value in each.get("tags", {}).items()}
        self._must_stop = stop

    @classmethod
    def begin(cls, clients: AwsClients, channel: ChannelArn, *, stop: bool) -> Self:
        """Return the rotation of the channel's current stream key. It changes nothing yet.

        Raises:
            NotFound, IvsRefused, IvsUnavailable: when the call to IVS fails.
        """
        return cls(clients, channel, list_stream_keys(clients, channel), stop=stop)

    def run(self, report: Callable[[str], None]) -> StreamKeyTypeDef:
        """Delete the old stream key, create one with the same tags, and return it with its value.

        Args:
            report: called with a sentence after each step.

        Raises:
            NotFound, IvsRefused, IvsUnavailable: when a call to IVS fails. `status` then says what
                was done.
        """
        channel = self._channel
        for arn in self._old_arns:
            # The key existed just before: if it is not found, an earlier attempt has deleted it.
            with suppress(NotFound):
                delete_stream_key(self._clients, ResourceArn.parse(arn))
            report(f"Deleted {arn}: encoders can't connect with it any longer.")
        # Before the new key is created, so that an attacker is cut off even if that fails.
        if self._must_stop:
            was_live = stop_stream(self._clients, channel)
            self._must_stop = False
            report(f"Stopped the stream of {channel}." if was_live else f"{channel} was not live.")
        return create_stream_key(self._clients, channel, self._tags)

    def status(self, clients: AwsClients) -> str:
        """Describe what a rotation that stopped early has done, and which command completes it.

        Args:
            clients: AWS clients that do not retry, because IVS may not answer.
        """
        current = None
        with suppress(TokensvcError):
            current = [each["arn"] for each in list_stream_keys(clients, self._channel)]
        return rotation_status(self._channel, self._old_arns, current, must_stop=self._must_stop)


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
