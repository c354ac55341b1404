"""AWS credentials of another account than the ring's: nothing is recorded, created or deleted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.keyring.rings import ACCOUNT_ID, DRAIN_SECONDS, REGION
from tests.keyring.world import LossyKeyPairs, World, world_in
from tokensvc.aws import AwsClients, AwsTerms
from tokensvc.errors import IvsUnavailable, RotationRefused
from tokensvc.ivs.key_pairs import IvsKeyPairs
from tokensvc.keyring.model import KeyState
from tokensvc.token.p384 import PublicKey

OTHER_ACCOUNT = "999999999999"
PENDING, PUBLISHED, ACTIVE, RETIRING, RETIRED = KeyState


@pytest.fixture(name="world")
def _world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with world_in(tmp_path, monkeypatch) as world:
        world.key_pairs.held()  # Creates the client, with the right credentials.
        yield world


@pytest.fixture(name="other_account")
def _other_account(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[IvsKeyPairs]:
    """The same IVS with another account's credentials."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", OTHER_ACCOUNT)
    clients = AwsClients(AwsTerms())
    assert IvsKeyPairs(clients, REGION).held() == ()
    yield IvsKeyPairs(clients, REGION)
    clients.close()


def import_into(other_account: IvsKeyPairs) -> None:
    """Import a key pair into the other account."""
    key = PublicKey.of(ec.generate_private_key(ec.SECP384R1()).public_key())
    other_account.import_pair(key, name="other-account", tags={})


def test_a_started_delete_is_not_recorded_as_done(world: World, other_account: IvsKeyPairs) -> None:
    """Rule 8: the other account does not hold the key pair, but that proves nothing."""
    world.create_active_and_standby()
    world.rotator().request_rotation("monthly")
    world.reconcile()
    world.clock.advance(DRAIN_SECONDS)
    with pytest.raises(IvsUnavailable):
        world.reconcile(world.rotator(key_pairs=LossyKeyPairs(world.key_pairs, {"delete"})))
    import_into(other_account)
    before = world.ring

    with pytest.raises(RotationRefused, match=f"{OTHER_ACCOUNT}.* {ACCOUNT_ID} .*ivs.account_id"):
        world.reconcile(world.rotator(key_pairs=other_account))

    assert world.ring == before
    world.reconcile()
    assert [pair.state for pair in world.ring.pairs] == [RETIRED, ACTIVE, PUBLISHED]


def test_a_missing_active_pair_may_be_caused_by_wrong_credentials(
    world: World, other_account: IvsKeyPairs
) -> None:
    """An account without key pairs can't be identified: the hint names the command to check it."""
    world.create_active_and_standby()
    before = world.ring

    with pytest.raises(RotationRefused, match=f"{ACCOUNT_ID}.*aws sts get-caller-identity"):
        world.reconcile(world.rotator(key_pairs=other_account))

    assert world.ring == before


def test_an_import_into_another_account_is_not_recorded(
    world: World, other_account: IvsKeyPairs
) -> None:
    """The refusal has the command that deletes it. The right credentials import it again."""
    with pytest.raises(RotationRefused) as refusal:
        world.reconcile(world.rotator(key_pairs=other_account))

    (held,) = other_account.held()
    assert f"aws ivs delete-playback-key-pair --region us-west-2 --arn {held.arn}" in (
        refusal.value.hint
    )
    assert [pair.state for pair in world.ring.pairs] == [PENDING]
    world.reconcile()
    assert [pair.state for pair in world.ring.pairs] == [PUBLISHED]
    assert [one.arn.account_id for one in world.key_pairs.held()] == [ACCOUNT_ID]


def test_a_compromised_key_is_not_replaced_by_one_in_another_account(
    world: World, other_account: IvsKeyPairs
) -> None:
    """Rule 10: the revocation is recorded, and is carried out with the right credentials."""
    world.create_active_and_standby()
    compromised = [pair.key_id for pair in world.ring.pairs]
    world.rotator().revoke(compromised, "laptop lost")
    import_into(other_account)

    with pytest.raises(RotationRefused, match=f"{OTHER_ACCOUNT}.* {ACCOUNT_ID} .*ivs.account_id"):
        world.reconcile(world.rotator(key_pairs=other_account))

    assert len(other_account.held()) == 1
    assert len(world.key_pairs.held()) == 2
    world.reconcile()
    assert [pair.state for pair in world.ring.pairs] == [RETIRED, RETIRED, ACTIVE, PUBLISHED]
