"""Channels: what IVS says about one, asked now."""

from __future__ import annotations

from tokensvc.arns import ChannelArn
from tokensvc.aws import AwsClients, translated
from tokensvc.errors import ChannelNotFound, NotFound
from tokensvc.ivs.model import Channel


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
            channel = client.get_channel(arn=str(arn))["channel"]
            playback_url = channel["playbackUrl"]
            if not playback_url:
                raise LookupError("playbackUrl")  # As when it is not there at all.
    except NotFound as exc:
        raise ChannelNotFound(
            f"Amazon IVS knows no channel {arn}.",
            way_out="Check the channel's ARN, its region and its account.",
        ) from exc
    return Channel(
        arn=arn,
        name=channel.get("name", ""),
        # A channel that says nothing is public (botocore model, IsAuthorized).
        is_private=channel.get("authorized", False),
        playback_url=playback_url,
    )
