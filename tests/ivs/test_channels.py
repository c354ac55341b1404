"""GetChannel and BatchGetChannel, over HTTP."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.support.aws import set_aws_endpoint
from tests.support.faulty_server import Answer, Fault, FaultyServer, faulty_server, refusal
from tokensvc.arns import ChannelArn
from tokensvc.aws import AwsClients, AwsTerms
from tokensvc.errors import ChannelNotFound, IvsRefused, IvsUnavailable, NotFound
from tokensvc.ivs.channels import get_channel, get_channels
from tokensvc.ivs.model import Channel

ARN = ChannelArn.parse("arn:aws:ivs:us-west-2:123456789012:channel/abcdEFGHijkl")
PLAYBACK_URL = (
    "https://a1b2c3.us-west-2.playback.live-video.net/api/video/v1/"
    "us-west-2.123456789012.channel.abcdEFGHijkl.m3u8"
)


@pytest.fixture
def clients() -> Iterator[AwsClients]:
    """Clients that try once and wait at most 0.3 s."""
    clients = AwsClients(AwsTerms(read_timeout_seconds=1.0, max_attempts=1))
    yield clients
    clients.close()


def get_from(
    script: Answer | Fault, clients: AwsClients, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> tuple[Channel, FaultyServer]:
    """The channel from a server with that script."""
    with faulty_server(script) as server:
        set_aws_endpoint(monkeypatch, folder, server.url)
        return get_channel(clients, ARN), server


def test_a_private_channel_is_returned_with_its_playback_url(
    clients: AwsClients, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`authorized` means private; the URL is unchanged."""
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


