"""`tokensvc streams`: list and stop streams, and insert timed metadata."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from tokensvc.arns import ChannelArn
from tokensvc.cli.changing import confirm_list, for_each, yes_option
from tokensvc.cli.ivs import answers
from tokensvc.cli.ivs.access import EVERY_REGION, IvsAccess, pass_ivs
from tokensvc.cli.ivs.naming import find_channel, find_channels
from tokensvc.cli.output import json_option
from tokensvc.ivs.limits import LONGEST_METADATA_BYTES
from tokensvc.ivs.listing import list_streams
from tokensvc.ivs.streams import get_stream, stop_stream
from tokensvc.ivs.streams import put_metadata as put_metadata_into

if TYPE_CHECKING:
    from mypy_boto3_ivs.literals import StreamHealthType

_HEALTHS = ("HEALTHY", "STARVING", "UNKNOWN")  # IVS: botocore model, StreamHealth


@click.group()
def streams() -> None:
    """Manage streams: the broadcasts of live channels."""


@streams.command(name="list")
@pass_ivs(EVERY_REGION)
@click.option("--health", type=click.Choice(_HEALTHS), help="List only streams with this health.")
@json_option
def list_command(ivs: IvsAccess, health: StreamHealthType | None, *, as_json: bool) -> None:
    """List the streams of live channels.

    Calls ListStreams. JSON output has the members of the IVS API.
    """
    found = [each for region in ivs.regions for each in list_streams(ivs.clients, region, health)]
    answers.print_list(found, answers.STREAM_COLUMNS, as_json=as_json)


@streams.command()
@click.argument("channel")
@pass_ivs(EVERY_REGION)
@json_option
def show(ivs: IvsAccess, channel: str, *, as_json: bool) -> None:
    """Show the stream of CHANNEL.

    Calls GetStream, and ListChannels to find a name. JSON output has the members of the IVS API.
    """
    stream = get_stream(ivs.clients, find_channel(ivs, channel))
    answers.print_one(stream, answers.STREAM, as_json=as_json)


@streams.command()
@click.argument("channels", nargs=-1, required=True, metavar="CHANNEL...")
@pass_ivs(EVERY_REGION)
@yes_option
def stop(ivs: IvsAccess, channels: tuple[str, ...], *, yes: bool) -> None:
    """Stop the stream of each CHANNEL. Playback ends for its viewers.

    Calls StopStream, and ListChannels to find a name. Encoders reconnect by themselves. To prevent
    that, use `tokensvc stream-keys rotate --stop-stream`.
    """
    arns = find_channels(ivs, channels)
    confirm_list("Stop the streams of these channels:", arns, yes=yes)

    def stop_one(arn: ChannelArn) -> str:
        return "was stopped." if stop_stream(ivs.clients, arn) else "was not live."

    for_each(arns, stop_one)


@streams.command()
@click.argument("channel")
@click.argument("metadata")
@pass_ivs(EVERY_REGION)
def put_metadata(ivs: IvsAccess, channel: str, metadata: str) -> None:
    """Insert METADATA into the stream of CHANNEL, for its players.

    Calls PutMetadata, and ListChannels to find a name. IVS accepts 1 to 1,024 bytes, five times a
    second for each channel. If METADATA is -, it is read from standard input.
    """
    try:
        text = sys.stdin.read() if metadata == "-" else metadata
        size = len(text.encode())
    except UnicodeError as exc:
        raise click.BadParameter("The metadata must be UTF-8.", param_hint="METADATA") from exc
    if not 1 <= size <= LONGEST_METADATA_BYTES:
        raise click.BadParameter(
            f"IVS accepts 1 to {LONGEST_METADATA_BYTES} bytes of UTF-8, but the metadata has"
            f" {size}.",
            param_hint="METADATA",
        )
    arn = find_channel(ivs, channel)
    put_metadata_into(ivs.clients, arn, text)
    click.echo(f"Inserted {size} bytes into the stream of {arn}.")
