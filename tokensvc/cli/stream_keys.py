"""`tokensvc stream-keys`: the secrets that encoders send with, one for each channel."""

from __future__ import annotations

import functools
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from tokensvc.arns import ChannelArn
from tokensvc.aws import translated
from tokensvc.cli.changing import confirm, for_each, yes_option
from tokensvc.cli.ivs_access import IvsAccess, every_region_option, pass_ivs
from tokensvc.cli.ivs_answers import (
    HIDDEN,
    batches,
    fail_if_any,
    not_given,
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
    "--reveal", is_flag=True, help="Show the value, with which anyone can send to the channel."
)
keys_argument = click.argument("keys", nargs=-1, required=True, metavar="KEY...")


@click.group(name="stream-keys")
def stream_keys() -> None:
    """Stream keys: what an encoder proves itself with. A channel has one at most.

    Each KEY is a stream key's ARN, or its channel by ARN or name.
    """


@stream_keys.command(name="list")
@click.argument("channels", nargs=-1, metavar="[CHANNEL]...")
@every_region_option
@json_option
@pass_ivs
def list_command(
    ivs: IvsAccess, channels: tuple[str, ...], region: str | None, *, as_json: bool
) -> None:
    """List the stream keys of each CHANNEL, or of all channels; not their values.

    Calls ListStreamKeys once for each channel, and ListChannels to find all or a name.
    """
    arns = find_channels(ivs, channels, region) if channels else _all_channels(ivs, region)
    found: list[StreamKeySummaryTypeDef] = []
    # IVS allows five of these calls a second: a long list takes its time.
    with click.progressbar(
        arns, label="Channels asked", file=sys.stderr, hidden=not sys.stderr.isatty()
    ) as asked:
        for arn in asked:
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
    """Show each stream KEY; its value with --reveal alone.

    Calls GetStreamKey, or BatchGetStreamKey for more than one; where a channel is named
    ListStreamKeys, and ListChannels to find its name. JSON is a list with IVS's own members.
    """
    found, problems = _get(ivs, _find(ivs, keys, region))
    if as_json:
        print_json([stream_key_document(stream_key, reveal=reveal) for stream_key in found])
    else:
        for stream_key in found:
            _print(stream_key, reveal=reveal)
    fail_if_any(problems)


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
    """Make the stream key of CHANNEL, which has none.

    Calls CreateStreamKey, and ListChannels to find a name. A channel is made with one: this is for
    a channel whose key was deleted.
    """
    stream_key = create_stream_key(ivs, find_channel(ivs, channel, region), tags)
    _tell_new(stream_key, reveal=reveal, as_json=as_json)


@stream_keys.command()
@click.argument("channel")
@every_region_option
@click.option(
    "--stop-stream",
    is_flag=True,
    help="Also stop the stream that runs: it may be sent with the old key, which IVS checks when an"
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
    """Exchange the stream key of CHANNEL: the old one is deleted and a new one made.

    Calls ListStreamKeys, DeleteStreamKey, with --stop-stream StopStream, CreateStreamKey, and
    ListChannels to find a name. Run again, it completes a rotation that ended early. A key that
    leaked takes --stop-stream.
    """
    arn = find_channel(ivs, channel, region)
    stopping = " Its stream is stopped, and its viewers are cut off." if stop_stream else ""
    confirm(
        f"Delete the stream key of {arn} and make another? Its encoder needs the new one to connect"
        f" again.{stopping}",
        yes=yes,
    )
    stream_key = rotate_stream_key(ivs, arn, stop=stop_stream)
    _tell_new(stream_key, reveal=reveal, as_json=as_json)


@stream_keys.command()
@keys_argument
@every_region_option
@yes_option
@pass_ivs
def delete(ivs: IvsAccess, keys: tuple[str, ...], region: str | None, *, yes: bool) -> None:
    """Delete each stream KEY: no encoder connects with it any more. A stream that runs goes on.

    Calls DeleteStreamKey; where a channel is named ListStreamKeys, and ListChannels to find its
    name.
    """
    arns = _find(ivs, keys, region)
    lines = "\n".join(f"  {arn}" for arn in arns)
    confirm(f"Delete for ever:\n{lines}\nGo on?", yes=yes)
    for_each(arns, functools.partial(_delete, ivs))


def _all_channels(ivs: IvsAccess, region: str | None) -> tuple[ChannelArn, ...]:
    return tuple(
        ChannelArn.parse(channel["arn"])
        for where in ivs.regions(region)
        for channel in list_channels(ivs, where)
    )


def _find(ivs: IvsAccess, texts: Sequence[str], region: str | None) -> tuple[ResourceArn, ...]:
    """The stream keys of those ARNs, and of those channels, each once."""
    return tuple(dict.fromkeys(_find_one(ivs, text, region) for text in texts))


def _find_one(ivs: IvsAccess, text: str, region: str | None) -> ResourceArn:
    named = find_resource(ivs, text, region)
    if named.kind == STREAM_KEY:
        return named
    channel = find_channel(ivs, named.text, region)
    held = list_stream_keys(ivs.client(channel.region), channel)
    if not held:
        raise NotFound(
            f"{channel} has no stream key.",
            hint=f"Make one: tokensvc stream-keys create {channel}",
        )
    return ResourceArn.parse(held[0]["arn"])


def _get(
    ivs: IvsAccess, arns: Sequence[ResourceArn]
) -> tuple[list[StreamKeyTypeDef], list[TokensvcError]]:
    """The stream keys that IVS gives, in the order asked, and why it does not give the others."""
    if len(arns) == 1:
        client = ivs.client(arns[0].region)
        with translated("GetStreamKey", arns[0].region):
            return [client.get_stream_key(arn=arns[0].text)["streamKey"]], []
    found: dict[str, StreamKeyTypeDef] = {}
    problems: list[TokensvcError] = []
    for region, batch in batches(arns):
        client = ivs.client(region)
        with translated("BatchGetStreamKey", region):
            answer = client.batch_get_stream_key(arns=[arn.text for arn in batch])
            found |= {stream_key["arn"]: stream_key for stream_key in answer["streamKeys"]}
            problems += not_given(answer.get("errors", []))
    return [found[arn.text] for arn in arns if arn.text in found], problems


def _delete(ivs: IvsAccess, arn: ResourceArn) -> str:
    delete_stream_key(ivs.client(arn.region), arn.region, arn.text)
    return f"{arn} is deleted."


def _tell_new(stream_key: StreamKeyTypeDef, *, reveal: bool, as_json: bool) -> None:
    if as_json:
        print_json(stream_key_document(stream_key, reveal=reveal))
        return
    _print(stream_key, reveal=reveal)
    if not reveal:
        say(f"Its value: tokensvc stream-keys show {stream_key['arn']} --reveal")


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
