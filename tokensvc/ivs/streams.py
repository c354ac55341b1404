"""Streams: the broadcasts of live channels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tokensvc.arns import ChannelArn
from tokensvc.aws import AwsClients
from tokensvc.ivs.errors import ChannelNotBroadcasting
from tokensvc.ivs.translation import translate_errors

if TYPE_CHECKING:
    from mypy_boto3_ivs.type_defs import StreamTypeDef


def get_stream(clients: AwsClients, channel: ChannelArn) -> StreamTypeDef:
    """Return the stream of the channel.

    Raises:
        ChannelNotBroadcasting: when the channel is not live.
        NotFound, IvsRefused, IvsUnavailable: when the call to IVS fails.
    """
    client = clients.ivs(channel.region)
    with _explaining_offline(channel), translate_errors("GetStream", channel.region):
        return client.get_stream(channelArn=str(channel))["stream"]


def put_metadata(clients: AwsClients, channel: ChannelArn, metadata: str) -> None:
    """Insert timed metadata, 1 to 1,024 bytes of UTF-8, into the stream of the channel.

    Raises:
        ChannelNotBroadcasting: when the channel is not live.
        NotFound, IvsRefused, IvsUnavailable: when the call to IVS fails.
    """
    client = clients.ivs(channel.region)
    with _explaining_offline(channel), translate_errors("PutMetadata", channel.region):
        client.put_metadata(channelArn=str(channel), metadata=metadata)


def stop_stream(clients: AwsClients, channel: ChannelArn) -> bool:
    """Stop the channel's stream; return whether the channel was live.

    Raises:
        NotFound, IvsRefused, IvsUnavailable: when IVS does not stop the stream.
    """
    client = clients.ivs(channel.region)
    try:
        with translate_errors("StopStream", channel.region):
            client.stop_stream(channelArn=str(channel))
    except ChannelNotBroadcasting:
        return False
    return True


@contextmanager
def _explaining_offline(channel: ChannelArn) -> Iterator[None]:
    """Give IVS's error about a channel that is offline the hint how to start a stream."""
    try:
        yield
    except ChannelNotBroadcasting as exc:
        raise ChannelNotBroadcasting(
            f"Channel {channel} is not live: it has no stream.",
            hint="Start an encoder. To show the ingest server, run"
            f" `tokensvc channels show {channel}`.",
        ) from exc
