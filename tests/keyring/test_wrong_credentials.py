"""AWS credentials of another account than the ring's: nothing is believed, made or deleted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.keyring.rings import ACCOUNT_ID, DRAIN_SECONDS, REGION
from tests.keyring.world import LosesAnswers, World, world_in
from tokensvc.aws import AwsClients, AwsTerms
from tokensvc.errors import IvsUnavailable, RotationRefused
from tokensvc.ivs.key_pairs import IvsKeyPairs
from tokensvc.keyring.model import KeyState
from tokensvc.p384 import PublicKey

OTHER_ACCOUNT = "999999999999"
PENDING, PUBLISHED, ACTIVE, RETIRING, RETIRED = KeyState


@pytest.fixture(name="world")
def _world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with world_in(tmp_path, monkeypatch) as world:
        world.key_pairs.held()  # Its client is made, with the right credentials.
        yield world


@pytest.fixture(name="elsewhere")
def _elsewhere(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[IvsKeyPairs]:
    """The same IVS, asked with another account's credentials."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", OTHER_ACCOUNT)
    clients = AwsClients(AwsTerms())
    assert IvsKeyPairs(clients, REGION).held() == ()
    yield IvsKeyPairs(clients, REGION)
    clients.close()


def import_theirs(elsewhere: IvsKeyPairs) -> None:
    """A key pair that the other account has of its own."""
    key = PublicKey.of(ec.generate_private_key(ec.SECP384R1()).public_key())
    elsewhere.import_pair(key, name="theirs", tags={})


def test_a_delete_that_was_begun_is_not_taken_for_done(
    world: World, elsewhere: IvsKeyPairs
) -> None:
    """Rule 8: that the other account holds no such pair is no word of the ring's own."""
    world.settle()
    world.rotator().request_rotation("monthly")
    world.reconcile()
    world.clock.advance(DRAIN_SECONDS)
    with pytest.raises(IvsUnavailable):
        world.reconcile(world.rotator(key_pairs=LosesAnswers(world.key_pairs, {"delete"})))
    import_theirs(elsewhere)
    before = world.ring

    with pytest.raises(RotationRefused, match=f"is not of account {ACCOUNT_ID}"):
        world.reconcile(world.rotator(key_pairs=elsewhere))

    assert world.ring == before
    world.reconcile()
    assert [pair.state for pair in world.ring.pairs] == [RETIRED, ACTIVE, PUBLISHED]


def test_an_active_pair_that_is_not_seen_may_be_another_accounts_fault(
    world: World, elsewhere: IvsKeyPairs
) -> None:
    """An account without key pairs doesn't tell which it is: the refusal says what to check."""
    world.settle()
    before = world.ring

    with pytest.raises(RotationRefused, match=f"credentials are not of account {ACCOUNT_ID}"):
        world.reconcile(world.rotator(key_pairs=elsewhere))

    assert world.ring == before


def test_a_first_pair_imported_into_another_account_does_not_count(
    world: World, elsewhere: IvsKeyPairs
) -> None:
    """The refusal names the call that deletes it; with the right credentials it is imported."""
    with pytest.raises(RotationRefused) as refusal:
        world.reconcile(world.rotator(key_pairs=elsewhere))

    (theirs,) = elsewhere.held()
    assert f"aws ivs delete-playback-key-pair --region us-west-2 --arn {theirs.arn}" in (
        refusal.value.hint
    )
    assert [pair.state for pair in world.ring.pairs] == [PENDING]
    world.reconcile()
    assert [pair.state for pair in world.ring.pairs] == [PUBLISHED]
    assert [held.arn.account_id for held in world.key_pairs.held()] == [ACCOUNT_ID]


def test_a_stolen_key_is_not_replaced_by_one_in_another_account(
    world: World, elsewhere: IvsKeyPairs
) -> None:
    """Rule 10: the order stands, and is carried out with the right credentials."""
    world.settle()
    stolen = [pair.key_id for pair in world.ring.pairs]
    world.rotator().revoke(stolen, "laptop lost")
    import_theirs(elsewhere)

    with pytest.raises(RotationRefused, match=f"is not of account {ACCOUNT_ID}"):
        world.reconcile(world.rotator(key_pairs=elsewhere))

    assert len(elsewhere.held()) == 1
    assert len(world.key_pairs.held()) == 2
    world.reconcile()
    assert [pair.state for pair in world.ring.pairs] == [RETIRED, RETIRED, ACTIVE, PUBLISHED]
