"""AWS credentials of another account than the ring's: nothing is recorded, created or deleted."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.keyring.rings import ACCOUNT_ID, DRAIN_SECONDS, REGION
from tests.keyring.world import LossyKeyPairs, World, world_in
from tests.support.faulty_server import Answer, faulty_server
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
    clients = AwsClients(AwsTerms(), clock=world.clock)
    assert IvsKeyPairs(clients, REGION).held() == ()
    yield IvsKeyPairs(clients, REGION)
    clients.close()


def caller_identity(account_id: str) -> bytes:
    """The answer of AWS STS to GetCallerIdentity."""
    return (
        '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
        f"<GetCallerIdentityResult><Account>{account_id}</Account></GetCallerIdentityResult>"
        "</GetCallerIdentityResponse>"
    ).encode()


def import_into(other_account: IvsKeyPairs) -> None:
    """Import a key pair into the other account."""
    key = PublicKey.of(ec.generate_private_key(ec.SECP384R1()).public_key())
    other_account.import_pair(key, name="other-account", tags={})


def test_a_started_delete_is_not_recorded_as_done(world: World, other_account: IvsKeyPairs) -> None:
    """Rule 8: the other account does not hold the key pair, but that proves nothing."""
    world.copy_active_and_standby()
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


def delete_with_lost_answer(world: World, key_ids: Collection[str]) -> None:
    """Revoke those keys; IVS deletes the first one, but the answer is lost."""
    world.revoke(key_ids, "laptop lost")
    with pytest.raises(IvsUnavailable):
        world.reconcile(world.rotator(key_pairs=LossyKeyPairs(world.key_pairs, {"delete"})))


def test_an_account_without_key_pairs_confirms_no_delete(
    world: World, other_account: IvsKeyPairs
) -> None:
    """Rule 8: IVS also lacks the active key, so it may have answered for another account."""
    world.copy_active_and_standby()
    standby = world.ring.pairs[1]
    delete_with_lost_answer(world, [standby.key_id])
    assert world.ring.pair(standby.key_id).state is RETIRING

    with pytest.raises(RotationRefused, match="aws sts get-caller-identity"):
        world.reconcile(world.rotator(key_pairs=other_account))

    assert world.ring.pair(standby.key_id).state is RETIRING
    world.reconcile()
    assert world.ring.pair(standby.key_id).state is RETIRED


def test_an_empty_ivs_confirms_a_delete_if_sts_says_that_it_is_our_account(
    world: World, other_account: IvsKeyPairs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The region is being removed, and its last key pair was deleted. Only STS can settle it."""
    world.copy_active_and_standby()
    key_ids = [pair.key_id for pair in world.ring.pairs]
    world.revoke(key_ids, "laptop lost")
    for _ in range(2):
        lossy = LossyKeyPairs(world.key_pairs, {"delete"})
        with pytest.raises(IvsUnavailable):
            world.reconcile(world.rotator(key_pairs=lossy, decommissioning=True))
    assert world.key_pairs.held() == ()

    for account, reached in ((OTHER_ACCOUNT, RETIRING), (ACCOUNT_ID, RETIRED)):
        with faulty_server(Answer(200, caller_identity(account))) as sts:
            monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sts.url)
            with contextlib.suppress(RotationRefused):
                world.reconcile(world.rotator(decommissioning=True))
            assert len(sts.requests) == 1
        assert world.ring.pair(key_ids[1]).state is reached


def test_a_standby_is_not_discarded_because_another_account_lacks_it(
    world: World, other_account: IvsKeyPairs
) -> None:
    """In an emergency it takes over: what the ring and the custody say counts."""
    world.copy_active_and_standby()
    compromised, standby = world.ring.pairs
    world.revoke([compromised.key_id], "laptop lost")

    with pytest.raises(RotationRefused, match="aws sts get-caller-identity"):
        world.reconcile(world.rotator(key_pairs=other_account))

    assert world.ring.active is not None
    assert world.ring.active.key_id == standby.key_id
    world.reconcile()
    assert [pair.state for pair in world.ring.pairs] == [RETIRED, ACTIVE, PUBLISHED]


def test_a_missing_active_pair_may_be_caused_by_wrong_credentials(
    world: World, other_account: IvsKeyPairs
) -> None:
    """An account without key pairs can't be identified: the hint names the command to check it."""
    world.copy_active_and_standby()
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
    world.copy_active_and_standby()
    compromised = [pair.key_id for pair in world.ring.pairs]
    world.revoke(compromised, "laptop lost")
    import_into(other_account)

    with pytest.raises(RotationRefused, match=f"{OTHER_ACCOUNT}.* {ACCOUNT_ID} .*ivs.account_id"):
        world.reconcile(world.rotator(key_pairs=other_account))

    assert len(other_account.held()) == 1
    assert len(world.key_pairs.held()) == 2
    world.reconcile()
    assert [pair.state for pair in world.ring.pairs] == [RETIRED, RETIRED, ACTIVE, PUBLISHED]


def test_a_rollback_blames_the_credentials_and_not_ivs(
    world: World, other_account: IvsKeyPairs
) -> None:
    """The other account lacks the earlier key, and the active one: no reason to force a switch."""
    world.create_active_and_standby()
    world.rotator().request_rotation("monthly")
    world.reconcile()
    before = world.ring

    with pytest.raises(RotationRefused) as refusal:
        world.rotator(key_pairs=other_account).rollback("the new key is bad")

    assert "get-caller-identity" in refusal.value.hint
    assert "--force" not in refusal.value.hint
    assert world.ring == before
