"""Each of the 22 operations for channels, stream keys, streams, key pairs and tags has a command.

The called operations come from Local IVS's record of requests. The help of the command must name
every one of them.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence

import pytest

from tests.cli.conftest import Desk
from tests.cli.ivs.ivs_story import called_operations, new_channel, stream_key_of
from tokensvc.cli.main import cli
from tokensvc.cli.reference import commands

# Operation: a command that calls it. {show} and {other} are channels, {key} and {other_key} are
# their stream keys; `show` is live.
COMMANDS: Mapping[str, str] = {
    "CreateChannel": "channels create new",
    "GetChannel": "channels show {show}",
    "BatchGetChannel": "channels list --details",
    "ListChannels": "channels list",
    "UpdateChannel": "channels protect {other}",
    "DeleteChannel": "channels delete {other} --yes",
    "CreateStreamKey": "stream-keys rotate {show} --yes",
    "GetStreamKey": "stream-keys show {key}",
    "BatchGetStreamKey": "stream-keys show {key} {other_key}",
    "ListStreamKeys": "stream-keys list",
    "DeleteStreamKey": "stream-keys delete {key} --yes",
    "GetStream": "streams show {show}",
    "ListStreams": "streams list",
    "StopStream": "streams stop {show} --yes",
    "PutMetadata": "streams put-metadata {show} goal",
    "ImportPlaybackKeyPair": "keys reconcile",
    "GetPlaybackKeyPair": "keys list",
    "ListPlaybackKeyPairs": "keys list",
    "DeletePlaybackKeyPair": "keys reconcile",
    "TagResource": "tags add {show} team=live",
    "UntagResource": "tags remove {show} kind --yes",
    "ListTagsForResource": "tags list {show}",
}


def arguments(desk: Desk, command: str) -> Sequence[str]:
    """Create the channels and fill their ARNs and stream keys into the command."""
    show, other = new_channel(desk, "show"), new_channel(desk, "other")
    desk.ivs.client().tag_resource(resourceArn=show, tags={"kind": "sport"})
    desk.ivs.go_live(show)
    return command.format(
        show=show, other=other, key=stream_key_of(desk, show), other_key=stream_key_of(desk, other)
    ).split()


def help_of(words: Sequence[str]) -> str:
    """The help of the command with those first words."""
    called = f"tokensvc {' '.join(words[:2])}"
    return dict(commands(cli, "tokensvc"))[called].help or ""


def test_there_are_22_operations() -> None:
    """Six of channels, five of stream keys, four each of streams and key pairs, three of tags."""
    assert len(COMMANDS) == 22


@pytest.mark.parametrize(("operation", "command"), COMMANDS.items())
def test_each_operation_is_called_by_a_command_whose_help_names_it(
    desk: Desk, operation: str, command: str
) -> None:
    """Every called operation is in the help, so that an operator knows which actions to allow."""
    words = arguments(desk, command)
    if command == "keys list":
        desk.done("keys", "reconcile")
    if operation == "DeletePlaybackKeyPair":
        drain_a_key_pair(desk)
    before = len(called_operations(desk))
    desk.done(*words)
    called = called_operations(desk)[before:]
    assert operation in called
    named = set(re.findall(r"\b[A-Z][a-z]+(?:[A-Z][a-z]+)+\b", help_of(words)))
    assert set(called) <= named


def drain_a_key_pair(desk: Desk) -> None:
    """Rotate, and wait until the last token of the old key has expired."""
    desk.done("keys", "reconcile")
    desk.clock.advance(60)
    desk.done("keys", "reconcile")
    desk.clock.advance(60)
    desk.done("keys", "rotate")
    desk.clock.advance(7_220)


@pytest.mark.parametrize(
    "name",
    [
        name
        for name, _ in commands(cli, "tokensvc")
        if name.split()[1] in {"channels", "stream-keys", "streams", "tags"}
    ],
)
def test_the_help_of_every_ivs_command_names_an_operation(name: str) -> None:
    """For all commands of the groups that manage IVS resources."""
    command = dict(commands(cli, "tokensvc"))[name]
    assert re.search(r"\n\nCalls [A-Z][a-z]+[A-Z]", inspect.cleandoc(command.help or ""))
