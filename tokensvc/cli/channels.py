"""`tokensvc channels`: channels made, protected and deleted."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import click

from tokensvc.arns import ChannelArn
from tokensvc.aws import CONFLICT, translated
from tokensvc.cli.changing import confirm, for_each, yes_option
from tokensvc.cli.channel_listing import (
    channel_facts,
    get_channels,
    is_private_now,
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
    "--stop", is_flag=True, help="Stop the stream of one that is live; its viewers are cut off."
)


@click.group()
def channels() -> None:
    """Channels of IVS: by ARN, by a name of the settings' [channels], or by their own name."""


channels.add_command(list_command)
channels.add_command(show)


@channels.command()
@click.argument("name")
@one_region_option
@click.option("--public", is_flag=True, help="Anyone may watch it; else it takes tokens to.")
@click.option("--type", "channel_type", type=click.Choice(_TYPES), help="Else IVS's own choice.")
@click.option("--latency-mode", type=click.Choice(_LATENCY_MODES), help="Else IVS's own choice.")
@click.option("--recording-configuration", metavar="ARN", help="Record its streams by this one.")
@click.option("--insecure-ingest", is_flag=True, help="Let encoders send without TLS too.")
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
    """Make a private channel called NAME, and a stream key with it.

    Calls CreateChannel. Prints where an encoder sends to, and the command that shows the stream key
    that it sends with.
    """
    request: CreateChannelRequestTypeDef = {
        "name": name,
        "authorized": not public,
        "insecureIngest": insecure_ingest,
    }
    if tags:  # Without any, no permission to tag is needed.
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
        say(f"The encoder's key: tokensvc stream-keys show {stream_key_arn} --reveal")


@channels.command()
@channels_argument
@every_region_option
@stop_option
@yes_option
@pass_ivs
def protect(
    ivs: IvsAccess, channels: tuple[str, ...], region: str | None, *, stop: bool, yes: bool
) -> None:
    """Make each CHANNEL private: from then on it plays with a token alone.

    Calls UpdateChannel, for one that is live GetChannel, with --stop StopStream, and ListChannels
    to find a name. IVS updates no channel that is live.
    """
    arns = find_channels(ivs, channels, region)
    if stop:
        confirm(f"Make private, and stop if live:\n{_lines(arns)}\nGo on?", yes=yes)
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
    """Make each CHANNEL public: from then on anyone may watch it.

    Calls UpdateChannel, for one that is live GetChannel, with --stop StopStream, and ListChannels
    to find a name. IVS updates no channel that is live.
    """
    arns = find_channels(ivs, channels, region)
    stopping = ", and stop if live" if stop else ""
    confirm(f"Let anyone watch{stopping}:\n{_lines(arns)}\nGo on?", yes=yes)
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
    """Delete each CHANNEL, and its stream key with it. None is deleted if one does not exist.

    Calls GetChannel, or BatchGetChannel for more than one, DeleteChannel, with --stop StopStream,
    and ListChannels to find a name. IVS deletes no channel that is live.
    """
    arns = find_channels(ivs, channels, region)
    found, problems = get_channels(ivs, arns)
    if problems:
        raise problems[0]
    names = "\n".join(f"  {channel.get('name') or '-'}  {channel['arn']}" for channel in found)
    stopping = "Those that are live are stopped first. " if stop else ""
    confirm(f"Delete for ever:\n{names}\n{stopping}Go on?", yes=yes)
    for_each(arns, functools.partial(_delete, ivs, stop=stop))


def _create(
    ivs: IvsAccess, region: str | None, request: CreateChannelRequestTypeDef
) -> CreateChannelResponseTypeDef:
    where = ivs.region(region)
    # IVS takes any number of channels of one name: trying again could make a second one.
    client = ivs.client_of_one_attempt(where)
    try:
        with translated("CreateChannel", where):
            return client.create_channel(**request)
    except IvsUnavailable as exc:
        look = f"tokensvc channels list --name {request.get('name')} --region {where}"
        raise IvsUnavailable(
            f"{exc.detail} The channel may have been made all the same.",
            hint=f"{exc.hint} Look before trying again: {look}",
        ) from exc


def _set_private(ivs: IvsAccess, arn: ChannelArn, *, is_private: bool, stop: bool) -> str:
    client = ivs.client(arn.region)

    def update() -> None:
        try:
            with translated("UpdateChannel", arn.region):
                client.update_channel(arn=str(arn), authorized=is_private)
        except IvsRefused as exc:
            # A live channel is refused what it is already, and nobody is to be cut off for that.
            if exc.aws_code != CONFLICT or is_private_now(ivs, arn) is not is_private:
                raise

    change_offline(ivs, arn, update, stop=stop)
    return f"{arn} is {'private' if is_private else 'public'} now."


def _delete(ivs: IvsAccess, arn: ChannelArn, *, stop: bool) -> str:
    client = ivs.client(arn.region)

    def delete_it() -> None:
        try:
            with translated("DeleteChannel", arn.region):
                client.delete_channel(arn=str(arn))
        except NotFound:
            # It was there a moment ago: an attempt whose answer was lost has deleted it.
            return

    change_offline(ivs, arn, delete_it, stop=stop)
    return f"{arn} is deleted."


def _lines(arns: tuple[ChannelArn, ...]) -> str:
    return "\n".join(f"  {arn}" for arn in arns)
