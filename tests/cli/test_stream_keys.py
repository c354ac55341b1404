"""`tokensvc stream-keys`, on a real Local IVS over HTTP."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from tests.cli.conftest import Desk
from tests.cli.ivs_story import deny, new_channel, operations_asked, plan_fault, stream_key_of
from tokensvc.arns import ChannelArn
from tokensvc.cli.stream_key_rotation import state_told

CHANNEL = ChannelArn.parse("arn:aws:ivs:us-west-2:123456789012:channel/abcdEFGHijkl")
OLD = "arn:aws:ivs:us-west-2:123456789012:stream-key/oldOLDoldOLD"
NEW = "arn:aws:ivs:us-west-2:123456789012:stream-key/newNEWnewNEW"


@pytest.fixture
def channel(desk: Desk) -> str:
    """The ARN of a channel called `show`."""
    return new_channel(desk, "show")


def value_of(desk: Desk, key_arn: str) -> str:
    """The secret itself."""
    return desk.ivs.client().get_stream_key(arn=key_arn)["streamKey"]["value"]


def is_live(desk: Desk, channel_arn: str) -> bool:
    """Whether the channel has a stream."""
    streams = desk.ivs.client().list_streams()["streams"]
    return channel_arn in [stream["channelArn"] for stream in streams]


def test_list_shows_the_keys_of_all_channels_or_of_some(desk: Desk, channel: str) -> None:
    """Never their values; in a table and in JSON."""
    other = new_channel(desk, "other")
    key, other_key = stream_key_of(desk, channel), stream_key_of(desk, other)
    assert desk.json("stream-keys", "list") == [
        {"arn": key, "channelArn": channel, "tags": {}},
        {"arn": other_key, "channelArn": other, "tags": {}},
    ]
    assert desk.done("stream-keys", "list", "other").splitlines()[1].split() == [
        other_key,
        other,
        "-",
    ]


def test_a_value_is_shown_only_when_asked_for(desk: Desk, channel: str) -> None:
    """By the key's ARN, the channel's ARN or the channel's name."""
    key = stream_key_of(desk, channel)
    value = value_of(desk, key)
    hidden = desk.done("stream-keys", "show", key)
    assert value not in hidden
    assert "(hidden; --reveal shows it)" in hidden
    assert value in desk.done("stream-keys", "show", channel, "--reveal")
    (document,) = desk.json("stream-keys", "show", "show")
    assert document == {"arn": key, "channelArn": channel, "tags": {}}
    assert desk.json("stream-keys", "show", key, "--reveal")[0]["value"] == value


def test_show_of_several_tells_what_is_missing_and_shows_the_rest(desk: Desk, channel: str) -> None:
    """By one BatchGetStreamKey; the status says that it is a part."""
    keys = [stream_key_of(desk, arn) for arn in (channel, new_channel(desk, "other"))]
    assert [each["arn"] for each in desk.json("stream-keys", "show", *keys)] == keys
    result = desk.run("stream-keys", "show", keys[0], OLD)
    assert result.exit_code == 1
    assert keys[0] in result.stdout
    assert f"does not give {OLD} (ResourceNotFoundException)" in result.stderr
    assert operations_asked(desk)[-1] == "BatchGetStreamKey"


def test_delete_is_agreed_to_and_create_makes_another(desk: Desk, channel: str) -> None:
    """Between the two the channel has none, and each command says so."""
    key = stream_key_of(desk, channel)
    said = desk.refused("stream-keys", "delete", "show", status=2)
    assert f"Delete for ever:\n  {key}\n" in said
    assert stream_key_of(desk, channel) == key
    assert desk.done("stream-keys", "delete", "show", "--yes") == f"{key} is deleted.\n"
    said = desk.refused("stream-keys", "show", "show")
    assert f"{channel} has no stream key." in said
    assert f"tokensvc stream-keys create {channel}" in said
    made = desk.json("stream-keys", "create", "show", "--tag", "team=live")
    assert made == {
        "arn": stream_key_of(desk, channel),
        "channelArn": channel,
        "tags": {"team": "live"},
    }
    assert made["arn"] != key


def test_deleting_an_unknown_key_is_no_success(desk: Desk) -> None:
    """A slip of the pen must not look done."""
    assert "knows no such resource" in desk.refused("stream-keys", "delete", OLD, "--yes")


def test_a_second_key_is_refused_with_the_ways_out(desk: Desk, channel: str) -> None:
    """IVS allows a channel one."""
    said = desk.refused("stream-keys", "create", "show")
    assert f"{channel} has a stream key" in said
    assert f"tokensvc stream-keys rotate {channel}" in said


def test_rotate_exchanges_the_key_and_keeps_its_tags(desk: Desk, channel: str) -> None:
    """The stream that runs goes on; the value stays hidden until asked for."""
    old = stream_key_of(desk, channel)
    desk.ivs.client().tag_resource(resourceArn=old, tags={"team": "live"})
    desk.ivs.go_live(channel)
    result = desk.run("stream-keys", "rotate", "show", "--yes")
    assert result.exit_code == 0
    new = stream_key_of(desk, channel)
    assert new != old
    assert desk.ivs.client().list_tags_for_resource(resourceArn=new)["tags"] == {"team": "live"}
    assert value_of(desk, new) not in result.output
    assert f"tokensvc stream-keys show {new} --reveal" in result.stderr
    assert is_live(desk, channel)
    with pytest.raises(ClientError, match="ResourceNotFound"):
        value_of(desk, old)


