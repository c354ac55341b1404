"""A key pair that was created elsewhere is adopted: once, and only where IVS holds it here."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.keyring.rings import ACCOUNT_ID, REGION, TERMS
from tests.keyring.world import World, world_in
from tokensvc.arns import PlaybackKeyArn
from tokensvc.errors import InvalidKeyMaterial, RotationRefused
from tokensvc.keyring.model import KeyState
from tokensvc.token.p384 import PublicKey

PENDING, PUBLISHED, ACTIVE, RETIRING, RETIRED = KeyState


@pytest.fixture(name="world")
def _world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with world_in(tmp_path, monkeypatch) as world:
        yield world


def test_adopting_an_imported_key_makes_it_the_standby(world: World) -> None:
    """The adopted key becomes active after the publish delay."""
    private_key = ec.generate_private_key(ec.SECP384R1())
    public_key = PublicKey.of(private_key.public_key())
    held = world.key_pairs.import_pair(public_key, name="manual", tags={})

    pair = world.rotator().adopt(private_key, held.arn, "first day", longest_ttl_seconds=86_400)

    assert (pair.state, pair.arn, pair.adopted) == (PUBLISHED, held.arn, True)
    assert world.ring.terms.longest_ttl_seconds == 3_600
    assert world.ring.pair(pair.key_id).adopted_ttl_seconds == 86_400
    world.clock.advance(60)
    world.reconcile()
    with world.view() as view:
        assert view.active(world.moment()).signer.public_key == public_key


def test_adopting_again_after_a_crash_stores_one_private_key(world: World) -> None:
    """The ID is derived from the key, so the private key stored before the crash is found."""
    private_key = ec.generate_private_key(ec.SECP384R1())
    public_key = PublicKey.of(private_key.public_key())
    held = world.key_pairs.import_pair(public_key, name="manual", tags={})
    first = world.rotator().adopt(private_key, held.arn, "first day")
    stored = world.store.load()
    assert stored is not None
    # As if the process had died after custody stored the key and before the ring was saved.
    world.store.save(dataclasses.replace(stored.ring, pairs=()), replacing=stored.version)

    second = world.rotator().adopt(private_key, held.arn, "first day")

    assert second.key_id == first.key_id
    assert list(world.custody.key_ids()) == [first.key_id]


def test_adopting_again_without_a_lifetime_changes_nothing(world: World) -> None:
    """Also in the key pair's record of the lifetime, which the previous release can't read."""
    private_key = ec.generate_private_key(ec.SECP384R1())
    public_key = PublicKey.of(private_key.public_key())
    held = world.key_pairs.import_pair(public_key, name="by-hand", tags={})
    first = world.rotator().adopt(private_key, held.arn, "first day")
    before = world.store.load()

    again = world.rotator().adopt(private_key, held.arn, "second day")

    assert again == first
    assert world.store.load() == before


def test_adopting_again_after_success_changes_nothing(world: World) -> None:
    """A script may be run again, and the key pair may sign meanwhile. A longer lifetime counts."""
    private_key = ec.generate_private_key(ec.SECP384R1())
    public_key = PublicKey.of(private_key.public_key())
    held = world.key_pairs.import_pair(public_key, name="by-hand", tags={})
    first = world.rotator().adopt(private_key, held.arn, "first day", longest_ttl_seconds=600)
    world.clock.advance(TERMS.publish_delay_seconds)
    world.reconcile()
    before = world.store.load()

    again = world.rotator().adopt(private_key, held.arn, "second day")

    assert (again.key_id, again.state) == (first.key_id, ACTIVE)
    assert world.store.load() == before
    world.rotator().adopt(private_key, held.arn, "third day", longest_ttl_seconds=900)
    assert world.ring.pair(first.key_id).adopted_ttl_seconds == 900
    world.revoke([first.key_id], "laptop lost")
    with pytest.raises(RotationRefused, match=f"{first.key_id}.*compromised"):
        world.rotator().adopt(private_key, held.arn, "fourth day")


def test_adopting_with_the_wrong_private_key_is_refused_with_both_fingerprints(
    world: World,
) -> None:
    """Nothing is saved: neither the ring nor the custody has the key."""
    other = PublicKey.of(ec.generate_private_key(ec.SECP384R1()).public_key())
    private_key = ec.generate_private_key(ec.SECP384R1())
    held = world.key_pairs.import_pair(other, name="manual", tags={})

    with pytest.raises(InvalidKeyMaterial) as refusal:
        world.rotator().adopt(private_key, held.arn, "first day")

    assert other.fingerprint in refusal.value.detail
    assert PublicKey.of(private_key.public_key()).fingerprint in refusal.value.detail
    assert world.rotator().ring().pairs == ()
    assert list(world.custody.key_ids()) == []


@pytest.mark.parametrize(
    ("region", "account_id", "command"),
    [
        (REGION, ACCOUNT_ID, "tokensvc keys list"),
        ("eu-west-1", ACCOUNT_ID, "--region"),
        (REGION, "999999999999", "ivs.account_id"),
    ],
    ids=["unknown", "another region", "another account"],
)
def test_adopting_a_pair_that_ivs_does_not_hold_here_is_refused(
    world: World, region: str, account_id: str, command: str
) -> None:
    """The refusal names the ARN and what to check: the list, the region or the account."""
    arn = PlaybackKeyArn.parse(f"arn:aws:ivs:{region}:{account_id}:playback-key/nowhere")

    with pytest.raises(RotationRefused, match=f"{arn}.*{command}"):
        world.rotator().adopt(ec.generate_private_key(ec.SECP384R1()), arn, "first day")
