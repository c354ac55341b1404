"""`tokensvc stream-keys`, on a real Local IVS over HTTP."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from tests.cli.conftest import Desk
from tests.cli.ivs.ivs_story import called_operations, deny, new_channel, plan_fault, stream_key_of
from tokensvc.errors import IvsRefused

OLD = "arn:aws:ivs:us-west-2:123456789012:stream-key/oldOLDoldOLD"


@pytest.fixture
def channel(desk: Desk) -> str:
    """The ARN of a channel called `show`."""
    return new_channel(desk, "show")


def value_of(desk: Desk, key_arn: str) -> str:
    """The value of the stream key: a secret."""
    return desk.ivs.client().get_stream_key(arn=key_arn)["streamKey"]["value"]


def is_live(desk: Desk, channel_arn: str) -> bool:
    """Whether the channel has a stream."""
    streams = desk.ivs.client().list_streams()["streams"]
    return channel_arn in [stream["channelArn"] for stream in streams]


def test_list_shows_the_stream_keys_of_all_channels_or_of_some(desk: Desk, channel: str) -> None:
    """Without their values; in a table and in JSON."""
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


def test_a_value_is_shown_only_with_reveal(desk: Desk, channel: str) -> None:
    """For the key's ARN, the channel's ARN and the channel's name."""
    key = stream_key_of(desk, channel)
    value = value_of(desk, key)
    hidden = desk.done("stream-keys", "show", key)
    assert value not in hidden
    assert "--reveal" in hidden
    assert value in desk.done("stream-keys", "show", channel, "--reveal")
    (document,) = desk.json("stream-keys", "show", "show")
    assert document == {"arn": key, "channelArn": channel, "tags": {}}
    assert desk.json("stream-keys", "show", key, "--reveal")[0]["value"] == value


def test_show_of_several_prints_those_that_exist_and_an_error_for_each_other(
    desk: Desk, channel: str
) -> None:
    """With one BatchGetStreamKey; the exit status is 1."""
    keys = [stream_key_of(desk, arn) for arn in (channel, new_channel(desk, "other"))]
    assert [each["arn"] for each in desk.json("stream-keys", "show", *keys)] == keys
    result = desk.run("stream-keys", "show", keys[0], OLD)
    assert result.exit_code == 1
    assert keys[0] in result.stdout
    assert OLD in result.stderr
    assert "`tokensvc stream-keys list`" in result.stderr
    assert called_operations(desk)[-1] == "BatchGetStreamKey"


def test_delete_needs_confirmation_and_create_makes_a_new_key(desk: Desk, channel: str) -> None:
    """Between the two commands the channel has no stream key, which is an error for show."""
    key = stream_key_of(desk, channel)
    question = desk.refused("stream-keys", "delete", "show", status=2)
    assert f"\n  {key}\n" in question
    assert stream_key_of(desk, channel) == key
    assert desk.done("stream-keys", "delete", "show", "--yes").split()[0] == key
    error = desk.error("stream-keys", "show", "show")
    assert error.code == "not_found"
    assert channel in error.detail
    assert f"`tokensvc stream-keys create {channel}`" in error.hint
    made = desk.json("stream-keys", "create", "show", "--tag", "team=live")
    assert made == {
        "arn": stream_key_of(desk, channel),
        "channelArn": channel,
        "tags": {"team": "live"},
    }
    assert made["arn"] != key


def test_deleting_an_unknown_key_fails(desk: Desk) -> None:
    """A typing error must not look like success."""
    output = desk.refused("stream-keys", "delete", OLD, "--yes")
    assert f"{OLD}:\nError: " in output
    assert "(DeleteStreamKey)" in output


def test_a_second_key_is_refused_with_a_hint(desk: Desk, channel: str) -> None:
    """IVS allows one stream key for each channel."""
    error = desk.error("stream-keys", "create", "show")
    assert isinstance(error, IvsRefused)
    assert error.aws_code == "ServiceQuotaExceededException"
    assert channel in error.detail
    assert f"`tokensvc stream-keys rotate {channel}`" in error.hint


