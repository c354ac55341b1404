"""`tokensvc channels list` and `channels show`: channels as IVS has them, secrets hidden."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from tokensvc.arns import ChannelArn
from tokensvc.aws import translated
from tokensvc.cli.ivs_access import IvsAccess, every_region_option, pass_ivs
from tokensvc.cli.ivs_answers import (
    HIDDEN,
    batches,
    channel_document,
    fail_if_any,
    not_given,
    tags_text,
)
from tokensvc.cli.naming import find_channels, list_channels
from tokensvc.cli.output import json_option, print_json, print_table
from tokensvc.errors import ChannelNotFound, NotFound

if TYPE_CHECKING:
    from mypy_boto3_ivs.type_defs import ChannelSummaryTypeDef, ChannelTypeDef

reveal_option = click.option(
    "--reveal", is_flag=True, help="Show the secrets that let anyone send to the channel."
)


@click.command(name="list")
@every_region_option
@click.option("--name", help="Only channels of exactly this name.")
@click.option("--details", is_flag=True, help="With ingest server and playback URL.")
@json_option
@pass_ivs
def list_command(
    ivs: IvsAccess, region: str | None, name: str | None, *, details: bool, as_json: bool
) -> None:
    """List the channels.

    Calls ListChannels and, with --details, BatchGetChannel. JSON has IVS's own members.
    """
    summaries = [
        summary for where in ivs.regions(region) for summary in list_channels(ivs, where, name)
    ]
    if not details:
        _print_summaries(summaries, as_json=as_json)
        return
    channels, problems = get_channels(ivs, [ChannelArn.parse(each["arn"]) for each in summaries])
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
    fail_if_any(problems)


@click.command()
@click.argument("channels", nargs=-1, required=True, metavar="CHANNEL...")
@every_region_option
@reveal_option
@json_option
@pass_ivs
def show(
    ivs: IvsAccess, channels: tuple[str, ...], region: str | None, *, reveal: bool, as_json: bool
) -> None:
    """Show all that IVS says about each CHANNEL: an ARN, a configured name or the channel's own.

    Calls GetChannel, or BatchGetChannel for more than one, and ListChannels to find a name. JSON is
    a list with IVS's own members.
    """
    found, problems = get_channels(ivs, find_channels(ivs, channels, region))
    if as_json:
        print_json([channel_document(channel, reveal=reveal) for channel in found])
    else:
        for channel in found:
            print_table(("", ""), channel_facts(channel, reveal=reveal))
    fail_if_any(problems)


def get_channels(
    ivs: IvsAccess, arns: Sequence[ChannelArn]
) -> tuple[list[ChannelTypeDef], list[NotFound]]:
    """The channels that IVS gives, in the order asked, and why it does not give the others.

    Raises:
        ChannelNotFound: when the only one asked for does not exist.
        IvsRefused, IvsUnavailable: when IVS gives none.
    """
    if len(arns) == 1:
        return [_get_channel(ivs, arns[0])], []
    found: dict[str, ChannelTypeDef] = {}
    problems: list[NotFound] = []
    for region, batch in batches(arns):
        client = ivs.client(region)
        with translated("BatchGetChannel", region):
            answer = client.batch_get_channel(arns=[str(arn) for arn in batch])
            found |= {channel["arn"]: channel for channel in answer["channels"]}
            problems += not_given(answer.get("errors", []))
    return [found[str(arn)] for arn in arns if str(arn) in found], problems


def is_private_now(ivs: IvsAccess, arn: ChannelArn) -> bool:
    """Whether playback needs a token, by one GetChannel.

    Raises:
        ChannelNotFound: when it does not exist.
        IvsRefused, IvsUnavailable: when IVS does not tell.
    """
    return _is_private(_get_channel(ivs, arn))


def channel_facts(channel: ChannelTypeDef, *, reveal: bool) -> list[tuple[str, str]]:
    """What a person wants to know of the channel, a name and a text each."""
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
    """Whether playback needs a token: `private` or `public`."""
    return "private" if _is_private(channel) else "public"


def ingest_server(channel: ChannelTypeDef) -> str:
    """The address that an encoder is given (IVS: getting started, streaming configuration)."""
    endpoint = channel.get("ingestEndpoint")
    return f"rtmps://{endpoint}:443/app/" if endpoint else "-"


def _is_private(channel: ChannelTypeDef | ChannelSummaryTypeDef) -> bool:
    # A channel that says nothing is public (botocore model, IsAuthorized).
    return channel.get("authorized", False)


def _get_channel(ivs: IvsAccess, arn: ChannelArn) -> ChannelTypeDef:
    client = ivs.client(arn.region)
    try:
        with translated("GetChannel", arn.region):
            return client.get_channel(arn=str(arn))["channel"]
    except NotFound as exc:
        raise ChannelNotFound(
            f"Amazon IVS knows no channel {arn}.",
            hint="`tokensvc channels list` shows those that there are.",
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
