"""Channels, fetched from IVS: one with GetChannel, several with BatchGetChannel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tokensvc.arns import ChannelArn
from tokensvc.aws import AwsClients
from tokensvc.errors import ChannelNotFound, NotFound
from tokensvc.ivs.errors import RESOURCE_NOT_FOUND
from tokensvc.ivs.model import Channel
from tokensvc.ivs.translation import translate_errors

if TYPE_CHECKING:
    from mypy_boto3_ivs.type_defs import ChannelTypeDef


def get_channel(clients: AwsClients, arn: ChannelArn) -> Channel:
    """Return the channel; calls GetChannel once, in the ARN's region.

    Raises:
        ChannelNotFound: when the channel does not exist in IVS.
        IvsRefused: when IVS denies the lookup, for example for a channel of another account.
        IvsUnavailable: when IVS throttles, fails or can't be reached.
    """
    client = clients.ivs(arn.region)
    try:
        with translate_errors("GetChannel", arn.region):
            return _channel(arn, client.get_channel(arn=str(arn))["channel"])
    except NotFound as exc:
        raise channel_not_found(arn) from exc


def get_channels(
    clients: AwsClients, arns: Sequence[ChannelArn]
) -> Mapping[ChannelArn, Channel | ChannelNotFound]:
    """Return each channel, or the error that it does not exist; calls BatchGetChannel once.

    A channel for which IVS returns any other error is left out. GetChannel returns the reason.

    Args:
        clients: the AWS clients.
        arns: 1 to 50 ARNs, all of one region.

    Raises:
        NotFound, IvsRefused: when IVS refuses the whole call, for example for lack of permission.
        IvsUnavailable: when IVS throttles, fails or can't be reached.
    """
    region = arns[0].region
    client = clients.ivs(region)
    arn_of_text = {str(arn): arn for arn in arns}
    with translate_errors("BatchGetChannel", region):
        answer = client.batch_get_channel(arns=list(arn_of_text))
        found = {
            arn_of_text[description["arn"]]: _channel(arn_of_text[description["arn"]], description)
            for description in answer.get("channels", ())
        }
        # IVS answers HTTP 200 even when every part of the call has failed.
        absent = [
            arn_of_text[error["arn"]]
            for error in answer.get("errors", ())
            if error.get("code") == RESOURCE_NOT_FOUND
        ]
    return found | {arn: channel_not_found(arn) for arn in absent}


def channel_not_found(arn: ChannelArn) -> ChannelNotFound:
    """Return the error for a channel that does not exist in IVS."""
    return ChannelNotFound(
        f"Channel {arn} does not exist in Amazon IVS.",
        hint="Check the region, the account and the ID in the channel's ARN.",
    )


def _channel(arn: ChannelArn, description: ChannelTypeDef) -> Channel:
    """Read IVS's description of the channel; a LookupError when it has no playback URL."""
    playback_url = description["playbackUrl"]
    if not playback_url:
        raise LookupError("playbackUrl")  # An empty URL is treated like a missing member.
    return Channel(
        arn=arn,
        name=description.get("name", ""),
        # A channel without this member is public (botocore model, IsAuthorized).
        is_private=description.get("authorized", False),
        playback_url=playback_url,
    )
