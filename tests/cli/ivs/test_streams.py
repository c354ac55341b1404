"""`tokensvc streams`, on a real Local IVS over HTTP."""

from __future__ import annotations

import re

import click
import pytest
import urllib3
from click.testing import CliRunner

from tests.cli.conftest import Desk
from tests.cli.ivs.ivs_story import new_channel
from tokensvc.cli.main import cli
from tokensvc.errors import IvsRefused


@pytest.fixture
def live(desk: Desk) -> str:
    """The ARN of a channel called `show` that is live."""
    arn = new_channel(desk, "show")
    desk.ivs.go_live(arn)
    return arn


def set_health(desk: Desk, arn: str, health: str) -> None:
    """Set the health of the channel's stream."""
    document = {"channel_arn": arn, "live": True, "health": health}
    response = urllib3.request("PUT", f"{desk.ivs.url}/_local/streams", json=document)
    assert response.status == 200


def test_list_shows_live_channels(desk: Desk, live: str) -> None:
    """With --health, only those with that health; a channel that is offline has no line."""
    starving = new_channel(desk, "other")
    new_channel(desk, "offline")
    set_health(desk, starving, "STARVING")
    assert [stream["channelArn"] for stream in desk.json("streams", "list")] == [live, starving]
    (only,) = desk.json("streams", "list", "--health", "STARVING")
    assert (only["channelArn"], only["startTime"]) == (starving, "2027-01-15T08:00:00Z")
    lines = [line.split() for line in desk.done("streams", "list").splitlines()]
    assert lines[0] == ["HEALTH", "VIEWERS", "SINCE", "STREAM", "CHANNEL"]
    assert lines[1][:3] == ["HEALTHY", "0", "2027-01-15T08:00:00Z"]
    assert lines[1][4] == live


def test_show_prints_one_stream(desk: Desk, live: str) -> None:
    """Found by the channel's name; times are RFC 3339."""
    document = desk.json("streams", "show", "show")
    assert document["channelArn"] == live
    assert (document["state"], document["viewerCount"]) == ("LIVE", 0)
    assert document["startTime"] == "2027-01-15T08:00:00Z"
    text = desk.done("streams", "show", live)
    assert document["streamId"] in text
    assert document["playbackUrl"] in text


def metadata_of(desk: Desk) -> list[str]:
    """All metadata that was inserted into streams."""
    with desk.ivs.database.transaction() as connection:
        return [row["metadata"] for row in connection.execute("SELECT * FROM timed_metadata")]


@pytest.mark.parametrize("command", [("show",), ("put-metadata", "hello")])
def test_a_command_that_needs_a_stream_fails_when_the_channel_is_offline(
    desk: Desk, command: tuple[str, ...]
) -> None:
    """The hint is the command that shows the ingest server."""
    name, *metadata = command
    arn = new_channel(desk, "show")
    error = desk.error("streams", name, arn, *metadata)
    assert isinstance(error, IvsRefused)
    assert error.aws_code == "ChannelNotBroadcasting"
    assert arn in error.detail
    assert f"`tokensvc channels show {arn}`" in error.hint


def test_stop_needs_confirmation(desk: Desk, live: str) -> None:
    """Because playback ends for the viewers."""
    question = desk.refused("streams", "stop", "show", status=2)
    assert f"\n  {live}\n" in question
    assert len(desk.json("streams", "list")) == 1
    assert desk.done("streams", "stop", "show", "--yes").split()[0] == live
    assert desk.json("streams", "list") == []


def test_stop_succeeds_for_a_channel_that_is_not_live(desk: Desk, live: str) -> None:
    """Each channel has its result, so the command can be run again."""
    offline = new_channel(desk, "offline")
    lines = desk.done("streams", "stop", offline, live, "--yes").splitlines()
    assert [line.split()[:2] for line in lines] == [["[1/2]", offline], ["[2/2]", live]]
    assert ["not live" in line for line in lines] == [True, False]


def test_metadata_reaches_the_stream(desk: Desk, live: str) -> None:
    """The output has its size in bytes, not its text."""
    text = desk.done("streams", "put-metadata", "show", "schöne Tore")
    assert "12 bytes" in text
    assert live in text
    assert "schöne" not in text
    assert metadata_of(desk) == ["schöne Tore"]


def test_metadata_is_read_from_standard_input(desk: Desk, live: str) -> None:
    """For text that does not fit on a command line; unchanged, with its last newline."""
    result = CliRunner().invoke(
        cli,
        ["--config", str(desk.settings), "streams", "put-metadata", live, "-"],
        obj=desk.clock,
        input='{"score": [1, 0]}\n',
    )
    assert result.exit_code == 0, result.output
    assert metadata_of(desk) == ['{"score": [1, 0]}\n']


@pytest.mark.parametrize(("metadata", "size"), [("", 0), ("x" * 1025, 1025), ("ö" * 513, 1026)])
def test_metadata_of_the_wrong_size_is_not_sent(
    desk: Desk, live: str, metadata: str, size: int
) -> None:
    """IVS accepts 1 to 1,024 bytes."""
    error = desk.usage_error("streams", "put-metadata", live, metadata)
    assert isinstance(error, click.BadParameter)
    assert error.param_hint == "METADATA"
    assert {"1024", str(size)} <= set(re.findall(r"[0-9]+", error.message))
    assert metadata_of(desk) == []


def test_metadata_that_is_not_utf_8_is_not_sent(desk: Desk, live: str) -> None:
    """As an argument or from standard input."""
    assert "UTF-8" in desk.refused("streams", "put-metadata", live, "\udcff", status=2)
    result = CliRunner().invoke(
        cli,
        ["--config", str(desk.settings), "streams", "put-metadata", live, "-"],
        obj=desk.clock,
        input=b"\xff\xfe",
    )
    assert result.exit_code == 2
    assert "UTF-8" in result.stderr
