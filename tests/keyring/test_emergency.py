"""Rule 10: a stolen key is dead in seconds, and viewers get tokens by another."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.keyring.rings import TERMS
from tests.keyring.world import LosesAnswers, World, world_in
from tokensvc.errors import IvsUnavailable, KeyNotFound, NoSigningKey, RotationRefused
from tokensvc.keyring.model import Act, KeyState, Ring
from tokensvc.keyring.rotation import Done
from tokensvc.p384 import PublicKey, Signer

PENDING, PUBLISHED, ACTIVE, RETIRING, RETIRED = KeyState


@pytest.fixture(name="world")
def _world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with world_in(tmp_path, monkeypatch) as world:
        yield world


def states(ring: Ring) -> list[KeyState]:
    """The states, oldest pair first."""
    return [pair.state for pair in ring.pairs]


def import_strangers(world: World, count: int) -> None:
    """Take that many slots as somebody else."""
    for _ in range(count):
        key = PublicKey.of(ec.generate_private_key(ec.SECP384R1()).public_key())
        world.ivs.client().import_playback_key_pair(publicKeyMaterial=key.pem)


def held_fingerprints(world: World) -> list[str]:
    """What IVS holds."""
    return [held.fingerprint for held in world.key_pairs.held()]


def test_revoking_the_active_key_switches_to_the_standby_at_once(world: World) -> None:
    """No drain: the stolen key is gone from IVS and custody in the same run."""
    world.settle()
    stolen, standby = world.ring.pairs

    world.rotator().revoke([stolen.key_id], "laptop lost")
    assert isinstance(world.reconcile(), Done)

    assert states(world.ring) == [RETIRED, ACTIVE, PUBLISHED]
    with world.view() as view:
        assert view.active(world.moment()).signer.public_key == standby.public_key
    assert stolen.public_key is not None
    assert stolen.public_key.fingerprint not in held_fingerprints(world)
    assert stolen.key_id not in world.custody.key_ids()


def test_a_young_standby_signs_without_the_publish_delay(world: World) -> None:
    """The delay of rule 2 protects viewers from a slow import; a thief is worse."""
    world.reconcile()
    world.clock.advance(TERMS.publish_delay_seconds)
    world.reconcile()
    stolen, young = world.ring.pairs
    assert young.published_at == world.clock.now()

    world.rotator().revoke([stolen.key_id], "laptop lost")
    world.reconcile()

    assert world.ring.active is not None
    assert world.ring.active.key_id == young.key_id


def test_revoking_the_standby_leaves_the_active_key_alone(world: World) -> None:
    """What doesn't sign just goes, and the next standby is made."""
    world.settle()
    active, stolen = world.ring.pairs

    world.rotator().revoke([stolen.key_id], "laptop lost")
    world.reconcile()

    assert states(world.ring) == [ACTIVE, RETIRED, PUBLISHED]
    assert world.ring.active is not None
    assert world.ring.active.key_id == active.key_id


def test_revoking_all_ends_with_a_fresh_key_that_signs(world: World) -> None:
    """What was in custody is treated as stolen: none of it is left anywhere."""
    world.settle()
    world.rotator().request_rotation("monthly")
    world.reconcile()
    stolen = world.ring.pairs
    assert states(world.ring) == [RETIRING, ACTIVE, PUBLISHED]

    world.rotator().revoke([pair.key_id for pair in stolen], "custody read by a stranger")
    assert isinstance(world.reconcile(), Done)

    assert states(world.ring) == [RETIRED, RETIRED, RETIRED, ACTIVE, PUBLISHED]
    for pair in stolen:
        assert pair.public_key is not None
        assert pair.public_key.fingerprint not in held_fingerprints(world)
        assert pair.key_id not in world.custody.key_ids()


def test_the_key_that_signs_goes_last_while_there_is_a_slot_for_a_fresh_one(world: World) -> None:
    """At no step is there no key that signs."""
    world.settle()
    signing: list[bool] = []

    world.rotator().revoke([pair.key_id for pair in world.ring.pairs], "custody read")
    world.rotator().reconcile(lambda _: signing.append(world.ring.active is not None))

    assert signing
    assert all(signing)


def test_strangers_in_the_slots_do_not_save_a_stolen_key(world: World) -> None:
    """With no slot for a fresh pair the stolen one goes first; nothing signs in between."""
    world.reconcile()
    world.clock.advance(TERMS.publish_delay_seconds)
    import_strangers(world, 2)
    world.reconcile()
    assert states(world.ring) == [ACTIVE]
    stolen = world.ring.pairs[0]

    world.rotator().revoke([stolen.key_id], "laptop lost")
    world.reconcile()

    assert states(world.ring) == [RETIRED, ACTIVE]
    assert len(held_fingerprints(world)) == 3
    assert stolen.public_key is not None
    assert stolen.public_key.fingerprint not in held_fingerprints(world)


