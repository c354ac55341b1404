"""Find IVS resources by what an operator enters: an ARN, a name in the settings, or in IVS."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import click

from tokensvc.arns import ChannelArn, Region, parse_region
from tokensvc.aws import translate_errors
from tokensvc.cli.ivs_access import IvsAccess
from tokensvc.errors import ChannelNotFound, InvalidArn

if TYPE_CHECKING:
    from mypy_boto3_ivs.type_defs import ChannelSummaryTypeDef

_ARN = re.compile(r"arn:aws:ivs:([a-z0-9-]+):[0-9]+:([a-z-]+)/[a-zA-Z0-9-]+", re.ASCII)
_MAX_ARN_LENGTH = 128  # characters; IVS: botocore model, ResourceArn
_CHANNEL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}", re.ASCII)  # IVS: botocore model, ChannelName

STREAM_KEY = "stream-key"


@dataclass(frozen=True, slots=True)
class ResourceArn:
    """The ARN of an IVS resource of any kind.

    Attributes:
        text: the ARN.
        region: the resource's region.
        kind: `channel`, `stream-key`, `playback-key` or another resource type of IVS.
    """

    text: str
    region: Region
    kind: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse the text of an ARN.

        The pattern is tokensvc's own, because the one of the service model matches no real ARN.

        Raises:
            InvalidArn: when the text is not the ARN of an IVS resource.
        """
        match = _ARN.fullmatch(text)
        if match is None or len(text) > _MAX_ARN_LENGTH:
            raise InvalidArn(
                f"{text[:_MAX_ARN_LENGTH]!r} is not the ARN of an IVS resource.",
                hint="Use the form arn:aws:ivs:REGION:ACCOUNT:KIND/ID.",
            )
        return cls(text, parse_region(match[1]), match[2])

    def __str__(self) -> str:
        return self.text


def find_channel(ivs: IvsAccess, text: str, requested_region: str | None) -> ChannelArn:
    """Return the channel with that ARN or name; names in the settings come before names in IVS.

    Calls ListChannels for a name that is not in the settings.

    Raises:
        ChannelNotFound: when no channel has that name.
        click.BadParameter: when several channels have it, or it is neither a name nor an ARN.
    """
    if is_arn(text):
        try:
            arn = ChannelArn.parse(text)
        except InvalidArn as exc:
            raise click.BadParameter(str(exc)) from exc
        _check_region(arn.region, requested_region)
        return arn
    configured = ivs.channel_names.get(text)
    if configured is not None and requested_region in (None, configured.region):
        return configured
    return _find_by_ivs_name(ivs, text, requested_region)


def find_channels(
    ivs: IvsAccess, texts: Sequence[str], requested_region: str | None
) -> tuple[ChannelArn, ...]:
    """Return the channels with those ARNs and names, without duplicates; see `find_channel`."""
    return tuple(dict.fromkeys(find_channel(ivs, text, requested_region) for text in texts))


def find_resource(ivs: IvsAccess, text: str, requested_region: str | None) -> ResourceArn:
    """Return the resource with that ARN, or the channel with that name.

    Raises:
        ChannelNotFound: when no channel has that name.
        click.BadParameter: when several channels have it, or it is neither a name nor an ARN.
    """
    if not is_arn(text):
        text = str(find_channel(ivs, text, requested_region))
    try:
        resource = ResourceArn.parse(text)
    except InvalidArn as exc:
        raise click.BadParameter(str(exc)) from exc
    _check_region(resource.region, requested_region)
    return resource


def list_channels(
    ivs: IvsAccess, region: Region, name: str | None = None
) -> list[ChannelSummaryTypeDef]:
    """Return the summaries of all channels of the region, or of those with that name.

    Raises:
        IvsRefused, IvsUnavailable: when the call to IVS fails.
    """
    paginator = ivs.client(region).get_paginator("list_channels")
    with translate_errors("ListChannels", region):
        pages = paginator.paginate() if name is None else paginator.paginate(filterByName=name)
        return [channel for page in pages for channel in page["channels"]]


def is_arn(text: str) -> bool:
    """Return whether the text is meant as an ARN: channel names have no colon."""
    return text.startswith("arn:")


def _check_region(region: Region, requested: str | None) -> None:
    if requested not in (None, region):
        raise click.BadParameter(
            f"The ARN is in {region}. Remove --region, or use the same region.",
            param_hint="--region",
        )


def _find_by_ivs_name(ivs: IvsAccess, name: str, requested_region: str | None) -> ChannelArn:
    if not _CHANNEL_NAME.fullmatch(name):
        raise click.BadParameter(f"{name!r} is neither an ARN nor a valid channel name.")
    regions = ivs.regions(requested_region)
    found = [
        channel["arn"]
        for region in regions
        for channel in list_channels(ivs, region, name)
        if channel.get("name") == name
    ]
    if not found:
        raise ChannelNotFound(
            f"No channel in {', '.join(regions)} has the name {name!r}.",
            hint="Run `tokensvc channels list` to list the channels.",
        )
    if len(found) > 1:
        arns = "\n".join(f"  {arn}" for arn in found)
        raise click.BadParameter(
            f"{len(found)} channels have the name {name!r}. Use the ARN of one of them:\n{arns}"
        )
    return ChannelArn.parse(found[0])
