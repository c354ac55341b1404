"""Revoking the sessions of viewers, region by region, and the events that it reports."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import urllib3
from local_ivs.testing import Account, KeyPair, LocalIvsServer, Player, claims

from tests.support.aws import set_aws_endpoint
from tests.support.clock import EXAMPLE_NOW, ManualClock
from tokensvc.arns import ChannelArn, parse_region
from tokensvc.aws import AwsClients, AwsTerms
from tokensvc.ivs.viewer_sessions import NotRevoked, Viewer
from tokensvc.playback.revocation.by_region import (
    BatchRevoked,
    RegionBegins,
    RegionFailed,
    RegionRevoked,
    has_failures,
    revoke_sessions_of,
)

OREGON = parse_region("us-west-2")
NOW = int(EXAMPLE_NOW)
MISSING = ChannelArn.parse("arn:aws:ivs:us-west-2:123456789012:channel/doesNotExist")


@pytest.fixture(name="ivs")
def _ivs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[LocalIvsServer]:
    with LocalIvsServer(tmp_path, ManualClock()) as server:
        set_aws_endpoint(monkeypatch, tmp_path, server.url)
        yield server


@pytest.fixture(name="clients")
def _clients(ivs: LocalIvsServer) -> Iterator[AwsClients]:
    clients = AwsClients(AwsTerms(max_attempts=1))
    yield clients
    clients.close()


def test_sessions_of_tokens_signed_up_to_now_plus_the_skew_are_revoked(
    ivs: LocalIvsServer, clients: AwsClients
) -> None:
    """A worker whose clock is ahead may just have signed; a token of a later second still plays."""
    account = Account(ivs, "123456789012")
    channel, pair = account.create_channel(), KeyPair()
    account.import_key(pair)

    def token(viewer: str, version: int) -> str:
        named = claims(channel.arn, NOW, viewer_id=viewer, viewer_session_version=version)
        return pair.token(named)

    with urllib3.PoolManager() as pool:
        player = Player(pool, ivs.url)
        ahead = player.watch(channel, token("alice", NOW + 10))
        later = player.watch(channel, token("alice", NOW + 11))

        viewers = [Viewer(ChannelArn.parse(channel.arn), "alice")]
        events = list(revoke_sessions_of(viewers, clients, ManualClock(), clock_skew_seconds=10))

        assert events == [
            RegionBegins(OREGON, 1),
            BatchRevoked(OREGON, number=1, done=1, viewers=1, left_seconds=0.0),
            RegionRevoked(OREGON, 1, (), refused_for_seconds=10),
        ]
        assert not any(map(has_failures, events))
        assert ahead.playlist().status == 403
        assert later.playlist().status == 200


def test_each_call_reports_how_long_the_remaining_ones_take(clients: AwsClients) -> None:
    """45 viewers are 3 calls at 2 calls a second; viewers that IVS does not know are failures."""
    viewers = [Viewer(MISSING, f"v{number:02}") for number in range(45)]

    events = list(revoke_sessions_of(viewers, clients, ManualClock(), clock_skew_seconds=10))

    assert [
        (event.number, event.done, event.left_seconds)
        for event in events
        if isinstance(event, BatchRevoked)
    ] == [(1, 20, 1.0), (2, 40, 0.5), (3, 45, 0.0)]
    last = events[-1]
    assert isinstance(last, RegionRevoked)
    assert last.revoked == 0
    assert last.failures[0] == NotRevoked(viewers[0], "ResourceNotFoundException")
    assert len(last.failures) == 45
    assert [has_failures(event) for event in events] == [False, False, False, False, True]


def test_a_region_that_fails_does_not_stop_the_next_one(
    ivs: LocalIvsServer, clients: AwsClients
) -> None:
    """Its error is reported; the viewers of the other region are revoked."""
    fault = {
        "operation": "BatchStartViewerSessionRevocation",
        "kind": "error",
        "error": "AccessDeniedException",
    }
    planned = urllib3.request("POST", f"{ivs.url}/_local/faults", json=fault, retries=False)
    assert planned.status < 300, planned.data
    account = Account(ivs, "123456789012")
    channel = account.create_channel()
    ireland = ChannelArn.parse("arn:aws:ivs:eu-west-1:123456789012:channel/abcdEFGHijkl")
    viewers = [Viewer(ireland, "alice"), Viewer(ChannelArn.parse(channel.arn), "bob")]

    events = list(revoke_sessions_of(viewers, clients, ManualClock(), clock_skew_seconds=10))

    assert events[0] == RegionBegins(ireland.region, 1)
    assert isinstance(events[1], RegionFailed)
    assert events[1].region == "eu-west-1"
    assert has_failures(events[1])
    assert events[-1] == RegionRevoked(OREGON, 1, (), refused_for_seconds=10)


def test_a_throttled_call_is_made_again(ivs: LocalIvsServer, clients: AwsClients) -> None:
    """After a pause of 1 s: IVS allows two calls a second, for all programs of the account."""
    fault = {
        "operation": "BatchStartViewerSessionRevocation",
        "kind": "error",
        "error": "ThrottlingException",
    }
    planned = urllib3.request("POST", f"{ivs.url}/_local/faults", json=fault, retries=False)
    assert planned.status < 300, planned.data
    channel = ChannelArn.parse(Account(ivs, "123456789012").create_channel().arn)
    clock = ManualClock()

    events = list(
        revoke_sessions_of([Viewer(channel, "bob")], clients, clock, clock_skew_seconds=10)
    )

    assert events[-1] == RegionRevoked(OREGON, 1, (), refused_for_seconds=10)
    assert clock.sleeps == [1.0]
