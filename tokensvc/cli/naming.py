"""What a person calls a resource of IVS: an ARN, a configured name, or the channel's own name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import click

from tokensvc.arns import ChannelArn, Region, parse_region
from tokensvc.aws import translated
from tokensvc.cli.ivs_access import IvsAccess
from tokensvc.errors import ChannelNotFound, InvalidArn

if TYPE_CHECKING:
    from mypy_boto3_ivs.type_defs import ChannelSummaryTypeDef

_ARN = re.compile(r"arn:aws:ivs:([a-z0-9-]+):[0-9]+:([a-z-]+)/[a-zA-Z0-9-]+", re.ASCII)
_LONGEST_ARN = 128  # characters; IVS: botocore model, ResourceArn
_CHANNEL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}", re.ASCII)  # IVS: botocore model, ChannelName

STREAM_KEY = "stream-key"


@dataclass(frozen=True, slots=True)
class ResourceArn:
    """The ARN of any resource of IVS.

    Attributes:
        text: the ARN.
        region: where the resource is.
        kind: `channel`, `stream-key`, `playback-key` or another word of IVS's.
    """

    text: str
    region: Region
    kind: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """The ARN that the text spells.

        The pattern is ours, as the service model's own one matches no real ARN.

        Raises:
            InvalidArn: when it spells none of IVS.
        """
        match = _ARN.fullmatch(text)
        if match is None or len(text) > _LONGEST_ARN:
            raise InvalidArn(
                f"{text[:_LONGEST_ARN]!r} is not the ARN of a resource of IVS.",
                hint="It has the form arn:aws:ivs:REGION:ACCOUNT:KIND/ID.",
            )
        return cls(text, parse_region(match[1]), match[2])

    def __str__(self) -> str:
        return self.text


def find_channel(ivs: IvsAccess, text: str, asked_region: str | None) -> ChannelArn:
    """The channel of that ARN or name; a configured name goes before the channels' own.

    Calls ListChannels for a name that is not configured.

    Raises:
        ChannelNotFound: when no channel has that name.
        click.BadParameter: when more than one has it, or the text is no name and no ARN.
    """
    if is_arn(text):
        try:
            arn = ChannelArn.parse(text)
        except InvalidArn as exc:
            raise click.BadParameter(str(exc)) from exc
        _check_region(arn.region, asked_region)
        return arn
    configured = ivs.channel_names.get(text)
    if configured is not None and asked_region in (None, configured.region):
        return configured
    return _find_by_own_name(ivs, text, asked_region)


def find_channels(
    ivs: IvsAccess, texts: Sequence[str], asked_region: str | None
) -> tuple[ChannelArn, ...]:
    """The channels of those ARNs and names, each once; as `find_channel`."""
    return tuple(dict.fromkeys(find_channel(ivs, text, asked_region) for text in texts))


def find_resource(ivs: IvsAccess, text: str, asked_region: str | None) -> ResourceArn:
    """The resource of that ARN, of any kind, or else the channel of that name.

    Raises:
        ChannelNotFound: when no channel has that name.
        click.BadParameter: when more than one has it, or the text is no name and no ARN.
    """
    if not is_arn(text):
        text = str(find_channel(ivs, text, asked_region))
    try:
        resource = ResourceArn.parse(text)
    except InvalidArn as exc:
        raise click.BadParameter(str(exc)) from exc
    _check_region(resource.region, asked_region)
    return resource


def list_channels(
    ivs: IvsAccess, region: Region, name: str | None = None
) -> list[ChannelSummaryTypeDef]:
    """The summaries of all channels of the region, or of those with that name.

    Raises:
        IvsRefused, IvsUnavailable: when IVS does not give them.
    """
    paginator = ivs.client(region).get_paginator("list_channels")
    with translated("ListChannels", region):
        pages = paginator.paginate() if name is None else paginator.paginate(filterByName=name)
        return [channel for page in pages for channel in page["channels"]]


def is_arn(text: str) -> bool:
    """Whether the text is meant as an ARN: names of channels have no colon."""
    return text.startswith("arn:")


def _check_region(region: Region, asked: str | None) -> None:
    if asked not in (None, region):
        raise click.BadParameter(f"The ARN is of {region}.", param_hint="--region")


def _find_by_own_name(ivs: IvsAccess, name: str, asked_region: str | None) -> ChannelArn:
    if not _CHANNEL_NAME.fullmatch(name):
        raise click.BadParameter(f"{name!r} is neither an ARN nor a name that a channel can have.")
    regions = ivs.regions(asked_region)
    found = [
        channel["arn"]
        for region in regions
        for channel in list_channels(ivs, region, name)
        if channel.get("name") == name
    ]
    if not found:
        raise ChannelNotFound(
            f"No channel in {', '.join(regions)} has the name {name!r}.",
            hint="`tokensvc channels list` shows those that there are.",
        )
    if len(found) > 1:
        arns = "\n".join(f"  {arn}" for arn in found)
        raise click.BadParameter(f"{len(found)} channels have the name {name!r}; give one:\n{arns}")
    return ChannelArn.parse(found[0])