def test_a_stolen_pair_whose_import_was_lost_leaves_ivs_too(world: World) -> None:
    """Its ARN was never recorded, so the fingerprint finds it."""
    key_id = world.rotator().generate("first").key_id
    rotator = world.rotator(key_pairs=LosesAnswers(world.key_pairs, {"import"}))
    with pytest.raises(IvsUnavailable):
        rotator.import_pair(key_id, "first")
    stolen = world.ring.pair(key_id).public_key
    assert stolen is not None
    assert stolen.fingerprint in held_fingerprints(world)

    world.rotator().revoke([key_id], "laptop lost")
    world.reconcile()

    assert world.ring.pair(key_id).state is RETIRED
    assert stolen.fingerprint not in held_fingerprints(world)


def test_the_private_half_goes_at_once_even_when_ivs_does_not_answer(world: World) -> None:
    """Rule 8; it is not called retired until IVS confirms, and a warning says so."""
    world.settle()
    active, stolen = world.ring.pairs
    lossy = LosesAnswers(world.key_pairs, {"delete"})

    world.rotator().revoke([stolen.key_id], "laptop lost")
    with pytest.raises(IvsUnavailable):
        world.reconcile(world.rotator(key_pairs=lossy))

    assert stolen.key_id not in world.custody.key_ids()
    assert world.ring.pair(stolen.key_id).state is RETIRING
    with world.view() as view:
        assert view.warnings(world.moment()) == [
            f"{stolen.key_id} was declared stolen, and IVS has not yet confirmed that it is gone."
        ]
    world.reconcile()
    assert world.ring.pair(stolen.key_id).state is RETIRED
    assert world.ring.active is not None
    assert world.ring.active.key_id == active.key_id


def test_a_stolen_half_is_destroyed_while_ivs_can_not_be_reached_at_all(world: World) -> None:
    """Rule 8: at once means before anything is asked of IVS."""
    world.settle()
    stolen = world.ring.pairs[1]
    unreachable = LosesAnswers(world.key_pairs, {"held"})

    world.rotator().revoke([stolen.key_id], "laptop lost")
    with pytest.raises(IvsUnavailable):
        world.reconcile(world.rotator(key_pairs=unreachable))

    assert stolen.key_id not in world.custody.key_ids()
    assert world.ring.pair(stolen.key_id).state is RETIRING


def test_a_forced_rotation_during_a_drain_spends_the_standby(world: World) -> None:
    """Rule 9: two keys drain, the standby signs, and the next one waits for a slot."""
    world.settle()
    world.rotator().request_rotation("monthly")
    world.reconcile()
    world.clock.advance(TERMS.publish_delay_seconds)

    world.rotator().request_rotation("again", force=True)
    world.reconcile()

    assert states(world.ring) == [RETIRING, RETIRING, ACTIVE]
    with pytest.raises(RotationRefused, match="no standby to rotate to"):
        world.rotator().request_rotation("and again", force=True)


def test_revoking_an_unknown_key_declares_nothing(world: World) -> None:
    """A slip in one ID must not leave half of an order carried out."""
    world.settle()
    known = world.ring.pairs[0].key_id

    with pytest.raises(KeyNotFound):
        world.rotator().revoke([known, "typo"], "laptop lost")

    assert not any(pair.is_compromised for pair in world.ring.pairs)


def test_a_region_without_an_active_key_signs_nothing(world: World) -> None:
    """The refusal names the command that brings one."""
    world.rotator().generate("first")

    with world.view() as view, pytest.raises(NoSigningKey, match="keys reconcile"):
        view.active(world.moment())


def test_the_canary_does_not_keep_a_stolen_key_at_work(world: World) -> None:
    """The edge may not know the fresh key yet; the history says what was done without."""
    world.settle()
    stolen = world.ring.pairs[0]

    def never(signer: Signer) -> None:
        raise RotationRefused("The edge answers 403.")

    world.rotator().revoke([stolen.key_id], "laptop lost")
    world.reconcile(world.rotator(canary=never))

    assert states(world.ring) == [RETIRED, ACTIVE, PUBLISHED]
    switch = next(line for line in world.ring.history[::-1] if line.to_state is ACTIVE)
    assert switch.why == "laptop lost (urgent: no publish delay)"


def test_a_stolen_pair_whose_half_was_never_made_goes_too(world: World) -> None:
    """A crash between the record and the making; the folder of custody is not even there."""
    world.rotator().ring()
    stored = world.store.load()
    assert stored is not None
    recorded = stored.ring.with_new_pair("kdied", Act(world.clock.now(), "ann@desk", "first"))
    world.store.save(recorded, replacing=stored.version)

    world.rotator().revoke(["kdied"], "laptop lost")
    world.reconcile()

    assert world.ring.pair("kdied").state is RETIRED
    assert "kdied" not in world.custody.key_ids()