def test_rotate_exchanges_the_key_and_keeps_its_tags(desk: Desk, channel: str) -> None:
    """The current stream continues; the value is hidden without --reveal."""
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
    """Once the old key is deleted, so that the attacker can't reconnect; before the new key."""
    desk.ivs.go_live(channel)
    before = len(called_operations(desk))
    shown = desk.json("stream-keys", "rotate", channel, "--stop-stream", "--yes", "--reveal")
    assert called_operations(desk)[before:] == [
        "ListStreamKeys",
        "DeleteStreamKey",
        "StopStream",
        "CreateStreamKey",
    ]
    assert not is_live(desk, channel)
    assert shown["value"] == value_of(desk, stream_key_of(desk, channel))


def test_rotate_needs_confirmation(desk: Desk, channel: str) -> None:
    """Because encoders need the new key; with --stop-stream, the question says more."""
    key = stream_key_of(desk, channel)
    question = desk.refused("stream-keys", "rotate", "show", status=2)
    stopping = desk.refused("stream-keys", "rotate", "show", "--stop-stream", status=2)
    assert channel in question
    assert channel in stopping
    assert "viewers" in stopping
    assert "viewers" not in question
    assert stream_key_of(desk, channel) == key


def test_a_rotation_that_can_not_delete_the_old_key_changes_nothing(
    desk: Desk, channel: str
) -> None:
    """The output has the command that completes the rotation."""
    key = stream_key_of(desk, channel)
    deny(desk, "DeleteStreamKey")
    output = desk.refused("stream-keys", "rotate", channel, "--stop-stream", "--yes")
    assert f": tokensvc stream-keys rotate {channel} --stop-stream\n" in output
    assert key not in output
    assert stream_key_of(desk, channel) == key


def test_a_rotation_that_can_not_create_a_key_is_completed_by_the_printed_command(
    desk: Desk, channel: str
) -> None:
    """An attacker is cut off nevertheless: the old key is deleted and its stream is stopped."""
    desk.ivs.go_live(channel)
    deny(desk, "CreateStreamKey")
    output = desk.refused("stream-keys", "rotate", channel, "--stop-stream", "--yes")
    assert desk.ivs.client().list_stream_keys(channelArn=channel)["streamKeys"] == []
    assert not is_live(desk, channel)
    (command,) = re.findall(r": tokensvc (stream-keys rotate .*)", output)
    assert "--stop-stream" not in command
    desk.done(*command.split(), "--yes")
    assert stream_key_of(desk, channel)


def test_a_rotation_that_can_not_stop_the_stream_is_completed_by_the_printed_command(
    desk: Desk, channel: str
) -> None:
    """The command has --stop-stream, because the stream still has to be stopped."""
    desk.ivs.go_live(channel)
    deny(desk, "StopStream")
    output = desk.refused("stream-keys", "rotate", channel, "--stop-stream", "--yes")
    assert f": tokensvc stream-keys rotate {channel} --stop-stream\n" in output
    desk.done("stream-keys", "rotate", channel, "--stop-stream", "--yes")
    assert not is_live(desk, channel)
    assert stream_key_of(desk, channel)


def test_a_rotation_whose_answers_are_lost_reports_the_new_key(desk: Desk, channel: str) -> None:
    """The retry of the delete succeeds; the retry of the create is refused, as the key exists."""
    old = stream_key_of(desk, channel)
    plan_fault(desk, "DeleteStreamKey", "lose_response")
    plan_fault(desk, "CreateStreamKey", "lose_response")
    output = desk.refused("stream-keys", "rotate", channel, "--yes")
    new = stream_key_of(desk, channel)
    assert new != old
    assert f"tokensvc stream-keys show {new} --reveal" in output


def test_an_interrupted_rotation_prints_its_status(desk: Desk, channel: str) -> None:
    """Ctrl-C while the new key is created: the old key is deleted; the output has the command."""
    plan_fault(desk, "CreateStreamKey", "slow", seconds=15)
    process = subprocess.Popen(
        [sys.executable, "-m", "tokensvc", "stream-keys", "rotate", channel, "--yes"],
        cwd=Path(__file__).parents[3],
        env={**os.environ, "TOKENSVC_CONFIG": str(desk.settings)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stderr is not None
        assert ":stream-key/" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        output = process.stderr.read()
    assert process.returncode == 1
    assert f": tokensvc stream-keys rotate {channel}\n" in output
    assert "Traceback" not in output
