"""Rule 10: a compromised key is removed at once, and another key signs new tokens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.keyring.rings import TERMS
from tests.keyring.world import LossyKeyPairs, World, world_in
from tokensvc.errors import IvsUnavailable, KeyNotFound, NoSigningKey, RotationRefused
from tokensvc.keyring.model import Act, KeyState, Ring
from tokensvc.keyring.steps import Done
from tokensvc.token.p384 import PublicKey, Signer

PENDING, PUBLISHED, ACTIVE, RETIRING, RETIRED = KeyState


@pytest.fixture(name="world")
def _world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with world_in(tmp_path, monkeypatch) as world:
        yield world


def states(ring: Ring) -> list[KeyState]:
    """The states, oldest pair first."""
    return [pair.state for pair in ring.pairs]


def import_foreign_pairs(world: World, count: int) -> None:
    """Occupy that many slots with foreign key pairs."""
    for _ in range(count):
        key = PublicKey.of(ec.generate_private_key(ec.SECP384R1()).public_key())
        world.ivs.client().import_playback_key_pair(publicKeyMaterial=key.pem)


def held_fingerprints(world: World) -> list[str]:
    """The fingerprints of the key pairs in IVS."""
    return [held.fingerprint for held in world.key_pairs.held()]


def test_revoking_the_active_key_switches_to_the_standby_at_once(world: World) -> None:
    """No drain: the same run removes the compromised key from IVS and custody."""
    world.copy_active_and_standby()
    compromised, standby = world.ring.pairs

    world.revoke([compromised.key_id], "laptop lost")
    assert isinstance(world.reconcile(), Done)

    assert states(world.ring) == [RETIRED, ACTIVE, PUBLISHED]
    with world.view() as view:
        assert view.active(world.moment()).signer.public_key == standby.public_key
    assert compromised.public_key is not None
    assert compromised.public_key.fingerprint not in held_fingerprints(world)
    assert compromised.key_id not in world.custody.key_ids()


def test_an_emergency_switch_skips_the_publish_delay(world: World) -> None:
    """The delay of rule 2 protects against a slow import; a compromised key is worse."""
    world.reconcile()
    world.clock.advance(TERMS.publish_delay_seconds)
    world.reconcile()
    compromised, young = world.ring.pairs
    assert young.published_at == world.clock.now()

    world.revoke([compromised.key_id], "laptop lost")
    world.reconcile()

    assert world.ring.active is not None
    assert world.ring.active.key_id == young.key_id


def test_revoking_the_standby_leaves_the_active_key_alone(world: World) -> None:
    """The standby is removed, and the next standby is created."""
    world.copy_active_and_standby()
    active, compromised = world.ring.pairs

    world.revoke([compromised.key_id], "laptop lost")
    world.reconcile()

    assert states(world.ring) == [ACTIVE, RETIRED, PUBLISHED]
    assert world.ring.active is not None
    assert world.ring.active.key_id == active.key_id


def test_revoking_all_ends_with_a_new_active_key(world: World) -> None:
    """Every key pair in the ring is treated as compromised; none is left in IVS or custody."""
    world.copy_active_and_standby()
    world.rotator().request_rotation("monthly")
    world.reconcile()
    compromised = world.ring.pairs
    assert states(world.ring) == [RETIRING, ACTIVE, PUBLISHED]

    world.revoke([pair.key_id for pair in compromised], "custody copied")
    assert isinstance(world.reconcile(), Done)

    assert states(world.ring) == [RETIRED, RETIRED, RETIRED, ACTIVE, PUBLISHED]
    for pair in compromised:
        assert pair.public_key is not None
        assert pair.public_key.fingerprint not in held_fingerprints(world)
        assert pair.key_id not in world.custody.key_ids()


def test_the_active_key_is_removed_last_while_a_slot_for_a_new_key_is_free(world: World) -> None:
    """A key is active before every step."""
    world.copy_active_and_standby()
    signing: list[bool] = []

    world.revoke([pair.key_id for pair in world.ring.pairs], "custody copied")
    world.rotator().reconcile(lambda _: signing.append(world.ring.active is not None))

    assert signing
    assert all(signing)


def test_foreign_pairs_in_the_slots_do_not_prevent_a_revocation(world: World) -> None:
    """Without a slot for a new key pair the compromised one is removed first; then none signs."""
    world.reconcile()
    world.clock.advance(TERMS.publish_delay_seconds)
    import_foreign_pairs(world, 2)
    world.reconcile()
    assert states(world.ring) == [ACTIVE]
    compromised = world.ring.pairs[0]

    world.revoke([compromised.key_id], "laptop lost")
    world.reconcile()

    assert states(world.ring) == [RETIRED, ACTIVE]
    assert len(held_fingerprints(world)) == 3
    assert compromised.public_key is not None
    assert compromised.public_key.fingerprint not in held_fingerprints(world)


def test_revoking_deletes_a_pair_whose_import_answer_was_lost(world: World) -> None:
    """Its ARN was never recorded, so it is found by its fingerprint."""
    key_id = world.rotator().generate("first").key_id
    rotator = world.rotator(key_pairs=LossyKeyPairs(world.key_pairs, {"import"}))
    with pytest.raises(IvsUnavailable):
        rotator.import_pair(key_id, "first")
    compromised = world.ring.pair(key_id).public_key
    assert compromised is not None
    assert compromised.fingerprint in held_fingerprints(world)

    world.revoke([key_id], "laptop lost")
    world.reconcile()

    assert world.ring.pair(key_id).state is RETIRED
    assert compromised.fingerprint not in held_fingerprints(world)


def test_a_revoked_private_key_is_destroyed_at_once_when_ivs_does_not_answer(world: World) -> None:
    """Rule 8: the key is not retired until IVS confirms the delete, and a warning names it."""
    world.copy_active_and_standby()
    active, compromised = world.ring.pairs
    lossy = LossyKeyPairs(world.key_pairs, {"delete"})

    world.revoke([compromised.key_id], "laptop lost")
    with pytest.raises(IvsUnavailable):
        world.reconcile(world.rotator(key_pairs=lossy))

    assert compromised.key_id not in world.custody.key_ids()
    assert world.ring.pair(compromised.key_id).state is RETIRING
    with world.view() as view:
        (warning,) = view.warnings(world.moment())
        assert "compromised" in warning
        assert compromised.key_id not in warning
    world.reconcile()
    assert world.ring.pair(compromised.key_id).state is RETIRED
    assert world.ring.active is not None
    assert world.ring.active.key_id == active.key_id


def test_a_revoked_private_key_is_destroyed_before_the_first_call_to_ivs(world: World) -> None:
    """Rule 8: it is destroyed even if IVS can't be reached at all."""
    world.copy_active_and_standby()
    compromised = world.ring.pairs[1]
    unreachable = LossyKeyPairs(world.key_pairs, {"held"})

    world.revoke([compromised.key_id], "laptop lost")
    with pytest.raises(IvsUnavailable):
        world.reconcile(world.rotator(key_pairs=unreachable))

    assert compromised.key_id not in world.custody.key_ids()
    assert world.ring.pair(compromised.key_id).state is RETIRING


