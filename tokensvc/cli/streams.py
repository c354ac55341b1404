"""`tokensvc streams`: list and stop streams, and insert timed metadata."""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING

import click

from tokensvc.arns import ChannelArn, Region
from tokensvc.aws import translate_errors
from tokensvc.cli.changing import confirm, for_each, yes_option
from tokensvc.cli.ivs_access import IvsAccess, every_region_option, pass_ivs
from tokensvc.cli.ivs_answers import stream_document
from tokensvc.cli.live_channels import requiring_stream, stop_stream
from tokensvc.cli.naming import find_channel, find_channels
from tokensvc.cli.output import json_option, print_json, print_table

if TYPE_CHECKING:
    from mypy_boto3_ivs.literals import StreamHealthType
    from mypy_boto3_ivs.type_defs import StreamSummaryTypeDef, StreamTypeDef

_HEALTHS = ("HEALTHY", "STARVING", "UNKNOWN")  # IVS: botocore model, StreamHealth
_MAX_METADATA_BYTES = 1024  # of UTF-8; IVS: PutMetadata
_NOT_COUNTED = -1  # IVS: GetStream, when the viewer count timed out


@click.group()
def streams() -> None:
    """Manage streams: the broadcasts of live channels."""


@streams.command(name="list")
@every_region_option
@click.option("--health", type=click.Choice(_HEALTHS), help="List only streams with this health.")
@json_option
@pass_ivs
def list_streams(
    ivs: IvsAccess, region: str | None, health: StreamHealthType | None, *, as_json: bool
) -> None:
    """List the streams of live channels.

    Calls ListStreams. JSON output has the members of the IVS API.
    """
    found = [stream for each in ivs.regions(region) for stream in _list(ivs, each, health)]
    if as_json:
        print_json([stream_document(stream) for stream in found])
        return
    print_table(
        ("HEALTH", "VIEWERS", "SINCE", "STREAM", "CHANNEL"),
        [
            (
                stream.get("health", "-"),
                _viewers(stream),
                stream_document(stream).get("startTime", "-"),
                stream.get("streamId", "-"),
                stream["channelArn"],
            )
            for stream in found
        ],
    )


@streams.command()
@click.argument("channel")
@every_region_option
@json_option
@pass_ivs
def show(ivs: IvsAccess, channel: str, region: str | None, *, as_json: bool) -> None:
    """Show the stream of CHANNEL.

    Calls GetStream, and ListChannels to find a name. JSON output has the members of the IVS API.
    """
    arn = find_channel(ivs, channel, region)
    client = ivs.client(arn.region)
    with requiring_stream(arn), translate_errors("GetStream", arn.region):
        stream = client.get_stream(channelArn=str(arn))["stream"]
    document = stream_document(stream)
    if as_json:
        print_json(document)
        return
    print_table(
        ("", ""),
        [
            ("channel", str(arn)),
            ("stream", document.get("streamId", "-")),
            ("state", document.get("state", "-")),
            ("health", document.get("health", "-")),
            ("viewers", _viewers(stream)),
            ("since", document.get("startTime", "-")),
            ("playback URL", document.get("playbackUrl", "-")),
        ],
    )


@streams.command()
@click.argument("channels", nargs=-1, required=True, metavar="CHANNEL...")
@every_region_option
@yes_option
@pass_ivs
def stop(ivs: IvsAccess, channels: tuple[str, ...], region: str | None, *, yes: bool) -> None:
    """Stop the stream of each CHANNEL. Playback ends for its viewers.

    Calls StopStream, and ListChannels to find a name. Encoders reconnect by themselves. To prevent
    that, use `tokensvc stream-keys rotate --stop-stream`.
    """
    arns = find_channels(ivs, channels, region)
    lines = "\n".join(f"  {arn}" for arn in arns)
    confirm(f"Stop the streams of these channels:\n{lines}\nContinue?", yes=yes)
    for_each(arns, functools.partial(_stop, ivs))


@streams.command(name="put-metadata")
@click.argument("channel")
@click.argument("metadata")
@every_region_option
@pass_ivs
def put_metadata(ivs: IvsAccess, channel: str, metadata: str, region: str | None) -> None:
    """Insert METADATA into the stream of CHANNEL, for its players.

    Calls PutMetadata, and ListChannels to find a name. IVS accepts 1 to 1,024 bytes, five times a
    second for each channel. If METADATA is -, it is read from standard input.
    """
    try:
        text = sys.stdin.read() if metadata == "-" else metadata
        size = len(text.encode())
    except UnicodeError as exc:
        raise click.BadParameter("The metadata must be UTF-8.", param_hint="METADATA") from exc
    if not 1 <= size <= _MAX_METADATA_BYTES:
        raise click.BadParameter(
            f"IVS accepts 1 to {_MAX_METADATA_BYTES} bytes of UTF-8, but the metadata has {size}.",
            param_hint="METADATA",
        )
    arn = find_channel(ivs, channel, region)
    client = ivs.client(arn.region)
    with requiring_stream(arn), translate_errors("PutMetadata", arn.region):
        client.put_metadata(channelArn=str(arn), metadata=text)
    click.echo(f"Inserted {size} bytes into the stream of {arn}.")


def _list(
    ivs: IvsAccess, region: Region, health: StreamHealthType | None
) -> list[StreamSummaryTypeDef]:
    paginator = ivs.client(region).get_paginator("list_streams")
    with translate_errors("ListStreams", region):
        pages = (
            paginator.paginate()
            if health is None
            else paginator.paginate(filterBy={"health": health})
        )
        return [stream for page in pages for stream in page["streams"]]


def _stop(ivs: IvsAccess, arn: ChannelArn) -> str:
    if stop_stream(ivs, arn):
        return f"{arn} was stopped."
    return f"{arn} was not live."


def _viewers(stream: StreamTypeDef | StreamSummaryTypeDef) -> str:
    count = stream.get("viewerCount", _NOT_COUNTED)
    return "not counted" if count == _NOT_COUNTED else str(count)
