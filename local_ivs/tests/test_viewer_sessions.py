"""Revocation of viewer sessions over boto3, and its effect at the playback edge."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import urllib3

from edge.tokens import claims
from local_ivs.testing import Account, Channel, KeyPair, Player

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_ivs import IVSClient
    from mypy_boto3_ivs.type_defs import (
        BatchStartViewerSessionRevocationViewerSessionTypeDef as ViewerSession,
    )

    from local_ivs.testing import LocalIvsServer

MISSING_ARN = "arn:aws:ivs:us-west-2:123456789012:channel/doesNotExist"


@pytest.fixture
def account(server: LocalIvsServer) -> Account:
    """The account of the clients in these tests."""
    return Account(server, "123456789012")


@pytest.fixture
def pair(account: Account) -> KeyPair:
    """An imported key pair."""
    pair = KeyPair()
    account.import_key(pair)
    return pair


@pytest.fixture
def player(server: LocalIvsServer) -> Iterator[Player]:
    """A player."""
    with urllib3.PoolManager() as pool:
        yield Player(pool, server.url)


def token(pair: KeyPair, channel: Channel, version: int | None, viewer: str = "alice") -> str:
    """A token for that viewer and session version."""
    more = {} if version is None else {"viewer_session_version": version}
    return pair.token(claims(channel.arn, viewer_id=viewer, **more))


def test_a_revocation_stops_sessions_up_to_its_version_and_no_later_ones(
    account: Account, ivs: IVSClient, pair: KeyPair, player: Player
) -> None:
    """Running sessions stop and can't start again; higher versions and other viewers can play."""
    channel = account.create_channel()
    watching = [player.watch(channel, token(pair, channel, version)) for version in (6, 7, 8)]
    ivs.start_viewer_session_revocation(
        channelArn=channel.arn, viewerId="alice", viewerSessionVersionsLessThanOrEqualTo=7
    )
    assert [each.playlist().status for each in watching] == [403, 403, 200]
    starts = [player.start(channel, token(pair, channel, version)) for version in (6, 7, 8)]
    assert [response.status for response in starts] == [403, 403, 200]
    player.watch(channel, token(pair, channel, 0, viewer="bob"))


def test_a_revoked_viewer_is_no_longer_counted_or_listed(
    server: LocalIvsServer, account: Account, ivs: IVSClient, pair: KeyPair, player: Player
) -> None:
    """Immediately, not when the session would expire; sessions of later versions stay listed."""
    channel = account.create_channel()
    for version, viewer in ((7, "alice"), (8, "alice"), (7, "bob")):
        player.watch(channel, token(pair, channel, version, viewer))
    player.watch(channel, pair.token(claims(channel.arn)))
    ivs.start_viewer_session_revocation(
        channelArn=channel.arn, viewerId="alice", viewerSessionVersionsLessThanOrEqualTo=7
    )
    assert ivs.get_stream(channelArn=channel.arn)["stream"]["viewerCount"] == 3
    shown = urllib3.request("GET", f"{server.url}/_local/overview").json()["sessions"]
    watching = {(each["viewer_id"], each["viewer_session_version"]) for each in shown}
    assert watching == {("alice", 8), ("bob", 7), (None, 0)}


def test_without_a_version_only_version_0_is_revoked(
    account: Account, ivs: IVSClient, pair: KeyPair, player: Player
) -> None:
    """The documented default is 0, which is also the version of a token without the claim."""
    channel = account.create_channel()
    ivs.start_viewer_session_revocation(channelArn=channel.arn, viewerId="alice")
    starts = [player.start(channel, token(pair, channel, version)) for version in (None, 0, 1)]
    assert [response.status for response in starts] == [403, 403, 200]


def test_a_lower_revocation_does_not_undo_a_higher_one(
    account: Account, ivs: IVSClient, pair: KeyPair, player: Player
) -> None:
    """The higher version of two revocations applies."""
    channel = account.create_channel()
    for version in (9, 3):
        ivs.start_viewer_session_revocation(
            channelArn=channel.arn, viewerId="alice", viewerSessionVersionsLessThanOrEqualTo=version
        )
    assert player.start(channel, token(pair, channel, 9)).status == 403


def test_a_revocation_applies_to_one_channel(
    account: Account, ivs: IVSClient, pair: KeyPair, player: Player
) -> None:
    """The viewer can still watch another channel."""
    channel, other = account.create_channel(), account.create_channel()
    ivs.start_viewer_session_revocation(channelArn=channel.arn, viewerId="alice")
    assert player.start(other, token(pair, other, 0)).status == 200


def test_a_batch_lists_failed_revocations_in_errors(
    account: Account, ivs: IVSClient, pair: KeyPair, player: Player
) -> None:
    """Status 200; a missing channel is listed with its viewer, and the others are revoked."""
    channel = account.create_channel()
    response = ivs.batch_start_viewer_session_revocation(
        viewerSessions=[
            {"channelArn": MISSING_ARN, "viewerId": "bob"},
            {
                "channelArn": channel.arn,
                "viewerId": "alice",
                "viewerSessionVersionsLessThanOrEqualTo": 5,
            },
        ]
    )
    (error,) = response["errors"]
    assert (error["channelArn"], error["viewerId"]) == (MISSING_ARN, "bob")
    assert error["code"] == "ResourceNotFoundException"
    assert player.start(channel, token(pair, channel, 5)).status == 403


def test_a_batch_has_at_most_twenty_viewers(ivs: IVSClient, channel_arn: str) -> None:
    """20 are accepted; a request with 21 is refused as a whole."""
    viewers: list[ViewerSession] = [
        {"channelArn": channel_arn, "viewerId": f"viewer-{n}"} for n in range(21)
    ]
    response = ivs.batch_start_viewer_session_revocation(viewerSessions=viewers[:20])
    assert response["errors"] == []
    with pytest.raises(ivs.exceptions.ValidationException):
        ivs.batch_start_viewer_session_revocation(viewerSessions=viewers)


@pytest.mark.parametrize(("viewer_id", "version"), [("v" * 41, 0), ("alice", 2_147_483_648)])
def test_viewers_and_versions_outside_the_limits_of_aws_are_refused(
    ivs: IVSClient, channel_arn: str, viewer_id: str, version: int
) -> None:
    """1 to 40 characters; 0 to 2,147,483,647 (botocore model: ViewerSessionVersion, integer)."""
    with pytest.raises((ivs.exceptions.ValidationException, ivs.exceptions.ClientError)) as caught:
        ivs.start_viewer_session_revocation(
            channelArn=channel_arn,
            viewerId=viewer_id,
            viewerSessionVersionsLessThanOrEqualTo=version,
        )
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_a_revocation_requires_an_existing_channel(
    server: LocalIvsServer, channel_arn: str
) -> None:
    """404 for a channel that doesn't exist or is in another region."""
    for client, arn in (
        (server.client(), MISSING_ARN),
        (server.client("eu-west-1"), channel_arn),
    ):
        with pytest.raises(client.exceptions.ResourceNotFoundException):
            client.start_viewer_session_revocation(channelArn=arn, viewerId="alice")