def test_a_channel_without_authorized_is_public(
    clients: AwsClients, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As IVS's default; tokensvc must not report that a token protects it."""
    answer = Answer(200, {"channel": {"arn": str(ARN), "playbackUrl": PLAYBACK_URL}})
    channel, _ = get_from(answer, clients, monkeypatch, tmp_path)
    assert channel == Channel(ARN, "", is_private=False, playback_url=PLAYBACK_URL)


def test_a_channel_that_does_not_exist_in_ivs_is_not_found(
    clients: AwsClients, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The error has the requested ARN."""
    with pytest.raises(ChannelNotFound, match="channel/abcdEFGHijkl"):
        get_from(refusal(404, "ResourceNotFoundException"), clients, monkeypatch, tmp_path)


def test_a_channel_of_another_account_is_refused_with_the_iam_action(
    clients: AwsClients, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """AccessDenied: the action is not allowed, or the channel belongs to another account."""
    with pytest.raises(IvsRefused) as caught:
        get_from(refusal(403, "AccessDeniedException"), clients, monkeypatch, tmp_path)
    assert caught.value.aws_code == "AccessDeniedException"
    assert "ivs:GetChannel" in caught.value.hint


@pytest.mark.parametrize(
    "fault", [refusal(429, "ThrottlingException"), Fault.NO_RESPONSE, Fault.DROPPED_CONNECTION]
)
def test_a_failing_ivs_is_unavailable(
    fault: Answer | Fault,
    clients: AwsClients,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """GetChannel's model declares no throttling, but IVS throttles it."""
    with pytest.raises(IvsUnavailable):
        get_from(fault, clients, monkeypatch, tmp_path)


@pytest.mark.parametrize("playback_url", ["", None])
def test_a_channel_without_a_playback_url_is_not_an_answer_of_ivs(
    playback_url: str | None,
    clients: AwsClients,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Such an answer has nothing that a viewer could use."""
    answer = Answer(200, {"channel": {"arn": str(ARN), "playbackUrl": playback_url}})
    with pytest.raises(IvsUnavailable, match="AWS_ENDPOINT_URL_IVS"):
        get_from(answer, clients, monkeypatch, tmp_path)


# --- Several channels in one call

OTHER = ChannelArn.parse("arn:aws:ivs:us-west-2:123456789012:channel/zyxwVUTSrqpo")


def described(arn: ChannelArn, **more: object) -> dict[str, object]:
    """A channel as IVS describes it, with a playback URL."""
    return {"arn": str(arn), "playbackUrl": PLAYBACK_URL, **more}


def get_both_from(
    script: Answer | Fault, clients: AwsClients, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> Mapping[ChannelArn, Channel | ChannelNotFound]:
    """Both channels from a server with that script, in one call."""
    with faulty_server(script) as server:
        set_aws_endpoint(monkeypatch, folder, server.url)
        try:
            return get_channels(clients, [ARN, OTHER])
        finally:
            assert server.operations == ["BatchGetChannel"]
            assert server.requests[0].body == {"arns": [str(ARN), str(OTHER)]}


def test_several_channels_are_returned_by_one_call(
    clients: AwsClients, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each with its own ARN, in any order of IVS's answer; `errors` may be missing."""
    channels = [described(OTHER), described(ARN, name="keynote", authorized=True)]
    answer = Answer(200, {"channels": channels})
    assert get_both_from(answer, clients, monkeypatch, tmp_path) == {
        ARN: Channel(ARN, "keynote", is_private=True, playback_url=PLAYBACK_URL),
        OTHER: Channel(OTHER, "", is_private=False, playback_url=PLAYBACK_URL),
    }


@pytest.mark.parametrize("code", ["AccessDeniedException", "InternalServerException", None])
def test_only_the_error_not_found_is_returned_for_a_channel(
    code: str | None, clients: AwsClients, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A channel with any other error is left out, although the status is HTTP 200."""
    errors = [
        {"arn": str(ARN), "code": "ResourceNotFoundException", "message": "No."},
        {"arn": str(OTHER), "code": code, "message": "No."},
    ]
    answer = Answer(200, {"channels": [], "errors": errors})
    result = get_both_from(answer, clients, monkeypatch, tmp_path)
    assert set(result) == {ARN}
    assert str(ARN) in str(result[ARN])
    assert isinstance(result[ARN], ChannelNotFound)


@pytest.mark.parametrize(
    ("script", "error"),
    [
        (refusal(403, "AccessDeniedException"), IvsRefused),
        (refusal(400, "ValidationException"), IvsRefused),
        (refusal(404, "ResourceNotFoundException"), NotFound),
        (refusal(429, "ThrottlingException"), IvsUnavailable),
        (refusal(503, "ServiceUnavailable"), IvsUnavailable),
        (Fault.NO_RESPONSE, IvsUnavailable),
        (Answer(200, {"channels": [described(ARN, playbackUrl="")]}), IvsUnavailable),
        (Answer(200, {"channels": [{"arn": "arn:of:another"}]}), IvsUnavailable),
        (Answer(200, {"errors": [{"code": "ResourceNotFoundException"}]}), IvsUnavailable),
    ],
)
def test_a_call_that_fails_as_a_whole_is_an_error(
    script: Answer | Fault,
    error: type[Exception],
    clients: AwsClients,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Refused or unavailable, as for one channel; no channel is returned."""
    with pytest.raises(error):
        get_both_from(script, clients, monkeypatch, tmp_path)


@pytest.mark.parametrize("body", [{}, b"<html>", {"errors": [{}]}])
def test_an_answer_without_channels_returns_no_channel(
    body: object, clients: AwsClients, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """GetChannel, whose answer must have a channel, then detects a server that is not IVS."""
    assert get_both_from(Answer(200, body), clients, monkeypatch, tmp_path) == {}


def test_a_denied_call_names_the_action_to_allow(
    clients: AwsClients, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It differs from the action for a single channel."""
    with pytest.raises(IvsRefused) as caught:
        get_both_from(refusal(403, "AccessDeniedException"), clients, monkeypatch, tmp_path)
    assert "ivs:BatchGetChannel" in caught.value.hint
