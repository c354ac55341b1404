"""Channels and playback key pairs against Local IVS, which follows AWS's service model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from local_ivs.testing import LocalIvsServer

from tests.support.aws import set_aws_endpoint
from tokensvc.arns import ChannelArn, Region
from tokensvc.aws import AwsClients, AwsTerms
from tokensvc.errors import ChannelNotFound, IvsRefused, NotFound
from tokensvc.ivs.channels import get_channel, get_channels
from tokensvc.ivs.key_pairs import IvsKeyPairs
from tokensvc.ivs.model import Channel
from tokensvc.token.p384 import LocalSigner

OREGON = Region("us-west-2")
FRANKFURT = Region("eu-central-1")


@pytest.fixture
def local_ivs(tmp_path: Path) -> Iterator[LocalIvsServer]:
    """Local IVS without AWS's rate limits."""
    with LocalIvsServer(tmp_path) as server:
        yield server


@pytest.fixture
def clients(
    local_ivs: LocalIvsServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[AwsClients]:
    """Clients that find Local IVS through the environment."""
    set_aws_endpoint(monkeypatch, tmp_path, local_ivs.url)
    clients = AwsClients(AwsTerms())
    yield clients
    clients.close()


@pytest.mark.parametrize("is_private", [True, False])
def test_a_channel_is_returned_as_ivs_has_it(
    is_private: bool,  # noqa: FBT001 - pytest passes it by name.
    local_ivs: LocalIvsServer,
    clients: AwsClients,
) -> None:
    """Private or public, with the playback URL that CreateChannel returned."""
    made = local_ivs.client().create_channel(name="keynote", authorized=is_private)["channel"]
    arn = ChannelArn.parse(made["arn"])
    assert get_channel(clients, arn) == Channel(
        arn, "keynote", is_private=is_private, playback_url=made["playbackUrl"]
    )


def test_a_deleted_channel_is_not_found(local_ivs: LocalIvsServer, clients: AwsClients) -> None:
    """GetChannel's 404 becomes ChannelNotFound."""
    ivs = local_ivs.client()
    arn = ivs.create_channel(authorized=True)["channel"]["arn"]
    ivs.delete_channel(arn=arn)
    with pytest.raises(ChannelNotFound, match=arn):
        get_channel(clients, ChannelArn.parse(arn))


def test_fifty_channels_are_returned_by_one_call(
    local_ivs: LocalIvsServer, clients: AwsClients
) -> None:
    """As GetChannel returns each of them; a deleted channel is not found."""
    ivs = local_ivs.client()
    made = [ivs.create_channel(name=f"c{n}", authorized=n % 2 == 0)["channel"] for n in range(50)]
    ivs.delete_channel(arn=made[7]["arn"])
    arns = [ChannelArn.parse(channel["arn"]) for channel in made]
    found = dict(get_channels(clients, arns))
    absent = found.pop(arns[7])
    assert isinstance(absent, ChannelNotFound)
    assert found == {
        arn: Channel(arn, f"c{n}", is_private=n % 2 == 0, playback_url=made[n]["playbackUrl"])
        for n, arn in enumerate(arns)
        if n != 7
    }


def test_a_channel_of_another_account_is_never_returned(
    local_ivs: LocalIvsServer, clients: AwsClients
) -> None:
    """IVS may deny the call, or answer that the channel does not exist."""
    arn = local_ivs.client(account="999999999999").create_channel(authorized=True)["channel"]["arn"]
    with pytest.raises((ChannelNotFound, IvsRefused)):
        get_channel(clients, ChannelArn.parse(arn))


def test_an_imported_key_pair_has_our_fingerprint_until_it_is_deleted(
    clients: AwsClients,
) -> None:
    """From import to deletion; each region has its own key pairs."""
    key_pairs = IvsKeyPairs(clients, OREGON)
    public_key = LocalSigner.generate().public_key
    pair = key_pairs.import_pair(public_key, name="spring", tags={"tokensvc:deployment": "d1"})
    assert pair.fingerprint == public_key.fingerprint
    assert (pair.name, pair.tags) == ("spring", {"tokensvc:deployment": "d1"})
    assert pair.arn.region == OREGON
    assert key_pairs.held() == (pair,)
    assert key_pairs.get(pair.arn) == pair
    assert IvsKeyPairs(clients, FRANKFURT).held() == ()
    key_pairs.delete(pair.arn)
    key_pairs.delete(pair.arn)
    assert key_pairs.held() == ()
    with pytest.raises(NotFound):
        key_pairs.get(pair.arn)


def test_a_repeated_import_of_a_public_key_is_a_conflict(clients: AwsClients) -> None:
    """IVS holds each public key once."""
    key_pairs = IvsKeyPairs(clients, OREGON)
    public_key = LocalSigner.generate().public_key
    pair = key_pairs.import_pair(public_key, name="", tags={})
    with pytest.raises(IvsRefused) as caught:
        key_pairs.import_pair(public_key, name="", tags={})
    assert caught.value.aws_code == "ConflictException"
    assert key_pairs.held() == (pair,)


def test_a_fourth_key_pair_exceeds_the_quota_until_one_is_deleted(clients: AwsClients) -> None:
    """Three key pairs in a region; after a deletion, the import succeeds."""
    key_pairs = IvsKeyPairs(clients, OREGON)
    held = [
        key_pairs.import_pair(LocalSigner.generate().public_key, name=name, tags={})
        for name in ("a", "b", "c")
    ]
    fourth = LocalSigner.generate().public_key
    with pytest.raises(IvsRefused) as caught:
        key_pairs.import_pair(fourth, name="d", tags={})
    assert caught.value.aws_code == "ServiceQuotaExceededException"
    key_pairs.delete(held[0].arn)
    assert key_pairs.import_pair(fourth, name="d", tags={}).fingerprint == fourth.fingerprint


def test_a_name_that_ivs_does_not_allow_is_refused_as_a_validation_error(
    clients: AwsClients,
) -> None:
    """A name must not have spaces."""
    with pytest.raises(IvsRefused) as caught:
        IvsKeyPairs(clients, OREGON).import_pair(
            LocalSigner.generate().public_key, name="in spring", tags={}
        )
    assert caught.value.aws_code == "ValidationException"
