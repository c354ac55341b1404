"""`tokensvc stream-keys`: the secrets of encoders, one for each channel."""

from __future__ import annotations

import functools
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from tokensvc.arns import ChannelArn
from tokensvc.aws import translate_errors
from tokensvc.cli.changing import confirm, for_each, yes_option
from tokensvc.cli.ivs_access import IvsAccess, every_region_option, pass_ivs
from tokensvc.cli.ivs_answers import (
    HIDDEN,
    batch_errors,
    batches,
    fail_if_any,
    stream_key_document,
    tags_text,
)
from tokensvc.cli.naming import (
    STREAM_KEY,
    ResourceArn,
    find_channel,
    find_channels,
    find_resource,
    list_channels,
)
from tokensvc.cli.output import json_option, print_json, print_table, say
from tokensvc.cli.stream_key_rotation import (
    create_stream_key,
    delete_stream_key,
    list_stream_keys,
    rotate_stream_key,
)
from tokensvc.cli.tags import tag_option
from tokensvc.errors import NotFound, TokensvcError

if TYPE_CHECKING:
    from mypy_boto3_ivs.type_defs import StreamKeySummaryTypeDef, StreamKeyTypeDef

reveal_option = click.option(
    "--reveal",
    is_flag=True,
    help="Also print the value, with which anyone can stream to the channel.",
)
keys_argument = click.argument("keys", nargs=-1, required=True, metavar="KEY...")


@click.group(name="stream-keys")
def stream_keys() -> None:
    """Manage stream keys, with which encoders authenticate. A channel has at most one.

    Each KEY is the ARN of a stream key, or the ARN or name of its channel.
    """


@stream_keys.command(name="list")
@click.argument("channels", nargs=-1, metavar="[CHANNEL]...")
@every_region_option
@json_option
@pass_ivs
def list_command(
    ivs: IvsAccess, channels: tuple[str, ...], region: str | None, *, as_json: bool
) -> None:
    """List the stream keys of all channels, or of each CHANNEL.

    Calls ListStreamKeys for each channel, and ListChannels to find all channels or a name. The
    values of the stream keys are not listed.
    """
    arns = find_channels(ivs, channels, region) if channels else _all_channels(ivs, region)
    found: list[StreamKeySummaryTypeDef] = []
    # IVS allows five of these calls a second, so a long list is slow.
    with click.progressbar(
        arns, label="Channels queried", file=sys.stderr, hidden=not sys.stderr.isatty()
    ) as progress:
        for arn in progress:
            found += list_stream_keys(ivs.client(arn.region), arn)
    if as_json:
        print_json([stream_key_document(stream_key) for stream_key in found])
        return
    print_table(
        ("STREAM KEY", "CHANNEL", "TAGS"),
        [
            (stream_key["arn"], stream_key["channelArn"], tags_text(stream_key.get("tags", {})))
            for stream_key in found
        ],
    )


@stream_keys.command()
@keys_argument
@every_region_option
@reveal_option
@json_option
@pass_ivs
def show(
    ivs: IvsAccess, keys: tuple[str, ...], region: str | None, *, reveal: bool, as_json: bool
) -> None:
    """Show each stream KEY. The value is hidden unless --reveal is given.

    Calls GetStreamKey, or BatchGetStreamKey for several keys, ListStreamKeys for a KEY that is a
    channel, and ListChannels to find a name. JSON output is a list with the members of the IVS API.
    """
    found, errors = _get(ivs, _find(ivs, keys, region))
    if as_json:
        print_json([stream_key_document(stream_key, reveal=reveal) for stream_key in found])
    else:
        for stream_key in found:
            _print(stream_key, reveal=reveal)
    fail_if_any(errors)


@stream_keys.command()
@click.argument("channel")
@every_region_option
@tag_option
@reveal_option
@json_option
@pass_ivs
def create(
    ivs: IvsAccess,
    channel: str,
    region: str | None,
    tags: dict[str, str],
    *,
    reveal: bool,
    as_json: bool,
) -> None:
    """Create a stream key for a CHANNEL that has none.

    Calls CreateStreamKey, and ListChannels to find a name. A new channel has a stream key already:
    use this command after the key was deleted.
    """
    stream_key = create_stream_key(ivs, find_channel(ivs, channel, region), tags)
    _print_new(stream_key, reveal=reveal, as_json=as_json)


