"""Changes of channels that may be live, without the command line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ivs.local_resources import LocalChannel, local_channel
from tests.support.clock import ManualClock
from tokensvc.errors import ChannelNotFound, IvsUnavailable
from tokensvc.ivs.channel_changes import create_channel, delete_channel, set_private
from tokensvc.ivs.descriptions import CHANNELS, get_one
from tokensvc.ivs.errors import AccessDenied, Conflict


@pytest.fixture
def channel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalChannel]:
    """A public channel in Local IVS."""
    with local_channel(tmp_path, monkeypatch, private=False) as channel:
        yield channel


def test_a_live_channel_is_changed_only_if_its_stream_may_be_stopped(
    channel: LocalChannel, clock: ManualClock
) -> None:
    """The hint has both commands: to stop the stream, and to do both at once."""
    channel.go_live()
    with pytest.raises(Conflict) as caught:
        set_private(channel.clients, clock, channel.arn, is_private=True, stop=False)
    assert f"`tokensvc streams stop {channel.arn}`" in caught.value.hint
    assert "--stop" in caught.value.hint
    assert channel.is_live()
    assert not channel.is_private()

    set_private(channel.clients, clock, channel.arn, is_private=True, stop=True)
    assert not channel.is_live()
    assert channel.is_private()


def test_a_live_channel_with_the_requested_access_is_not_stopped(
    channel: LocalChannel, clock: ManualClock
) -> None:
    """IVS refuses the update, but nothing has to change."""
    channel.go_live()
    set_private(channel.clients, clock, channel.arn, is_private=False, stop=True)
    assert channel.is_live()


def test_a_channel_that_stays_live_is_reported_after_four_attempts(
    channel: LocalChannel, clock: ManualClock
) -> None:
    """Encoders reconnect by themselves. The hint is to rotate the stream key."""
    channel.plan_error("UpdateChannel", "ConflictException", times=4)
    with pytest.raises(Conflict) as caught:
        set_private(channel.clients, clock, channel.arn, is_private=True, stop=True)
    assert f"`tokensvc stream-keys rotate {channel.arn} --stop-stream`" in caught.value.hint
    assert clock.sleeps == [0.0, 0.0, 2.0, 4.0]


def test_another_refusal_is_not_retried(channel: LocalChannel, clock: ManualClock) -> None:
    """Only a conflict means that the channel is live."""
    channel.go_live()
    channel.plan_error("DeleteChannel", "AccessDeniedException")
    with pytest.raises(AccessDenied):
        delete_channel(channel.clients, clock, channel.arn, stop=True)
    assert channel.is_live()


def test_a_live_channel_is_deleted_when_its_stream_may_be_stopped(
    channel: LocalChannel, clock: ManualClock
) -> None:
    """Deleting it once more succeeds: an attempt whose answer was lost has the same effect."""
    channel.go_live()
    for _ in range(2):
        delete_channel(channel.clients, clock, channel.arn, stop=True)
    with pytest.raises(ChannelNotFound):
        get_one(channel.clients, CHANNELS, channel.arn)


def test_a_failed_creation_has_the_command_that_finds_the_channel(channel: LocalChannel) -> None:
    """The channel may exist although IVS failed."""
    channel.plan_error("CreateChannel", "InternalServerException")
    with pytest.raises(IvsUnavailable) as caught:
        create_channel(channel.clients, channel.arn.region, {"name": "next"})
    assert "`tokensvc channels list --name next --region us-west-2`" in caught.value.hint
