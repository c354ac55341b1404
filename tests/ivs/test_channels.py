"""GetChannel, over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.aws import set_aws_endpoint
from tests.support.faulty_server import Answer, Fault, FaultyServer, faulty_server, refusal
from tokensvc.arns import ChannelArn
from tokensvc.aws import AwsClients, AwsTerms
from tokensvc.errors import ChannelNotFound, IvsRefused, IvsUnavailable
from tokensvc.ivs.channels import get_channel
from tokensvc.ivs.model import Channel

ARN = ChannelArn.parse("arn:aws:ivs:us-west-2:123456789012:channel/abcdEFGHijkl")
PLAYBACK_URL = (
    "https://a1b2c3.us-west-2.playback.live-video.net/api/video/v1/"
    "us-west-2.123456789012.channel.abcdEFGHijkl.m3u8"
)


@pytest.fixture
def clients() -> Iterator[AwsClients]:
    """Clients that try once and wait 0.3 s at most."""
    clients = AwsClients(AwsTerms(read_timeout_seconds=0.3, max_attempts=1))
    yield clients
    clients.close()


def get_from(
    script: Answer | Fault, clients: AwsClients, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> tuple[Channel, FaultyServer]:
    """The channel that a server with that script tells of."""
    with faulty_server(script) as server:
        set_aws_endpoint(monkeypatch, folder, server.url)
        return get_channel(clients, ARN), server


def test_a_private_channel_is_told_with_its_own_playback_url(
    clients: AwsClients, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`authorized` means private; the URL is taken as it is."""
    described = {
        "arn": str(ARN),
        "name": "keynote",
        "authorized": True,
        "playbackUrl": PLAYBACK_URL,
    }
    answer = Answer(200, {"channel": described})
    channel, server = get_from(answer, clients, monkeypatch, tmp_path)
    assert channel == Channel(ARN, "keynote", is_private=True, playback_url=PLAYBACK_URL)
    assert server.requests[0].body == {"arn": str(ARN)}


def test_a_channel_that_says_nothing_about_authorization_is_public(
    clients: AwsClients, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """IVS's default is public, and so nobody is told that a token protects it."""
    answer = Answer(200, {"channel": {"arn": str(ARN), "playbackUrl": PLAYBACK_URL}})
    channel, _ = get_from(answer, clients, monkeypatch, tmp_path)
    assert channel == Channel(ARN, "", is_private=False, playback_url=PLAYBACK_URL)


def test_a_channel_that_ivs_does_not_know_is_not_found(
    clients: AwsClients, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The error names the ARN that was asked for."""
    with pytest.raises(ChannelNotFound, match="channel/abcdEFGHijkl"):
        get_from(refusal(404, "ResourceNotFoundException"), clients, monkeypatch, tmp_path)


def test_a_channel_of_another_account_is_refused_with_the_action_and_the_reason(
    clients: AwsClients, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """AccessDenied: either the action is not allowed, or the account is another's."""
    with pytest.raises(IvsRefused, match="another account") as caught:
        get_from(refusal(403, "AccessDeniedException"), clients, monkeypatch, tmp_path)
    assert caught.value.aws_code == "AccessDeniedException"
    assert "ivs:GetChannel" in caught.value.way_out


@pytest.mark.parametrize(
    "fault", [refusal(429, "ThrottlingException"), Fault.SILENCE, Fault.DROPPED_LINE]
)
def test_a_failing_ivs_is_unavailable(
    fault: Answer | Fault,
    clients: AwsClients,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """GetChannel's model declares no throttling; it happens all the same."""
    with pytest.raises(IvsUnavailable):
        get_from(fault, clients, monkeypatch, tmp_path)


@pytest.mark.parametrize("playback_url", ["", None])
def test_a_channel_without_a_playback_url_is_no_answer_of_ivs(
    playback_url: str | None,
    clients: AwsClients,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Nothing that could be given to a viewer comes out of such an answer."""
    answer = Answer(200, {"channel": {"arn": str(ARN), "playbackUrl": playback_url}})
    with pytest.raises(IvsUnavailable, match="not Amazon IVS"):
        get_from(answer, clients, monkeypatch, tmp_path)
