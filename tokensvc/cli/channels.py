"""`tokensvc channels`: create channels, change their access, and delete them."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import click

from tokensvc.arns import ChannelArn
from tokensvc.aws import CONFLICT, translate_errors
from tokensvc.cli.changing import confirm, for_each, yes_option
from tokensvc.cli.channel_listing import (
    channel_facts,
    fetch_is_private,
    get_channels,
    list_command,
    reveal_option,
    show,
)
from tokensvc.cli.ivs_access import IvsAccess, every_region_option, one_region_option, pass_ivs
from tokensvc.cli.ivs_answers import HIDDEN, channel_document, stream_key_document
from tokensvc.cli.live_channels import change_offline
from tokensvc.cli.naming import find_channels
from tokensvc.cli.output import json_option, print_json, print_table, say
from tokensvc.cli.tags import tag_option
from tokensvc.errors import IvsRefused, IvsUnavailable, NotFound

if TYPE_CHECKING:
    from mypy_boto3_ivs.literals import ChannelLatencyModeType, ChannelTypeType
    from mypy_boto3_ivs.type_defs import CreateChannelRequestTypeDef, CreateChannelResponseTypeDef

# IVS: botocore model, ChannelType and ChannelLatencyMode
_TYPES = ("BASIC", "STANDARD", "ADVANCED_SD", "ADVANCED_HD")
_LATENCY_MODES = ("LOW", "NORMAL")

channels_argument = click.argument("channels", nargs=-1, required=True, metavar="CHANNEL...")
stop_option = click.option(
    "--stop",
    is_flag=True,
    help="Stop the stream of a live channel first. Playback ends for its viewers.",
)


@click.group()
def channels() -> None:
    """Manage channels of IVS.

    Each CHANNEL is an ARN, a name from [channels] in the settings, or the channel's name in IVS.
    """


channels.add_command(list_command)
channels.add_command(show)


@channels.command()
@click.argument("name")
@one_region_option
@click.option(
    "--public",
    is_flag=True,
    help="Create a public channel. The default is private: playback needs a token.",
)
@click.option(
    "--type",
    "channel_type",
    type=click.Choice(_TYPES),
    help="The channel type. Default: the default of IVS.",
)
@click.option(
    "--latency-mode",
    type=click.Choice(_LATENCY_MODES),
    help="The latency mode. Default: the default of IVS.",
)
@click.option(
    "--recording-configuration",
    metavar="ARN",
    help="Record the channel's streams with this recording configuration.",
)
@click.option(
    "--insecure-ingest", is_flag=True, help="Also accept streams from encoders without TLS."
)
@tag_option
@reveal_option
@json_option
@pass_ivs
def create(  # noqa: PLR0913 # Each is an option of the command.
    ivs: IvsAccess,
    name: str,
    region: str | None,
    channel_type: ChannelTypeType | None,
    latency_mode: ChannelLatencyModeType | None,
    recording_configuration: str | None,
    tags: dict[str, str],
    *,
    public: bool,
    insecure_ingest: bool,
    reveal: bool,
    as_json: bool,
) -> None:
    """Create a private channel called NAME, and its stream key.

    Calls CreateChannel. Prints the ingest server for the encoder, and the command that shows the
    value of the stream key.
    """
    request: CreateChannelRequestTypeDef = {
        "name": name,
        "authorized": not public,
        "insecureIngest": insecure_ingest,
    }
    if tags:  # A request without tags needs no permission to tag.
        request["tags"] = tags
    if channel_type is not None:
        request["type"] = channel_type
    if latency_mode is not None:
        request["latencyMode"] = latency_mode
    if recording_configuration is not None:
        request["recordingConfigurationArn"] = recording_configuration
    answer = _create(ivs, region, request)
    if as_json:
        print_json(
            {
                "channel": channel_document(answer["channel"], reveal=reveal),
                "streamKey": stream_key_document(answer["streamKey"], reveal=reveal),
            }
        )
        return
    stream_key_arn = answer["streamKey"]["arn"]
    print_table(
        ("", ""),
        [
            *channel_facts(answer["channel"], reveal=reveal),
            ("stream key", stream_key_arn),
            ("stream key value", answer["streamKey"]["value"] if reveal else HIDDEN),
        ],
    )
    if not reveal:
        say(f"Show the stream key value: tokensvc stream-keys show {stream_key_arn} --reveal")


@channels.command()
@channels_argument
@every_region_option
@stop_option
@yes_option
@pass_ivs
def protect(
    ivs: IvsAccess, channels: tuple[str, ...], region: str | None, *, stop: bool, yes: bool
) -> None:
    """Make each CHANNEL private: playback then needs a token.

    Calls UpdateChannel, GetChannel for a live channel, StopStream with --stop, and ListChannels to
    find a name. IVS can't update a live channel.
    """
    arns = find_channels(ivs, channels, region)
    if stop:
        confirm(
            f"Make these channels private, and stop those that are live:\n{_lines(arns)}\n"
            "Continue?",
            yes=yes,
        )
    for_each(arns, functools.partial(_set_private, ivs, is_private=True, stop=stop))


@channels.command()
@channels_argument
@every_region_option
@stop_option
@yes_option
@pass_ivs
def unprotect(
    ivs: IvsAccess, channels: tuple[str, ...], region: str | None, *, stop: bool, yes: bool
) -> None:
    """Make each CHANNEL public: anyone can then watch it.

    Calls UpdateChannel, GetChannel for a live channel, StopStream with --stop, and ListChannels to
    find a name. IVS can't update a live channel.
    """
    arns = find_channels(ivs, channels, region)
    stopping = ", and stop those that are live" if stop else ""
    confirm(
        f"Make these channels public{stopping}. Anyone can then watch them:\n{_lines(arns)}\n"
        "Continue?",
        yes=yes,
    )
    for_each(arns, functools.partial(_set_private, ivs, is_private=False, stop=stop))


@channels.command()
@channels_argument
@every_region_option
@stop_option
@yes_option
@pass_ivs
def delete(
    ivs: IvsAccess, channels: tuple[str, ...], region: str | None, *, stop: bool, yes: bool
) -> None:
    """Delete each CHANNEL and its stream key. If one CHANNEL does not exist, none is deleted.

    Calls GetChannel, or BatchGetChannel for several channels, DeleteChannel, StopStream with
    --stop, and ListChannels to find a name. IVS can't delete a live channel.
    """
    arns = find_channels(ivs, channels, region)
    found, errors = get_channels(ivs, arns)
    if errors:
        raise errors[0]
    names = "\n".join(f"  {channel.get('name') or '-'}  {channel['arn']}" for channel in found)
    stopping = "The streams of live channels are stopped first. " if stop else ""
    confirm(f"Delete permanently:\n{names}\n{stopping}Continue?", yes=yes)
    for_each(arns, functools.partial(_delete, ivs, stop=stop))


def _create(
    ivs: IvsAccess, region: str | None, request: CreateChannelRequestTypeDef
) -> CreateChannelResponseTypeDef:
    channel_region = ivs.region(region)
    # Names are not unique in IVS: a retry could create a second channel.
    client = ivs.client_without_retries(channel_region)
    try:
        with translate_errors("CreateChannel", channel_region):
            return client.create_channel(**request)
    except IvsUnavailable as exc:
        look_up = f"tokensvc channels list --name {request.get('name')} --region {channel_region}"
        raise IvsUnavailable(
            f"{exc.detail} The channel may have been created nevertheless.",
            hint=f"{exc.hint} Before you try again, check whether the channel exists: `{look_up}`.",
        ) from exc


def _set_private(ivs: IvsAccess, arn: ChannelArn, *, is_private: bool, stop: bool) -> str:
    client = ivs.client(arn.region)

    def update() -> None:
        try:
            with translate_errors("UpdateChannel", arn.region):
                client.update_channel(arn=str(arn), authorized=is_private)
        except IvsRefused as exc:
            # IVS refuses every update of a live channel. One that already has the requested access
            # needs no update, so its stream must not be stopped.
            if exc.aws_code != CONFLICT or fetch_is_private(ivs, arn) is not is_private:
                raise

    change_offline(ivs, arn, update, stop=stop)
    return f"{arn} is now {'private' if is_private else 'public'}."


def _delete(ivs: IvsAccess, arn: ChannelArn, *, stop: bool) -> str:
    client = ivs.client(arn.region)

    def delete_channel() -> None:
        try:
            with translate_errors("DeleteChannel", arn.region):
                client.delete_channel(arn=str(arn))
        except NotFound:
            # The channel existed just before: an attempt whose answer was lost has deleted it.
            return

    change_offline(ivs, arn, delete_channel, stop=stop)
    return f"{arn} was deleted."


def _lines(arns: tuple[ChannelArn, ...]) -> str:
    return "\n".join(f"  {arn}" for arn in arns)
