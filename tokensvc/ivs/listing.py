"""The channels and the streams of a region, as IVS lists them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokensvc.arns import Region
from tokensvc.aws import AwsClients
from tokensvc.ivs.translation import translate_errors

if TYPE_CHECKING:
    from mypy_boto3_ivs.literals import StreamHealthType
    from mypy_boto3_ivs.type_defs import ChannelSummaryTypeDef, StreamSummaryTypeDef


def list_channels(
    clients: AwsClients, region: Region, name: str | None = None
) -> list[ChannelSummaryTypeDef]:
    """Return the summaries of all channels of the region, or of those with exactly that name.

    Raises:
        IvsRefused, IvsUnavailable: when the call to IVS fails.
    """
    paginator = clients.ivs(region).get_paginator("list_channels")
    with translate_errors("ListChannels", region):
        pages = paginator.paginate() if name is None else paginator.paginate(filterByName=name)
        found = [channel for page in pages for channel in page["channels"]]
        return [channel for channel in found if name in (None, channel.get("name"))]


def list_streams(
    clients: AwsClients, region: Region, health: StreamHealthType | None = None
) -> list[StreamSummaryTypeDef]:
    """Return the summaries of all streams of the region, or of those with that health.

    Raises:
        IvsRefused, IvsUnavailable: when the call to IVS fails.
    """
    paginator = clients.ivs(region).get_paginator("list_streams")
    with translate_errors("ListStreams", region):
        pages = (
            paginator.paginate()
            if health is None
            else paginator.paginate(filterBy={"health": health})
        )
        return [stream for page in pages for stream in page["streams"]]
