"""Channels: what IVS says about one or about several, asked now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tokensvc.arns import ChannelArn
from tokensvc.aws import RESOURCE_NOT_FOUND, AwsClients, translated
from tokensvc.errors import ChannelNotFound, NotFound
from tokensvc.ivs.model import Channel

if TYPE_CHECKING:
    from mypy_boto3_ivs.type_defs import ChannelTypeDef

MOST_IN_A_CALL = 50  # channels; IVS: botocore model, ChannelArnList


def get_channel(clients: AwsClients, arn: ChannelArn) -> Channel:
    """The channel, by one GetChannel in the ARN's region.

    Raises:
        ChannelNotFound: when IVS knows no such channel.
        IvsRefused: when IVS denies the look-up, as for a channel of another account.
        IvsUnavailable: when IVS throttles, fails or can't be asked.
    """
    client = clients.ivs(arn.region)
    try:
        with translated("GetChannel", arn.region):
            return _channel(arn, client.get_channel(arn=str(arn))["channel"])
    except NotFound as exc:
        raise channel_not_found(arn) from exc


def get_channels(
    clients: AwsClients, arns: Sequence[ChannelArn]
) -> Mapping[ChannelArn, Channel | ChannelNotFound]:
    """What IVS says of each channel, by one BatchGetChannel.

    A channel about which IVS says neither what it is nor that there is none is left out: GetChannel
    tells why.

    Args:
        clients: the AWS clients.
        arns: 1 to 50, all of one region.

    Raises:
        NotFound, IvsRefused: when IVS refuses the whole call, as without permission for it.
        IvsUnavailable: when IVS throttles, fails or can't be asked.
    """
    region = arns[0].region
    client = clients.ivs(region)
    asked = {str(arn): arn for arn in arns}
    with translated("BatchGetChannel", region):
        answer = client.batch_get_channel(arns=list(asked))
        found = {
            asked[told["arn"]]: _channel(asked[told["arn"]], told)
            for told in answer.get("channels", ())
        }
        # A call of which every part has failed is an HTTP 200 all the same.
        absent = [
            asked[error["arn"]]
            for error in answer.get("errors", ())
            if error.get("code") == RESOURCE_NOT_FOUND
        ]
    return found | {arn: channel_not_found(arn) for arn in absent}


def channel_not_found(arn: ChannelArn) -> ChannelNotFound:
    """What is said of a channel that IVS does not know."""
    return ChannelNotFound(
        f"Amazon IVS knows no channel {arn}.",
        hint="Check the channel's ARN, its region and its account.",
    )


def _channel(arn: ChannelArn, told: ChannelTypeDef) -> Channel:
    """The channel as IVS tells it; a LookupError when it has no URL."""
    playback_url = told["playbackUrl"]
    if not playback_url:
        raise LookupError("playbackUrl")  # As when it is not there at all.
    return Channel(
        arn=arn,
        name=told.get("name", ""),
        # A channel that says nothing is public (botocore model, IsAuthorized).
        is_private=told.get("authorized", False),
        playback_url=playback_url,
    )
