"""Find IVS resources by what an operator enters: an ARN, a name in the settings, or in IVS."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TypeVar

import click

from tokensvc.arns import ChannelArn, ResourceArn
from tokensvc.cli.ivs.access import IvsAccess
from tokensvc.errors import ChannelNotFound, InvalidArn
from tokensvc.ivs.limits import LONGEST_NAME
from tokensvc.ivs.listing import list_channels

_Arn = TypeVar("_Arn", ChannelArn, ResourceArn)

_ARN_START = "arn:"  # Channel names have no colon.
# IVS: botocore model, ChannelName
_CHANNEL_NAME = re.compile(rf"[a-zA-Z0-9_-]{{1,{LONGEST_NAME}}}", re.ASCII)


def find_channel(ivs: IvsAccess, text: str) -> ChannelArn:
    """Return the channel with that ARN or name; names in the settings come before names in IVS.

    Calls ListChannels for a name that is not in the settings.

    Raises:
        ChannelNotFound: when no channel has that name.
        click.BadParameter: when several channels have it, or it is neither a name nor an ARN.
    """
    if text.startswith(_ARN_START):
        return _parse(ivs, text, ChannelArn.parse)
    configured = ivs.channel_names.get(text)
    if configured is not None and ivs.requested_region in (None, configured.region):
        return configured
    return _find_by_ivs_name(ivs, text)


def find_channels(ivs: IvsAccess, texts: Sequence[str]) -> tuple[ChannelArn, ...]:
    """Return the channels with those ARNs and names, without duplicates; see `find_channel`."""
    return tuple(dict.fromkeys(find_channel(ivs, text) for text in texts))


def find_resource(ivs: IvsAccess, text: str) -> ResourceArn:
    """Return the resource with that ARN, or the channel with that name; see `find_channel`."""
    arn = text if text.startswith(_ARN_START) else str(find_channel(ivs, text))
    return _parse(ivs, arn, ResourceArn.parse)


def _parse(ivs: IvsAccess, text: str, parse: Callable[[str], _Arn]) -> _Arn:
    try:
        arn = parse(text)
    except InvalidArn as exc:
        raise click.BadParameter(str(exc)) from exc
    if ivs.requested_region not in (None, arn.region):
        raise click.BadParameter(
            f"The ARN is in {arn.region}. Remove --region, or use the same region.",
            param_hint="--region",
        )
    return arn


def _find_by_ivs_name(ivs: IvsAccess, name: str) -> ChannelArn:
    if not _CHANNEL_NAME.fullmatch(name):
        raise click.BadParameter(f"{name!r} is neither an ARN nor a valid channel name.")
    found = [each for region in ivs.regions for each in list_channels(ivs.clients, region, name)]
    if not found:
        raise ChannelNotFound(
            f"No channel in {', '.join(ivs.regions)} has the name {name!r}.",
            hint="Run `tokensvc channels list` to list the channels.",
        )
    if len(found) > 1:
        arns = "\n".join(f"  {channel['arn']}" for channel in found)
        raise click.BadParameter(
            f"{len(found)} channels have the name {name!r}. Use the ARN of one of them:\n{arns}"
        )
    return ChannelArn.parse(found[0]["arn"])
