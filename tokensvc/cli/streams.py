"""`tokensvc streams`: what is live, stopped, and told to players."""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING

import click

from tokensvc.arns import ChannelArn, Region
from tokensvc.aws import translated
from tokensvc.cli.changing import confirm, for_each, yes_option
from tokensvc.cli.ivs_access import IvsAccess, every_region_option, pass_ivs
from tokensvc.cli.ivs_answers import stream_document
from tokensvc.cli.live_channels import needing_a_stream, stop_stream
from tokensvc.cli.naming import find_channel, find_channels
from tokensvc.cli.output import json_option, print_json, print_table

if TYPE_CHECKING:
    from mypy_boto3_ivs.literals import StreamHealthType
    from mypy_boto3_ivs.type_defs import StreamSummaryTypeDef, StreamTypeDef

_HEALTHS = ("HEALTHY", "STARVING", "UNKNOWN")  # IVS: botocore model, StreamHealth
_LARGEST_METADATA = 1024  # bytes of UTF-8; IVS: PutMetadata
_NOT_COUNTED = -1  # IVS: GetStream, when counting the viewers took too long


@click.group()
def streams() -> None:
    """Streams: the channels that are live."""


@streams.command(name="list")
@every_region_option
@click.option("--health", type=click.Choice(_HEALTHS), help="Only streams in this health.")
@json_option
@pass_ivs
def list_streams(
    ivs: IvsAccess, region: str | None, health: StreamHealthType | None, *, as_json: bool
) -> None:
    """List the streams: the channels that are live.

    Calls ListStreams. JSON has IVS's own members.
    """
    found = [stream for where in ivs.regions(region) for stream in _list(ivs, where, health)]
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

    Calls GetStream, and ListChannels to find a name. JSON has IVS's own members.
    """
    arn = find_channel(ivs, channel, region)
    client = ivs.client(arn.region)
    with needing_a_stream(arn), translated("GetStream", arn.region):
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
    """Stop the stream of each CHANNEL; its viewers are cut off.

    Calls StopStream, and ListChannels to find a name. Encoders reconnect by themselves: to keep one
    out, use `tokensvc stream-keys rotate --stop-stream`.
    """
    arns = find_channels(ivs, channels, region)
    lines = "\n".join(f"  {arn}" for arn in arns)
    confirm(f"Stop, and cut off the viewers of:\n{lines}\nGo on?", yes=yes)
    for_each(arns, functools.partial(_stop, ivs))


@streams.command(name="put-metadata")
@click.argument("channel")
@click.argument("metadata")
@every_region_option
@pass_ivs
def put_metadata(ivs: IvsAccess, channel: str, metadata: str, region: str | None) -> None:
    """Put METADATA into the stream of CHANNEL, for its players; - reads it from standard input.

    Calls PutMetadata, and ListChannels to find a name. IVS takes 1 to 1,024 bytes, five times a
    second for a channel.
    """
    try:
        text = sys.stdin.read() if metadata == "-" else metadata
        size = len(text.encode())
    except UnicodeError as exc:
        raise click.BadParameter("IVS takes text in UTF-8.", param_hint="METADATA") from exc
    if not 1 <= size <= _LARGEST_METADATA:
        raise click.BadParameter(
            f"IVS takes 1 to {_LARGEST_METADATA} bytes of UTF-8; these are {size}.",
            param_hint="METADATA",
        )
    arn = find_channel(ivs, channel, region)
    client = ivs.client(arn.region)
    with needing_a_stream(arn), translated("PutMetadata", arn.region):
        client.put_metadata(channelArn=str(arn), metadata=text)
    click.echo(f"{size} bytes are in the stream of {arn}.")


def _list(
    ivs: IvsAccess, region: Region, health: StreamHealthType | None
) -> list[StreamSummaryTypeDef]:
    paginator = ivs.client(region).get_paginator("list_streams")
    with translated("ListStreams", region):
        pages = (
            paginator.paginate()
            if health is None
            else paginator.paginate(filterBy={"health": health})
        )
        return [stream for page in pages for stream in page["streams"]]


def _stop(ivs: IvsAccess, arn: ChannelArn) -> str:
    if stop_stream(ivs, arn):
        return f"{arn} is stopped."
    return f"{arn} was not live."


def _viewers(stream: StreamTypeDef | StreamSummaryTypeDef) -> str:
    count = stream.get("viewerCount", _NOT_COUNTED)
    return "not counted" if count == _NOT_COUNTED else str(count)
