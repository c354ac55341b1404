"""What is printed of each kind of resource: a table for people, IVS's own members as JSON.

Anyone who has a stream key's value or a channel's SRT passphrase can stream to the channel, so both
are printed only with `--reveal`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from tokensvc.cli.output import print_json, print_table, say_error
from tokensvc.clock import rfc3339
from tokensvc.errors import TokensvcError

Answer = Mapping[str, Any]
Facts = Sequence[tuple[str, Callable[[Answer], str]]]
"""Labels, and how to read the text for each from IVS's answer."""

_HIDDEN = "(hidden; use --reveal to show it)"
_NOT_COUNTED = -1  # IVS: GetStream, when the viewer count timed out


def tags_text(tags: Mapping[str, str]) -> str:
    """Return the tags for people, in one line."""
    return ", ".join(f"{key}={value}" for key, value in sorted(tags.items())) or "-"


def _member(name: str) -> Callable[[Answer], str]:
    return lambda answer: answer.get(name) or "-"


def _access(channel: Answer) -> str:
    # A channel without this member is public (botocore model, IsAuthorized).
    return "private" if channel.get("authorized") else "public"


def _ingest_server(channel: Answer) -> str:
    """Return the URL to configure in an encoder (IVS: getting started, streaming configuration)."""
    endpoint = channel.get("ingestEndpoint")
    return f"rtmps://{endpoint}:443/app/" if endpoint else "-"


def _srt(name: str) -> Callable[[Answer], str]:
    return lambda channel: channel.get("srt", {}).get(name) or "-"


def _tags(answer: Answer) -> str:
    return tags_text(answer.get("tags", {}))


def _viewers(stream: Answer) -> str:
    count = stream.get("viewerCount", _NOT_COUNTED)
    return "not counted" if count == _NOT_COUNTED else str(count)


CHANNEL_COLUMNS: Facts = (
    ("NAME", _member("name")),
    ("ACCESS", _access),
    ("TYPE", _member("type")),
    ("LATENCY", _member("latencyMode")),
    ("ARN", _member("arn")),
)
CHANNEL_DETAIL_COLUMNS: Facts = (
    ("NAME", _member("name")),
    ("ACCESS", _access),
    ("TYPE", _member("type")),
    ("INGEST SERVER", _ingest_server),
    ("PLAYBACK URL", _member("playbackUrl")),
    ("ARN", _member("arn")),
)
CHANNEL: Facts = (
    ("name", _member("name")),
    ("arn", _member("arn")),
    ("access", _access),
    ("type", _member("type")),
    ("latency mode", _member("latencyMode")),
    ("ingest server", _ingest_server),
    ("SRT endpoint", _srt("endpoint")),
    ("SRT passphrase", _srt("passphrase")),
    ("playback URL", _member("playbackUrl")),
    ("recording", _member("recordingConfigurationArn")),
    ("tags", _tags),
)
STREAM_KEY_COLUMNS: Facts = (
    ("STREAM KEY", _member("arn")),
    ("CHANNEL", _member("channelArn")),
    ("TAGS", _tags),
)
STREAM_KEY: Facts = (
    ("stream key", _member("arn")),
    ("channel", _member("channelArn")),
    ("value", _member("value")),
    ("tags", _tags),
)
STREAM_KEY_OF_NEW_CHANNEL: Facts = (
    ("stream key", _member("arn")),
    ("stream key value", _member("value")),
)
STREAM_COLUMNS: Facts = (
    ("HEALTH", _member("health")),
    ("VIEWERS", _viewers),
    ("SINCE", _member("startTime")),
    ("STREAM", _member("streamId")),
    ("CHANNEL", _member("channelArn")),
)
STREAM: Facts = (
    ("channel", _member("channelArn")),
    ("stream", _member("streamId")),
    ("state", _member("state")),
    ("health", _member("health")),
    ("viewers", _viewers),
    ("since", _member("startTime")),
    ("playback URL", _member("playbackUrl")),
)
_SECRETS = {"SRT passphrase", "value", "stream key value"}


def document(answer: Answer, *, reveal: bool = False) -> dict[str, Any]:
    """Return the answer as JSON members; with its secrets only if `reveal` is true."""
    members = dict(answer)
    if "startTime" in members:
        members["startTime"] = rfc3339(members["startTime"].timestamp())
    if not reveal:
        members.pop("value", None)  # A stream key's.
        if "srt" in members:
            members["srt"] = {k: v for k, v in members["srt"].items() if k != "passphrase"}
    return members


def rows(answer: Answer, facts: Facts, *, reveal: bool = False) -> list[tuple[str, str]]:
    """Return each label and its text; secrets are hidden unless `reveal` is true."""
    revealed = document(answer, reveal=True)
    texts = [(label, text(revealed)) for label, text in facts]
    if reveal:
        return texts
    return [
        (label, _HIDDEN if label in _SECRETS and text != "-" else text) for label, text in texts
    ]


def print_list(answers: Sequence[Answer], columns: Facts, *, as_json: bool) -> None:
    """Print the resources as a table with a line for each, or as a JSON list."""
    if as_json:
        print_json([document(answer) for answer in answers])
        return
    table = [[text for _label, text in rows(answer, columns)] for answer in answers]
    print_table([label for label, _read in columns], table)


def print_each(answers: Sequence[Answer], facts: Facts, *, reveal: bool, as_json: bool) -> None:
    """Print the facts of each resource, or a JSON list."""
    if as_json:
        print_json([document(answer, reveal=reveal) for answer in answers])
    else:
        for answer in answers:
            print_one(answer, facts, reveal=reveal, as_json=False)


def print_one(answer: Answer, facts: Facts, *, reveal: bool = False, as_json: bool) -> None:
    """Print the facts of one resource, or its JSON members."""
    if as_json:
        print_json(document(answer, reveal=reveal))
    else:
        print_table(("", ""), rows(answer, facts, reveal=reveal))


def fail_if_any(errors: Sequence[TokensvcError]) -> None:
    """Print the errors of an incomplete answer, if any, and end the command with status 1."""
    for error in errors:
        say_error(error)
    if errors:
        raise click.exceptions.Exit(1)
