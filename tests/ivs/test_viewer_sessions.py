"""Sessions of viewers revoked in Local IVS, twenty a call, and what fails among them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import urllib3

from tests.localivs.edge.stage import NOW, Account, KeyPair, Player, claims
from tests.support.aws import set_aws_endpoint
from tests.support.clock import ManualClock
from tests.support.local_ivs import LocalIvsServer
from tokensvc.arns import ChannelArn, Region
from tokensvc.aws import AwsClients, AwsTerms
from tokensvc.ivs.viewer_sessions import NotRevoked, Viewer, revoke_sessions

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


def test_a_named_viewer_stops_and_others_go_on(ivs: LocalIvsServer, clients: AwsClients) -> None:
    """The version goes with each viewer, so that sessions up to that second are hit."""
    account = Account(ivs, "123456789012")
    channel, pair = account.create_channel(), KeyPair()
    account.import_key(pair)

    def token(viewer: str, version: int) -> str:
        named = claims(channel.arn, viewer_id=viewer, viewer_session_version=version)
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


def test_twenty_viewers_go_in_a_call_and_two_calls_in_a_second(
    ivs: LocalIvsServer, clients: AwsClients
) -> None:
    """41 viewers are three calls, with half a second before the second and the third."""
    arn = ChannelArn.parse(Account(ivs, "123456789012").create_channel().arn)
    viewers = [Viewer(arn, f"viewer-{n}") for n in range(41)]
    clock = ManualClock()

    batches = list(revoke_sessions(clients, OREGON, viewers, clock, versions_up_to=NOW))

    assert [batch.viewers for batch in batches] == [20, 20, 1]
    assert clock.sleeps == [0.5, 0.5]


def test_what_fails_in_a_call_that_succeeds_is_told(
    ivs: LocalIvsServer, clients: AwsClients
) -> None:
    """A partial failure rides on HTTP 200."""
    arn = ChannelArn.parse(Account(ivs, "123456789012").create_channel().arn)
    lost = Viewer(MISSING, "bob")

    (batch,) = revoke_sessions(
        clients, OREGON, [lost, Viewer(arn, "alice")], ManualClock(), versions_up_to=NOW
    )

    assert batch.failures == (NotRevoked(lost, "ResourceNotFoundException"),)


def test_no_viewers_are_no_call(clients: AwsClients) -> None:
    """IVS takes no empty batch."""
    assert list(revoke_sessions(clients, OREGON, [], ManualClock(), versions_up_to=NOW)) == []
