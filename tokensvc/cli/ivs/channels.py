"""`tokensvc channels`: list, create and delete channels, and change their access."""

from __future__ import annotations

from functools import partial

import click

from tokensvc.arns import ChannelArn
from tokensvc.cli.changing import confirm_list, for_each, yes_option
from tokensvc.cli.context import only_region
from tokensvc.cli.ivs import answers
from tokensvc.cli.ivs.access import EVERY_REGION, ONE_REGION, IvsAccess, pass_ivs
from tokensvc.cli.ivs.naming import find_channels
from tokensvc.cli.output import json_option, print_json, print_table, say
from tokensvc.cli.params import tag_option
from tokensvc.ivs.channel_changes import create_channel, delete_channel, set_private
from tokensvc.ivs.descriptions import CHANNELS, get_each
from tokensvc.ivs.listing import list_channels

# IVS: botocore model, ChannelType and ChannelLatencyMode
_TYPES = ("BASIC", "STANDARD", "ADVANCED_SD", "ADVANCED_HD")
_LATENCY_MODES = ("LOW", "NORMAL")

channels_argument = click.argument("channels", nargs=-1, required=True, metavar="CHANNEL...")
reveal_option = click.option(
    "--reveal",
    is_flag=True,
    help="Also print the secrets with which anyone can stream to the channel.",
)
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


@channels.command(name="list")
@pass_ivs(EVERY_REGION)
@click.option("--name", help="List only channels with exactly this name.")
@click.option("--details", is_flag=True, help="Also print the ingest server and the playback URL.")
@json_option
def list_command(ivs: IvsAccess, name: str | None, *, details: bool, as_json: bool) -> None:
    """List channels.

    Calls ListChannels and, with --details, BatchGetChannel. JSON output has the members of the IVS
    API.
    """
    summaries = [
        each for region in ivs.regions for each in list_channels(ivs.clients, region, name)
    ]
    if not details:
        answers.print_list(summaries, answers.CHANNEL_COLUMNS, as_json=as_json)
        return
    arns = [ChannelArn.parse(summary["arn"]) for summary in summaries]
    found, errors = get_each(ivs.clients, CHANNELS, arns)
    answers.print_list(found, answers.CHANNEL_DETAIL_COLUMNS, as_json=as_json)
    answers.fail_if_any(errors)


@channels.command()
@channels_argument
@pass_ivs(EVERY_REGION)
@reveal_option
@json_option
def show(ivs: IvsAccess, channels: tuple[str, ...], *, reveal: bool, as_json: bool) -> None:
    """Show the properties of each CHANNEL.

    Calls GetChannel, or BatchGetChannel for several channels, and ListChannels to find a name. JSON
    output is a list with the members of the IVS API.
    """
    found, errors = get_each(ivs.clients, CHANNELS, find_channels(ivs, channels))
    answers.print_each(found, answers.CHANNEL, reveal=reveal, as_json=as_json)
    answers.fail_if_any(errors)


@channels.command()
@click.argument("name")
@pass_ivs(ONE_REGION)
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
def create(  # noqa: PLR0913 # Each is an option of the command.
    ivs: IvsAccess,
    name: str,
    channel_type: str | None,
    latency_mode: str | None,
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
    request = {"name": name, "authorized": not public, "insecureIngest": insecure_ingest}
    optional = {
        "tags": tags,  # A request without tags needs no permission to tag.
        "type": channel_type,
        "latencyMode": latency_mode,
        "recordingConfigurationArn": recording_configuration,
    }
    request |= {member: value for member, value in optional.items() if value}
    made = create_channel(ivs.clients_without_retries, only_region(ivs.regions), request)
    channel, stream_key = made["channel"], made["streamKey"]
    if as_json:
        channel_document = answers.document(channel, reveal=reveal)
        stream_key_document = answers.document(stream_key, reveal=reveal)
        print_json({"channel": channel_document, "streamKey": stream_key_document})
        return
    of_channel = answers.rows(channel, answers.CHANNEL, reveal=reveal)
    of_stream_key = answers.rows(stream_key, answers.STREAM_KEY_OF_NEW_CHANNEL, reveal=reveal)
    print_table(("", ""), of_channel + of_stream_key)
    if not reveal:
        say(f"Show the stream key value: tokensvc stream-keys show {stream_key['arn']} --reveal")


@channels.command()
@channels_argument
@pass_ivs(EVERY_REGION)
@stop_option
@yes_option
def protect(ivs: IvsAccess, channels: tuple[str, ...], *, stop: bool, yes: bool) -> None:
    """Make each CHANNEL private: playback then needs a token.

    Calls UpdateChannel, GetChannel for a live channel, StopStream with --stop, and ListChannels to
    find a name. IVS can't update a live channel.
    """
    arns = find_channels(ivs, channels)
    if stop:
        confirm_list("Make these channels private, and stop those that are live:", arns, yes=yes)
    change = partial(set_private, ivs.clients, ivs.invocation.clock, is_private=True, stop=stop)
    for_each(arns, change, done="is now private.")


@channels.command()
@channels_argument
@pass_ivs(EVERY_REGION)
@stop_option
@yes_option
def unprotect(ivs: IvsAccess, channels: tuple[str, ...], *, stop: bool, yes: bool) -> None:
    """Make each CHANNEL public: anyone can then watch it.

    Calls UpdateChannel, GetChannel for a live channel, StopStream with --stop, and ListChannels to
    find a name. IVS can't update a live channel.
    """
    arns = find_channels(ivs, channels)
    stopping = ", and stop those that are live" if stop else ""
    question = f"Make these channels public{stopping}. Anyone can then watch them:"
    confirm_list(question, arns, yes=yes)
    change = partial(set_private, ivs.clients, ivs.invocation.clock, is_private=False, stop=stop)
    for_each(arns, change, done="is now public.")


@channels.command()
@channels_argument
@pass_ivs(EVERY_REGION)
@stop_option
@yes_option
def delete(ivs: IvsAccess, channels: tuple[str, ...], *, stop: bool, yes: bool) -> None:
    """Delete each CHANNEL and its stream key. If one CHANNEL does not exist, none is deleted.

    Calls GetChannel, or BatchGetChannel for several channels, DeleteChannel, StopStream with
    --stop, and ListChannels to find a name. IVS can't delete a live channel.
    """
    arns = find_channels(ivs, channels)
    found, errors = get_each(ivs.clients, CHANNELS, arns)
    if errors:
        raise errors[0]
    names = [f"{channel.get('name') or '-'}  {channel['arn']}" for channel in found]
    stopping = "The streams of live channels are stopped first. " if stop else ""
    confirm_list("Delete permanently:", names, note=stopping, yes=yes)
    change = partial(delete_channel, ivs.clients, ivs.invocation.clock, stop=stop)
    for_each(arns, change, done="was deleted.")
