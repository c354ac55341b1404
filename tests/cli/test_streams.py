"""`tokensvc streams`, on a real Local IVS over HTTP."""

from __future__ import annotations

import pytest
import urllib3
from click.testing import CliRunner

from tests.cli.conftest import Desk
from tests.cli.ivs_story import new_channel
from tokensvc.cli.main import cli


@pytest.fixture
def live(desk: Desk) -> str:
    """The ARN of a channel called `show` that is live."""
    arn = new_channel(desk, "show")
    desk.ivs.go_live(arn)
    return arn


def set_health(desk: Desk, arn: str, health: str) -> None:
    """Let the channel's stream be in that health."""
    document = {"channel_arn": arn, "live": True, "health": health}
    response = urllib3.request("PUT", f"{desk.ivs.url}/_local/streams", json=document)
    assert response.status == 200


def test_list_shows_what_is_live(desk: Desk, live: str) -> None:
    """Of one health when asked for it; a channel that is offline has no line."""
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


def test_show_tells_of_one_stream(desk: Desk, live: str) -> None:
    """By the channel's name; times are RFC 3339."""
    document = desk.json("streams", "show", "show")
    assert document["channelArn"] == live
    assert (document["state"], document["viewerCount"]) == ("LIVE", 0)
    assert document["startTime"] == "2027-01-15T08:00:00Z"
    text = desk.done("streams", "show", live)
    assert document["streamId"] in text
    assert document["playbackUrl"] in text


def metadata_of(desk: Desk) -> list[str]:
    """All that was put into streams."""
    with desk.ivs.app.extensions["local_ivs_database"].transaction() as connection:
        return [row["metadata"] for row in connection.execute("SELECT * FROM timed_metadata")]


@pytest.mark.parametrize("command", [("show",), ("put-metadata", "hello")])
def test_what_needs_a_stream_says_that_the_channel_is_offline(
    desk: Desk, command: tuple[str, ...]
) -> None:
    """And what to do."""
    name, *metadata = command
    arn = new_channel(desk, "show")
    said = desk.refused("streams", name, arn, *metadata)
    assert f"{arn} is not live" in said
    assert f"tokensvc channels show {arn}" in said


def test_stop_is_agreed_to_first(desk: Desk, live: str) -> None:
    """Viewers are cut off."""
    said = desk.refused("streams", "stop", "show", status=2)
    assert f"cut off the viewers of:\n  {live}\n" in said
    assert len(desk.json("streams", "list")) == 1
    assert desk.done("streams", "stop", "show", "--yes") == f"{live} is stopped.\n"
    assert desk.json("streams", "list") == []


def test_stopping_what_is_not_live_is_done_already(desk: Desk, live: str) -> None:
    """Each channel is told; run again, it is no failure."""
    offline = new_channel(desk, "offline")
    said = desk.done("streams", "stop", offline, live, "--yes")
    assert said.splitlines() == [f"[1/2] {offline} was not live.", f"[2/2] {live} is stopped."]


def test_metadata_reaches_the_stream(desk: Desk, live: str) -> None:
    """Counted in bytes; the text itself is not printed again."""
    text = desk.done("streams", "put-metadata", "show", "schöne Tore")
    assert text == f"12 bytes are in the stream of {live}.\n"
    assert metadata_of(desk) == ["schöne Tore"]


def test_metadata_is_read_from_standard_input(desk: Desk, live: str) -> None:
    """For what does not fit on a command line; as it is, its last newline too."""
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
    """IVS takes 1 to 1,024 bytes."""
    said = desk.refused("streams", "put-metadata", live, metadata, status=2)
    assert f"1 to 1024 bytes of UTF-8; these are {size}" in said


def test_metadata_that_is_no_text_is_not_sent(desk: Desk, live: str) -> None:
    """Bytes that are not UTF-8, as an argument or from standard input."""
    assert "UTF-8" in desk.refused("streams", "put-metadata", live, "\udcff", status=2)
    result = CliRunner().invoke(
        cli,
        ["--config", str(desk.settings), "streams", "put-metadata", live, "-"],
        obj=desk.clock,
        input=b"\xff\xfe",
    )
    assert result.exit_code == 2
    assert "UTF-8" in result.stderr
