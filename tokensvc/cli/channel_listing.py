"""`tokensvc channels list` and `channels show`: channels as IVS returns them, secrets hidden."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from tokensvc.arns import ChannelArn
from tokensvc.aws import translate_errors
from tokensvc.cli.ivs_access import IvsAccess, every_region_option, pass_ivs
from tokensvc.cli.ivs_answers import (
    HIDDEN,
    batch_errors,
    batches,
    channel_document,
    fail_if_any,
    tags_text,
)
from tokensvc.cli.naming import find_channels, list_channels
from tokensvc.cli.output import json_option, print_json, print_table
from tokensvc.errors import ChannelNotFound, NotFound

if TYPE_CHECKING:
    from mypy_boto3_ivs.type_defs import ChannelSummaryTypeDef, ChannelTypeDef

reveal_option = click.option(
    "--reveal",
    is_flag=True,
    help="Also print the secrets with which anyone can stream to the channel.",
)


@click.command(name="list")
@every_region_option
@click.option("--name", help="List only channels with exactly this name.")
@click.option("--details", is_flag=True, help="Also print the ingest server and the playback URL.")
@json_option
@pass_ivs
def list_command(
    ivs: IvsAccess, region: str | None, name: str | None, *, details: bool, as_json: bool
) -> None:
    """List channels.

    Calls ListChannels and, with --details, BatchGetChannel. JSON output has the members of the IVS
    API.
    """
    summaries = [
        summary for each in ivs.regions(region) for summary in list_channels(ivs, each, name)
    ]
    if not details:
        _print_summaries(summaries, as_json=as_json)
        return
    channels, errors = get_channels(ivs, [ChannelArn.parse(each["arn"]) for each in summaries])
    if as_json:
        print_json([channel_document(channel) for channel in channels])
    else:
        print_table(
            ("NAME", "ACCESS", "TYPE", "INGEST SERVER", "PLAYBACK URL", "ARN"),
            [
                (
                    channel.get("name") or "-",
                    access_text(channel),
                    channel.get("type", "-"),
                    ingest_server(channel),
                    channel.get("playbackUrl", "-"),
                    channel["arn"],
                )
                for channel in channels
            ],
        )
    fail_if_any(errors)


@click.command()
@click.argument("channels", nargs=-1, required=True, metavar="CHANNEL...")
@every_region_option
@reveal_option
@json_option
@pass_ivs
def show(
    ivs: IvsAccess, channels: tuple[str, ...], region: str | None, *, reveal: bool, as_json: bool
) -> None:
    """Show the properties of each CHANNEL.

    Calls GetChannel, or BatchGetChannel for several channels, and ListChannels to find a name. JSON
    output is a list with the members of the IVS API.
    """
    found, errors = get_channels(ivs, find_channels(ivs, channels, region))
    if as_json:
        print_json([channel_document(channel, reveal=reveal) for channel in found])
    else:
        for channel in found:
            print_table(("", ""), channel_facts(channel, reveal=reveal))
    fail_if_any(errors)


def get_channels(
    ivs: IvsAccess, arns: Sequence[ChannelArn]
) -> tuple[list[ChannelTypeDef], list[NotFound]]:
    """Return the channels, in the order of the ARNs, and an error for each one that failed.

    Raises:
        ChannelNotFound: when there is one ARN and the channel does not exist.
        IvsRefused, IvsUnavailable: when the call to IVS fails.
    """
    if len(arns) == 1:
        return [_get_channel(ivs, arns[0])], []
    found: dict[str, ChannelTypeDef] = {}
    errors: list[NotFound] = []
    for region, batch in batches(arns):
        client = ivs.client(region)
        with translate_errors("BatchGetChannel", region):
            answer = client.batch_get_channel(arns=[str(arn) for arn in batch])
            found |= {channel["arn"]: channel for channel in answer["channels"]}
            errors += batch_errors(answer.get("errors", []))
    return [found[str(arn)] for arn in arns if str(arn) in found], errors


def fetch_is_private(ivs: IvsAccess, arn: ChannelArn) -> bool:
    """Return whether playback needs a token; calls GetChannel once.

    Raises:
        ChannelNotFound: when the channel does not exist.
        IvsRefused, IvsUnavailable: when the call to IVS fails.
    """
    return _is_private(_get_channel(ivs, arn))


def channel_facts(channel: ChannelTypeDef, *, reveal: bool) -> list[tuple[str, str]]:
    """Return the channel's properties for people: pairs of a name and a text."""
    srt = channel.get("srt", {})
    passphrase = srt.get("passphrase") or "-"
    return [
        ("name", channel.get("name") or "-"),
        ("arn", channel["arn"]),
        ("access", access_text(channel)),
        ("type", channel.get("type", "-")),
        ("latency mode", channel.get("latencyMode", "-")),
        ("ingest server", ingest_server(channel)),
        ("SRT endpoint", srt.get("endpoint") or "-"),
        ("SRT passphrase", HIDDEN if "passphrase" in srt and not reveal else passphrase),
        ("playback URL", channel.get("playbackUrl", "-")),
        ("recording", channel.get("recordingConfigurationArn") or "-"),
        ("tags", tags_text(channel.get("tags", {}))),
    ]


def access_text(channel: ChannelTypeDef | ChannelSummaryTypeDef) -> str:
    """Return `private` when playback needs a token, otherwise `public`."""
    return "private" if _is_private(channel) else "public"


def ingest_server(channel: ChannelTypeDef) -> str:
    """Return the URL to configure in an encoder (IVS: getting started, streaming configuration)."""
    endpoint = channel.get("ingestEndpoint")
    return f"rtmps://{endpoint}:443/app/" if endpoint else "-"


def _is_private(channel: ChannelTypeDef | ChannelSummaryTypeDef) -> bool:
    # A channel without this member is public (botocore model, IsAuthorized).
    return channel.get("authorized", False)


def _get_channel(ivs: IvsAccess, arn: ChannelArn) -> ChannelTypeDef:
    client = ivs.client(arn.region)
    try:
        with translate_errors("GetChannel", arn.region):
            return client.get_channel(arn=str(arn))["channel"]
    except NotFound as exc:
        raise ChannelNotFound(
            f"Channel {arn} does not exist in Amazon IVS.",
            hint="Run `tokensvc channels list` to list the channels.",
        ) from exc


def _print_summaries(summaries: Sequence[ChannelSummaryTypeDef], *, as_json: bool) -> None:
    if as_json:
        print_json([channel_document(summary) for summary in summaries])
        return
    print_table(
        ("NAME", "ACCESS", "TYPE", "LATENCY", "ARN"),
        [
            (
                summary.get("name") or "-",
                access_text(summary),
                summary.get("type", "-"),
                summary.get("latencyMode", "-"),
                summary["arn"],
            )
            for summary in summaries
        ],
    )