def test_a_forced_rotation_during_a_drain_uses_the_standby(world: World) -> None:
    """Rule 9: two keys drain, the standby signs, and the next standby waits for a slot."""
    world.copy_active_and_standby()
    world.rotator().request_rotation("monthly")
    world.reconcile()
    world.clock.advance(TERMS.publish_delay_seconds)

    world.rotator().request_rotation("again", force=True)
    world.reconcile()

    assert states(world.ring) == [RETIRING, RETIRING, ACTIVE]
    with pytest.raises(RotationRefused) as refusal:
        world.rotator().request_rotation("and again", force=True)
    assert "--force" not in refusal.value.hint


def test_revoking_an_unknown_key_marks_no_key_compromised(world: World) -> None:
    """One mistyped ID must not leave the command partly carried out."""
    world.copy_active_and_standby()
    known = world.ring.pairs[0].key_id

    with pytest.raises(KeyNotFound):
        world.revoke([known, "typo"], "laptop lost")

    assert not any(pair.is_compromised for pair in world.ring.pairs)


def test_a_region_without_an_active_key_has_no_signing_key(world: World) -> None:
    """The error names the command that activates one."""
    world.rotator().generate("first")

    with world.view() as view, pytest.raises(NoSigningKey, match="keys reconcile"):
        view.active(world.moment())


def test_an_emergency_switch_skips_the_canary(world: World) -> None:
    """The edge may not know the new key yet. The history records the urgent switch."""
    world.copy_active_and_standby()
    compromised = world.ring.pairs[0]

    def never(signer: Signer) -> None:
        raise RotationRefused("The edge answered 403.")

    world.revoke([compromised.key_id], "laptop lost")
    world.reconcile(world.rotator(canary=never))

    assert states(world.ring) == [RETIRED, ACTIVE, PUBLISHED]
    switch = next(line for line in world.ring.history[::-1] if line.to_state is ACTIVE)
    assert switch.why == "laptop lost (urgent: no publish delay)"


def test_revoking_removes_a_pair_whose_private_key_was_never_generated(world: World) -> None:
    """A crash after the record was saved: not even the folder of the custody exists."""
    world.rotator().ring()
    stored = world.store.load()
    assert stored is not None
    recorded = stored.ring.with_new_pair("kdied", Act(world.clock.now(), "ann@desk", "first"))
    world.store.save(recorded, replacing=stored.version)

    world.revoke(["kdied"], "laptop lost")
    world.reconcile()

    assert world.ring.pair("kdied").state is RETIRED
    assert "kdied" not in world.custody.key_ids()
