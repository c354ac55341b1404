"""The canary asks the real edge of Local IVS with a really signed token."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.support.aws import set_aws_endpoint
from tests.support.clock import ManualClock
from tests.support.local_ivs import LocalIvsServer
from tokensvc.arns import ChannelArn, parse_region
from tokensvc.aws import AwsClients, AwsTerms
from tokensvc.errors import ChannelNotPrivate, IvsUnavailable, RotationRefused
from tokensvc.ivs.channels import get_channel
from tokensvc.ivs.key_pairs import IvsKeyPairs
from tokensvc.p384 import LocalSigner
from tokensvc.playback.canary import EdgeCanary

REGION = parse_region("us-west-2")


@pytest.fixture(name="ivs")
def _ivs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalIvsServer]:
    with LocalIvsServer(tmp_path / "ivs", ManualClock()) as server:
        set_aws_endpoint(monkeypatch, tmp_path, server.url)
        yield server


@pytest.fixture(name="clients")
def _clients(ivs: LocalIvsServer) -> Iterator[AwsClients]:
    clients = AwsClients(AwsTerms())
    yield clients
    clients.close()


def canary(ivs: LocalIvsServer, clients: AwsClients, *, private: bool = True) -> EdgeCanary:
    """A canary of a channel of its own, which is offline."""
    channel = ivs.client().create_channel(name="canary", authorized=private)["channel"]
    arn = ChannelArn.parse(channel["arn"])
    return EdgeCanary(arn, partial(get_channel, clients), ManualClock())


def test_a_key_that_the_edge_knows_passes_on_an_offline_channel(
    ivs: LocalIvsServer, clients: AwsClients
) -> None:
    """404 is an answer to the token: the channel is offline, the key is known."""
    signer = LocalSigner.generate()
    IvsKeyPairs(clients, REGION).import_pair(signer.public_key, name="new", tags={})

    canary(ivs, clients)(signer)


def test_a_key_that_the_edge_knows_passes_on_a_live_channel(
    ivs: LocalIvsServer, clients: AwsClients
) -> None:
    """200 is an answer too."""
    signer = LocalSigner.generate()
    IvsKeyPairs(clients, REGION).import_pair(signer.public_key, name="new", tags={})
    asked = canary(ivs, clients)
    ivs.go_live(str(asked.channel_arn))

    asked(signer)


def test_a_key_that_the_edge_does_not_know_is_held_back(
    ivs: LocalIvsServer, clients: AwsClients
) -> None:
    """403: the import has not reached the edge."""
    asked = canary(ivs, clients)

    with pytest.raises(RotationRefused, match="answers 403"):
        asked(LocalSigner.generate())


def test_a_public_channel_is_no_canary(ivs: LocalIvsServer, clients: AwsClients) -> None:
    """It would take any token, and so prove nothing."""
    asked = canary(ivs, clients, private=False)

    with pytest.raises(ChannelNotPrivate, match="canary_channels"):
        asked(LocalSigner.generate())


def test_an_edge_out_of_reach_is_told_without_the_token(
    ivs: LocalIvsServer, clients: AwsClients
) -> None:
    """No cause is chained: its text would hold the URL, and the URL the token."""
    asked = canary(ivs, clients)
    channel = dataclasses.replace(
        get_channel(clients, asked.channel_arn), playback_url="http://127.0.0.1:9/x.m3u8"
    )
    unreachable = dataclasses.replace(asked, get_channel=lambda _: channel)

    with pytest.raises(IvsUnavailable) as refusal:
        unreachable(LocalSigner.generate())

    assert "eyJ" not in str(refusal.value)
    assert refusal.value.__cause__ is None


def test_the_edge_is_asked_through_the_proxy_of_the_environment(
    ivs: LocalIvsServer, clients: AwsClients, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As boto3 asks IVS: here Local IVS stands in for the proxy, and answers 404."""
    asked = canary(ivs, clients)
    channel = dataclasses.replace(
        get_channel(clients, asked.channel_arn), playback_url="http://edge.invalid/x.m3u8"
    )
    behind_a_proxy = dataclasses.replace(asked, get_channel=lambda _: channel)
    with pytest.raises(IvsUnavailable):
        behind_a_proxy(LocalSigner.generate())

    monkeypatch.setenv("HTTP_PROXY", ivs.url)
    monkeypatch.setenv("http_proxy", ivs.url)

    behind_a_proxy(LocalSigner.generate())
