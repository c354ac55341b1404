"""`tokensvc stream-keys`: the secrets of encoders, one for each channel."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import click

from tokensvc.arns import ChannelArn, ResourceArn
from tokensvc.cli.changing import confirm, confirm_list, for_each, yes_option
from tokensvc.cli.ivs import answers
from tokensvc.cli.ivs.access import EVERY_REGION, IvsAccess, pass_ivs
from tokensvc.cli.ivs.naming import find_channel, find_channels, find_resource
from tokensvc.cli.output import json_option, progress, say
from tokensvc.cli.params import tag_option
from tokensvc.errors import TokensvcError
from tokensvc.ivs.descriptions import STREAM_KEYS, get_each
from tokensvc.ivs.listing import list_channels
from tokensvc.ivs.stream_keys import (
    StreamKeyRotation,
    create_stream_key,
    delete_stream_key,
    list_stream_keys,
    stream_key_of,
)

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
@pass_ivs(EVERY_REGION)
@json_option
def list_command(ivs: IvsAccess, channels: tuple[str, ...], *, as_json: bool) -> None:
    """List the stream keys of all channels, or of each CHANNEL.

    Calls ListStreamKeys for each channel, and ListChannels to find all channels or a name. The
    values of the stream keys are not listed.
    """
    arns = find_channels(ivs, channels) if channels else _all_channels(ivs)
    # IVS allows five of these calls a second, so a long list is slow.
    with progress(arns, "Channels queried") as bar:
        found = [each for arn in bar for each in list_stream_keys(ivs.clients, arn)]
    answers.print_list(found, answers.STREAM_KEY_COLUMNS, as_json=as_json)


@stream_keys.command()
@keys_argument
@pass_ivs(EVERY_REGION)
@reveal_option
@json_option
def show(ivs: IvsAccess, keys: tuple[str, ...], *, reveal: bool, as_json: bool) -> None:
    """Show each stream KEY. The value is hidden unless --reveal is given.

    Calls GetStreamKey, or BatchGetStreamKey for several keys, ListStreamKeys for a KEY that is a
    channel, and ListChannels to find a name. JSON output is a list with the members of the IVS API.
    """
    found, errors = get_each(ivs.clients, STREAM_KEYS, _find_stream_keys(ivs, keys))
    answers.print_each(found, answers.STREAM_KEY, reveal=reveal, as_json=as_json)
    answers.fail_if_any(errors)


@stream_keys.command()
@click.argument("channel")
@pass_ivs(EVERY_REGION)
@tag_option
@reveal_option
@json_option
def create(
    ivs: IvsAccess, channel: str, tags: dict[str, str], *, reveal: bool, as_json: bool
) -> None:
    """Create a stream key for a CHANNEL that has none.

    Calls CreateStreamKey, and ListChannels to find a name. A new channel has a stream key already:
    use this command after the key was deleted.
    """
    stream_key = create_stream_key(ivs.clients, find_channel(ivs, channel), tags)
    _print_new(stream_key, reveal=reveal, as_json=as_json)


@stream_keys.command()
@click.argument("channel")
@pass_ivs(EVERY_REGION)
@click.option(
    "--stop-stream",
    is_flag=True,
    help="Also stop the current stream, which may use the old key: IVS checks the key only when an"
    " encoder connects.",
)
@yes_option
@reveal_option
@json_option
def rotate(
    ivs: IvsAccess, channel: str, *, stop_stream: bool, yes: bool, reveal: bool, as_json: bool
) -> None:
    """Replace the stream key of CHANNEL with a new one.

    Calls ListStreamKeys, DeleteStreamKey, StopStream with --stop-stream, CreateStreamKey, and
    ListChannels to find a name. The old key is deleted first. Run the command again to complete a
    rotation that failed. Use --stop-stream if the old key has leaked.
    """
    arn = find_channel(ivs, channel)
    stopping = " Its stream is stopped, and playback ends for its viewers." if stop_stream else ""
    confirm(
        f"The stream key of {arn} is deleted and replaced. The encoder needs the new key for its"
        f" next connection.{stopping}\nContinue?",
        yes=yes,
    )
    rotation = StreamKeyRotation.begin(ivs.clients, arn, stop=stop_stream)
    try:
        stream_key = rotation.run(report=say)
    except (TokensvcError, KeyboardInterrupt):
        say(rotation.status(ivs.clients_without_retries))
        raise
    _print_new(stream_key, reveal=reveal, as_json=as_json)


@stream_keys.command()
@keys_argument
@pass_ivs(EVERY_REGION)
@yes_option
def delete(ivs: IvsAccess, keys: tuple[str, ...], *, yes: bool) -> None:
    """Delete each stream KEY. Encoders can't connect with it any longer.

    Calls DeleteStreamKey, ListStreamKeys for a KEY that is a channel, and ListChannels to find a
    name. A stream that is already running is not stopped.
    """
    arns = _find_stream_keys(ivs, keys)
    confirm_list("Delete permanently:", arns, yes=yes)
    for_each(arns, partial(delete_stream_key, ivs.clients), done="was deleted.")


def _all_channels(ivs: IvsAccess) -> tuple[ChannelArn, ...]:
    summaries = [each for region in ivs.regions for each in list_channels(ivs.clients, region)]
    return tuple(ChannelArn.parse(summary["arn"]) for summary in summaries)


def _find_stream_keys(ivs: IvsAccess, texts: Sequence[str]) -> tuple[ResourceArn, ...]:
    """Return the stream keys with those ARNs, and of those channels, without duplicates."""
    return tuple(dict.fromkeys(_find_stream_key(ivs, text) for text in texts))


def _find_stream_key(ivs: IvsAccess, text: str) -> ResourceArn:
    resource = find_resource(ivs, text)
    if resource.kind == "stream-key":
        return resource
    return stream_key_of(ivs.clients, find_channel(ivs, resource.text))


def _print_new(stream_key: answers.Answer, *, reveal: bool, as_json: bool) -> None:
    answers.print_one(stream_key, answers.STREAM_KEY, reveal=reveal, as_json=as_json)
    if not reveal and not as_json:
        say(f"Show the value: tokensvc stream-keys show {stream_key['arn']} --reveal")