def test_rotate_stops_the_stream_of_a_leaked_key(desk: Desk, channel: str) -> None:
    """After the old key is gone, so that the thief can't come back, and before the new one."""
    desk.ivs.go_live(channel)
    before = len(operations_asked(desk))
    shown = desk.json("stream-keys", "rotate", channel, "--stop-stream", "--yes", "--reveal")
    assert operations_asked(desk)[before:] == [
        "ListStreamKeys",
        "DeleteStreamKey",
        "StopStream",
        "CreateStreamKey",
    ]
    assert not is_live(desk, channel)
    assert shown["value"] == value_of(desk, stream_key_of(desk, channel))


def test_rotate_is_agreed_to_first(desk: Desk, channel: str) -> None:
    """It cuts encoders off."""
    key = stream_key_of(desk, channel)
    said = desk.refused("stream-keys", "rotate", "show", "--stop-stream", status=2)
    assert f"Delete the stream key of {channel}" in said
    assert "its viewers are cut off" in said
    assert stream_key_of(desk, channel) == key


def test_a_rotation_that_can_not_delete_changes_nothing(desk: Desk, channel: str) -> None:
    """And says that the old key is still valid."""
    key = stream_key_of(desk, channel)
    deny(desk, "DeleteStreamKey")
    said = desk.refused("stream-keys", "rotate", channel, "--stop-stream", "--yes")
    assert "The old stream key is still valid; nothing has changed." in said
    assert f"Complete it: tokensvc stream-keys rotate {channel} --stop-stream" in said
    assert stream_key_of(desk, channel) == key


def test_a_rotation_that_can_not_create_is_completed_by_the_command_that_it_names(
    desk: Desk, channel: str
) -> None:
    """The thief is out all the same: the old key is gone and its stream is stopped."""
    desk.ivs.go_live(channel)
    deny(desk, "CreateStreamKey")
    said = desk.refused("stream-keys", "rotate", channel, "--stop-stream", "--yes")
    assert f"{channel} has no stream key now: no encoder can connect to it." in said
    assert desk.ivs.client().list_stream_keys(channelArn=channel)["streamKeys"] == []
    assert not is_live(desk, channel)
    (line,) = [each for each in said.splitlines() if each.startswith("Complete it: ")]
    desk.done(*line.removeprefix("Complete it: tokensvc ").split(), "--yes")
    assert stream_key_of(desk, channel)


def test_a_rotation_that_can_not_stop_says_so_and_is_completed_whole(
    desk: Desk, channel: str
) -> None:
    """The option is part of what is still to do."""
    desk.ivs.go_live(channel)
    deny(desk, "StopStream")
    said = desk.refused("stream-keys", "rotate", channel, "--stop-stream", "--yes")
    assert f"Complete it: tokensvc stream-keys rotate {channel} --stop-stream" in said
    desk.done("stream-keys", "rotate", channel, "--stop-stream", "--yes")
    assert not is_live(desk, channel)
    assert stream_key_of(desk, channel)


def test_a_rotation_whose_answers_are_lost_tells_the_new_key(desk: Desk, channel: str) -> None:
    """The delete is seen to be done; of the create, the second attempt is refused for the first."""
    old = stream_key_of(desk, channel)
    plan_fault(desk, "DeleteStreamKey", "lose_answer")
    plan_fault(desk, "CreateStreamKey", "lose_answer")
    said = desk.refused("stream-keys", "rotate", channel, "--yes")
    new = stream_key_of(desk, channel)
    assert new != old
    assert f"{channel} has the new stream key {new}." in said
    assert f"tokensvc stream-keys show {new} --reveal" in said


@pytest.mark.parametrize(
    ("held", "stop_is_left", "said"),
    [
        (None, False, "IVS can't be asked how far it came"),
        ([], False, "no stream key now"),
        ([OLD], True, "nothing has changed"),
        ([NEW], True, f"Stop it: tokensvc streams stop {CHANNEL}"),
        ([NEW], False, f"has the new stream key {NEW}"),
    ],
)
def test_each_state_that_a_rotation_can_leave_has_its_command(
    held: list[str] | None,
    stop_is_left: bool,  # noqa: FBT001 # A table's column.
    said: str,
) -> None:
    """One that may not have stopped the stream never forgets to say so."""
    text = state_told(CHANNEL, [OLD], held, stop_is_left=stop_is_left)
    assert said in text
    assert ("--stop-stream" in text or "streams stop" in text) == stop_is_left


def test_a_rotation_that_is_interrupted_tells_its_state(desk: Desk, channel: str) -> None:
    """Ctrl-C while the new key is being made: the old one is gone, and the way on is named."""
    plan_fault(desk, "CreateStreamKey", "slow", seconds=3)
    process = subprocess.Popen(
        [sys.executable, "-m", "tokensvc", "stream-keys", "rotate", channel, "--yes"],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "TOKENSVC_CONFIG": str(desk.settings)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stderr is not None
        assert "Deleted arn:" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
    assert process.returncode == 1
    assert f"{channel} has no stream key now" in said
    assert f"Complete it: tokensvc stream-keys rotate {channel}" in said
    assert "Traceback" not in said