@stream_keys.command()
@click.argument("channel")
@every_region_option
@click.option(
    "--stop-stream",
    is_flag=True,
    help="Also stop the current stream, which may use the old key: IVS checks the key only when an"
    " encoder connects.",
)
@yes_option
@reveal_option
@json_option
@pass_ivs
def rotate(
    ivs: IvsAccess,
    channel: str,
    region: str | None,
    *,
    stop_stream: bool,
    yes: bool,
    reveal: bool,
    as_json: bool,
) -> None:
    """Replace the stream key of CHANNEL with a new one.

    Calls ListStreamKeys, DeleteStreamKey, StopStream with --stop-stream, CreateStreamKey, and
    ListChannels to find a name. The old key is deleted first. Run the command again to complete a
    rotation that failed. Use --stop-stream if the old key has leaked.
    """
    arn = find_channel(ivs, channel, region)
    stopping = " Its stream is stopped, and playback ends for its viewers." if stop_stream else ""
    confirm(
        f"The stream key of {arn} is deleted and replaced. The encoder needs the new key for its"
        f" next connection.{stopping}\nContinue?",
        yes=yes,
    )
    stream_key = rotate_stream_key(ivs, arn, stop=stop_stream)
    _print_new(stream_key, reveal=reveal, as_json=as_json)


@stream_keys.command()
@keys_argument
@every_region_option
@yes_option
@pass_ivs
def delete(ivs: IvsAccess, keys: tuple[str, ...], region: str | None, *, yes: bool) -> None:
    """Delete each stream KEY. Encoders can't connect with it any longer.

    Calls DeleteStreamKey, ListStreamKeys for a KEY that is a channel, and ListChannels to find a
    name. A stream that is already running is not stopped.
    """
    arns = _find(ivs, keys, region)
    lines = "\n".join(f"  {arn}" for arn in arns)
    confirm(f"Delete permanently:\n{lines}\nContinue?", yes=yes)
    for_each(arns, functools.partial(_delete, ivs))


def _all_channels(ivs: IvsAccess, region: str | None) -> tuple[ChannelArn, ...]:
    return tuple(
        ChannelArn.parse(channel["arn"])
        for each in ivs.regions(region)
        for channel in list_channels(ivs, each)
    )


def _find(ivs: IvsAccess, texts: Sequence[str], region: str | None) -> tuple[ResourceArn, ...]:
    """Return the stream keys with those ARNs, and of those channels, without duplicates."""
    return tuple(dict.fromkeys(_find_one(ivs, text, region) for text in texts))


def _find_one(ivs: IvsAccess, text: str, region: str | None) -> ResourceArn:
    resource = find_resource(ivs, text, region)
    if resource.kind == STREAM_KEY:
        return resource
    channel = find_channel(ivs, resource.text, region)
    stream_keys_of_channel = list_stream_keys(ivs.client(channel.region), channel)
    if not stream_keys_of_channel:
        raise NotFound(
            f"Channel {channel} has no stream key.",
            hint=f"Run `tokensvc stream-keys create {channel}` to create one.",
        )
    return ResourceArn.parse(stream_keys_of_channel[0]["arn"])


def _get(
    ivs: IvsAccess, arns: Sequence[ResourceArn]
) -> tuple[list[StreamKeyTypeDef], list[TokensvcError]]:
    """Return the stream keys, in the order of the ARNs, and an error for each one that failed."""
    if len(arns) == 1:
        client = ivs.client(arns[0].region)
        with translate_errors("GetStreamKey", arns[0].region):
            return [client.get_stream_key(arn=arns[0].text)["streamKey"]], []
    found: dict[str, StreamKeyTypeDef] = {}
    errors: list[TokensvcError] = []
    for region, batch in batches(arns):
        client = ivs.client(region)
        with translate_errors("BatchGetStreamKey", region):
            answer = client.batch_get_stream_key(arns=[arn.text for arn in batch])
            found |= {stream_key["arn"]: stream_key for stream_key in answer["streamKeys"]}
            errors += batch_errors(answer.get("errors", []))
    return [found[arn.text] for arn in arns if arn.text in found], errors


def _delete(ivs: IvsAccess, arn: ResourceArn) -> str:
    delete_stream_key(ivs.client(arn.region), arn.region, arn.text)
    return f"{arn} was deleted."


def _print_new(stream_key: StreamKeyTypeDef, *, reveal: bool, as_json: bool) -> None:
    if as_json:
        print_json(stream_key_document(stream_key, reveal=reveal))
        return
    _print(stream_key, reveal=reveal)
    if not reveal:
        say(f"Show the value: tokensvc stream-keys show {stream_key['arn']} --reveal")


def _print(stream_key: StreamKeyTypeDef, *, reveal: bool) -> None:
    print_table(
        ("", ""),
        [
            ("stream key", stream_key["arn"]),
            ("channel", stream_key.get("channelArn", "-")),
            ("value", stream_key["value"] if reveal else HIDDEN),
            ("tags", tags_text(stream_key.get("tags", {}))),
        ],
    )
