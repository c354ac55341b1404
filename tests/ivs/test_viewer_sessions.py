"""Viewer sessions are revoked in Local IVS; failures are returned."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import urllib3
from local_ivs.testing import Account, KeyPair, LocalIvsServer, Player, claims

from tests.support.aws import set_aws_endpoint
from tests.support.clock import EXAMPLE_NOW, ManualClock
from tokensvc.arns import ChannelArn, Region
from tokensvc.aws import AwsClients, AwsTerms
from tokensvc.ivs.viewer_sessions import NotRevoked, Revocation, Viewer, start_revocations

NOW = int(EXAMPLE_NOW)
OREGON = Region("us-west-2")
MISSING = ChannelArn.parse("arn:aws:ivs:us-west-2:123456789012:channel/doesNotExist")


@pytest.fixture(name="ivs")
def _ivs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[LocalIvsServer]:
    with LocalIvsServer(tmp_path, ManualClock()) as server:
        set_aws_endpoint(monkeypatch, tmp_path, server.url)
        yield server


@pytest.fixture(name="clients")
def _clients(ivs: LocalIvsServer) -> Iterator[AwsClients]:
    clients = AwsClients(AwsTerms())
    yield clients
    clients.close()


def test_playback_stops_for_the_revoked_viewer_only(
    ivs: LocalIvsServer, clients: AwsClients
) -> None:
    """Each viewer is sent with the version, so sessions up to that second are revoked."""
    account = Account(ivs, "123456789012")
    channel, pair = account.create_channel(), KeyPair()
    account.import_key(pair)

    def token(viewer: str, version: int) -> str:
        named = claims(channel.arn, NOW, viewer_id=viewer, viewer_session_version=version)
        return pair.token(named)

    with urllib3.PoolManager() as pool:
        player = Player(pool, ivs.url)
        alice = player.watch(channel, token("alice", NOW))
        bob = player.watch(channel, token("bob", NOW))

        viewer = Viewer(ChannelArn.parse(channel.arn), "alice")
        assert start_revocations(clients, OREGON, [Revocation(viewer, NOW)]) == ()

        assert alice.playlist().status == 403
        assert bob.playlist().status == 200
        player.watch(channel, token("alice", NOW + 1))


def test_a_partial_failure_is_returned(ivs: LocalIvsServer, clients: AwsClients) -> None:
    """The call itself succeeds with HTTP 200."""
    arn = ChannelArn.parse(Account(ivs, "123456789012").create_channel().arn)
    lost = Viewer(MISSING, "bob")
    both = [Revocation(lost, NOW), Revocation(Viewer(arn, "alice"), NOW)]

    (failure,) = start_revocations(clients, OREGON, both)

    assert failure == NotRevoked(lost, "ResourceNotFoundException")
    assert failure.has_no_channel
    assert not failure.is_temporary


@pytest.mark.parametrize(
    ("aws_code", "is_temporary"),
    [
        ("ThrottlingException", True),
        ("InternalServerException", True),
        ("ServiceUnavailable", True),
        ("", True),
        ("AccessDeniedException", False),
        ("ValidationException", False),
        ("PendingVerification", False),
    ],
)
def test_a_failure_says_whether_another_attempt_may_succeed(
    aws_code: str, *, is_temporary: bool
) -> None:
    """A part without a code gives no reason, so it is tried again."""
    assert NotRevoked(Viewer(MISSING, "bob"), aws_code).is_temporary is is_temporary
