"""Viewer sessions are revoked in Local IVS, twenty viewers a call; failures are returned."""

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
from tokensvc.ivs.viewer_sessions import NotRevoked, Viewer, revoke_sessions

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

        viewers = [Viewer(ChannelArn.parse(channel.arn), "alice")]
        (batch,) = revoke_sessions(clients, OREGON, viewers, ManualClock(), versions_up_to=NOW)

        assert (batch.viewers, batch.failures) == (1, ())
        assert alice.playlist().status == 403
        assert bob.playlist().status == 200
        player.watch(channel, token("alice", NOW + 1))


def test_there_are_twenty_viewers_in_a_call_and_two_calls_a_second(
    ivs: LocalIvsServer, clients: AwsClients
) -> None:
    """41 viewers need three calls, with 0.5 s before the second and the third."""
    arn = ChannelArn.parse(Account(ivs, "123456789012").create_channel().arn)
    viewers = [Viewer(arn, f"viewer-{n}") for n in range(41)]
    clock = ManualClock()

    batches = list(revoke_sessions(clients, OREGON, viewers, clock, versions_up_to=NOW))

    assert [batch.viewers for batch in batches] == [20, 20, 1]
    assert clock.sleeps == [0.5, 0.5]


def test_a_partial_failure_is_returned(ivs: LocalIvsServer, clients: AwsClients) -> None:
    """The call itself succeeds with HTTP 200."""
    arn = ChannelArn.parse(Account(ivs, "123456789012").create_channel().arn)
    lost = Viewer(MISSING, "bob")

    (batch,) = revoke_sessions(
        clients, OREGON, [lost, Viewer(arn, "alice")], ManualClock(), versions_up_to=NOW
    )

    assert batch.failures == (NotRevoked(lost, "ResourceNotFoundException"),)


def test_without_viewers_there_is_no_call(clients: AwsClients) -> None:
    """IVS does not accept an empty batch."""
    assert list(revoke_sessions(clients, OREGON, [], ManualClock(), versions_up_to=NOW)) == []
