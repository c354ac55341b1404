"""The rotation of a stream key, without the command line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ivs.local_resources import LocalChannel, local_channel
from tokensvc.arns import ChannelArn
from tokensvc.errors import NotFound
from tokensvc.ivs.errors import AccessDenied, QuotaExceeded
from tokensvc.ivs.stream_keys import (
    StreamKeyRotation,
    create_stream_key,
    rotation_status,
    stream_key_of,
)

CHANNEL = ChannelArn.parse("arn:aws:ivs:us-west-2:123456789012:channel/abcdEFGHijkl")
OLD = "arn:aws:ivs:us-west-2:123456789012:stream-key/oldOLDoldOLD"
NEW = "arn:aws:ivs:us-west-2:123456789012:stream-key/newNEWnewNEW"


@pytest.fixture
def channel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalChannel]:
    """A channel with a stream key in Local IVS."""
    with local_channel(tmp_path, monkeypatch, private=True) as channel:
        yield channel


def commands_in(status: str) -> list[str]:
    """The commands of a rotation's status."""
    return re.findall(r": tokensvc (.*)", status)


def test_a_rotation_replaces_the_key_and_reports_each_step(channel: LocalChannel) -> None:
    """The stream is stopped before the new key is created, and only if that is requested."""
    (old,) = channel.stream_keys()
    channel.go_live()
    reports: list[str] = []
    made = StreamKeyRotation.begin(channel.clients, channel.arn, stop=False).run(reports.append)
    assert channel.stream_keys() == [made["arn"]]
    assert made["arn"] != old
    assert channel.is_live()
    assert [old in report for report in reports] == [True]

    StreamKeyRotation.begin(channel.clients, channel.arn, stop=True).run(reports.append)
    assert not channel.is_live()
    assert [str(channel.arn) in report for report in reports] == [False, False, True]


def test_beginning_a_rotation_changes_nothing(channel: LocalChannel) -> None:
    """The keys are only listed."""
    before = channel.stream_keys()
    StreamKeyRotation.begin(channel.clients, channel.arn, stop=True)
    assert channel.stream_keys() == before


@pytest.mark.parametrize(
    ("operation", "stop_is_left"),
    [("DeleteStreamKey", True), ("StopStream", True), ("CreateStreamKey", False)],
)
def test_the_status_of_a_rotation_that_failed_has_the_command_that_completes_it(
    channel: LocalChannel, operation: str, *, stop_is_left: bool
) -> None:
    """With --stop-stream as long as the stream was not stopped."""
    channel.plan_error(operation, "AccessDeniedException")
    rotation = StreamKeyRotation.begin(channel.clients, channel.arn, stop=True)
    with pytest.raises(AccessDenied):
        rotation.run(lambda _report: None)
    option = " --stop-stream" if stop_is_left else ""
    assert commands_in(rotation.status(channel.clients)) == [
        f"stream-keys rotate {channel.arn}{option}"
    ]


def test_the_status_does_not_fail_when_ivs_does(channel: LocalChannel) -> None:
    """The first command checks which stream key exists."""
    rotation = StreamKeyRotation.begin(channel.clients, channel.arn, stop=False)
    channel.plan_error("ListStreamKeys", "InternalServerException")
    first, _second = commands_in(rotation.status(channel.clients))
    assert first == f"stream-keys list {channel.arn}"


def test_a_channel_has_one_stream_key_or_none(channel: LocalChannel) -> None:
    """A second one is refused, and a missing one is not found; the hints have the commands."""
    (arn,) = channel.stream_keys()
    assert str(stream_key_of(channel.clients, channel.arn)) == arn
    with pytest.raises(QuotaExceeded) as caught:
        create_stream_key(channel.clients, channel.arn, {})
    assert f"`tokensvc stream-keys rotate {channel.arn}`" in caught.value.hint
    channel.server.client().delete_stream_key(arn=arn)
    with pytest.raises(NotFound) as missing:
        stream_key_of(channel.clients, channel.arn)
    assert f"`tokensvc stream-keys create {channel.arn}`" in missing.value.hint


@pytest.mark.parametrize(
    ("current", "must_stop", "commands"),
    [
        (None, False, [f"stream-keys list {CHANNEL}", f"stream-keys rotate {CHANNEL}"]),
        (
            None,
            True,
            [f"stream-keys list {CHANNEL}", f"stream-keys rotate {CHANNEL} --stop-stream"],
        ),
        ([], False, [f"stream-keys rotate {CHANNEL}"]),
        ([], True, [f"stream-keys rotate {CHANNEL} --stop-stream"]),
        ([OLD], False, [f"stream-keys rotate {CHANNEL}"]),
        ([OLD], True, [f"stream-keys rotate {CHANNEL} --stop-stream"]),
        ([NEW], False, [f"stream-keys show {NEW} --reveal"]),
        ([NEW], True, [f"stream-keys show {NEW} --reveal", f"streams stop {CHANNEL}"]),
    ],
)
def test_the_status_of_a_failed_rotation_has_the_commands_that_complete_it(
    current: list[str] | None,
    must_stop: bool,  # noqa: FBT001 # A table's column.
    commands: list[str],
) -> None:
    """For each possible status; a stream that still has to be stopped is never forgotten."""
    text = rotation_status(CHANNEL, [OLD], current, must_stop=must_stop)
    assert commands_in(text) == commands
