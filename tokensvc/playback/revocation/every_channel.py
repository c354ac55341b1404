"""The channels of a region on which a viewer who is banned everywhere may be watching."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tokensvc.arns import ChannelArn, ChannelPattern, Region
from tokensvc.aws import AwsClients
from tokensvc.ivs.listing import list_channels, list_streams


def every_channel(
    clients: AwsClients, region: Region, covered: Iterable[ChannelPattern]
) -> Sequence[ChannelArn]:
    """The channels of that region that the patterns cover: live ones first, each once.

    Args:
        clients: the AWS clients.
        region: the region.
        covered: what grants cover. A viewer has tokens for these channels only.

    Raises:
        IvsUnavailable, IvsRefused: when IVS does not list its streams or channels.
    """
    patterns = frozenset(pattern for pattern in covered if pattern.region == region)
    if not patterns:
        return ()
    named = [_arn(pattern) for pattern in sorted(patterns) if not pattern.is_of_every_channel]
    live = [ChannelArn.parse(stream["channelArn"]) for stream in list_streams(clients, region)]
    listed: list[ChannelArn] = []
    if len(named) < len(patterns):
        listed = [ChannelArn.parse(channel["arn"]) for channel in list_channels(clients, region)]
    return [
        arn
        for arn in dict.fromkeys([*live, *named, *listed])
        if not patterns.isdisjoint(ChannelPattern.all_that_cover(arn))
    ]


def _arn(pattern: ChannelPattern) -> ChannelArn:
    return ChannelArn(pattern.region, pattern.account_id, pattern.resource_id)
