"""The canary sends a signed token to the edge of Local IVS."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from local_ivs.testing import LocalIvsServer

from tests.support.aws import set_aws_endpoint
from tests.support.clock import ManualClock
from tokensvc.arns import ChannelArn, parse_region
from tokensvc.aws import AwsClients, AwsTerms
from tokensvc.errors import ChannelNotPrivate, IvsUnavailable, RotationRefused
from tokensvc.ivs.channels import get_channel
from tokensvc.ivs.key_pairs import IvsKeyPairs
from tokensvc.playback.canary import EdgeCanary
from tokensvc.token.p384 import LocalSigner

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
    """A canary with a new channel, which is offline."""
    channel = ivs.client().create_channel(name="canary", authorized=private)["channel"]
    arn = ChannelArn.parse(channel["arn"])
    return EdgeCanary(arn, partial(get_channel, clients), ManualClock())


def test_an_imported_key_passes_with_an_offline_channel(
    ivs: LocalIvsServer, clients: AwsClients
) -> None:
    """404 means that the edge accepted the token and that the channel is offline."""
    signer = LocalSigner.generate()
    IvsKeyPairs(clients, REGION).import_pair(signer.public_key, name="new", tags={})

    canary(ivs, clients)(signer)


def test_an_imported_key_passes_with_a_live_channel(
    ivs: LocalIvsServer, clients: AwsClients
) -> None:
    """200 means that the edge accepted the token."""
    signer = LocalSigner.generate()
    IvsKeyPairs(clients, REGION).import_pair(signer.public_key, name="new", tags={})
    edge_canary = canary(ivs, clients)
    ivs.go_live(str(edge_canary.channel_arn))

    edge_canary(signer)


def test_a_key_that_is_not_imported_is_refused(ivs: LocalIvsServer, clients: AwsClients) -> None:
    """403 means that the import has not reached the edge."""
    edge_canary = canary(ivs, clients)

    with pytest.raises(RotationRefused) as refusal:
        edge_canary(LocalSigner.generate())

    assert str(edge_canary.channel_arn) in refusal.value.detail
    assert "403" in refusal.value.detail
    assert "`tokensvc keys reconcile`" in refusal.value.hint


def test_a_public_channel_can_not_be_a_canary(ivs: LocalIvsServer, clients: AwsClients) -> None:
    """It accepts any token, so its answer proves nothing."""
    edge_canary = canary(ivs, clients, private=False)

    with pytest.raises(ChannelNotPrivate) as refusal:
        edge_canary(LocalSigner.generate())

    assert "`rotation.canary_channels`" in refusal.value.hint


def test_the_error_for_an_unreachable_edge_does_not_contain_the_token(
    ivs: LocalIvsServer, clients: AwsClients
) -> None:
    """No cause is chained, because its text would contain the URL with the token."""
    edge_canary = canary(ivs, clients)
    channel = dataclasses.replace(
        get_channel(clients, edge_canary.channel_arn), playback_url="http://127.0.0.1:9/x.m3u8"
    )
    unreachable = dataclasses.replace(edge_canary, get_channel=lambda _: channel)

    with pytest.raises(IvsUnavailable) as refusal:
        unreachable(LocalSigner.generate())

    assert "eyJ" not in str(refusal.value)
    assert refusal.value.__cause__ is None


def test_the_canary_uses_the_proxy_of_the_environment(
    ivs: LocalIvsServer, clients: AwsClients, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As boto3 does. Here the edge of Local IVS stands in for the proxy and answers 404."""
    edge_canary = canary(ivs, clients)
    channel = dataclasses.replace(
        get_channel(clients, edge_canary.channel_arn),
        playback_url="http://edge.invalid/api/video/v1/x.m3u8",
    )
    proxied = dataclasses.replace(edge_canary, get_channel=lambda _: channel)
    with pytest.raises(IvsUnavailable):
        proxied(LocalSigner.generate())

    monkeypatch.setenv("HTTP_PROXY", ivs.url)
    monkeypatch.setenv("http_proxy", ivs.url)

    proxied(LocalSigner.generate())
