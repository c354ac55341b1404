"""Rotations with real components, rule by rule."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.keyring.rings import DRAIN_SECONDS, TERMS
from tests.keyring.world import LossyKeyPairs, World, world_in
from tokensvc.clock import rfc3339
from tokensvc.errors import (
    CustodyDamaged,
    IvsUnavailable,
    RotationRefused,
    StateConflict,
)
from tokensvc.keyring.model import KeyState, Ring
from tokensvc.keyring.ownership import Owner, owner_of
from tokensvc.keyring.steps import Action, Done, Step, WaitUntil
from tokensvc.keyring.terms import Terms
from tokensvc.token.p384 import PublicKey, Signer

PENDING, PUBLISHED, ACTIVE, RETIRING, RETIRED = KeyState


@pytest.fixture(name="world")
def _world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with world_in(tmp_path, monkeypatch) as world:
        yield world


def states(ring: Ring) -> list[KeyState]:
    """The states, oldest pair first."""
    return [pair.state for pair in ring.pairs]


def fingerprints_in_ivs(world: World) -> set[str]:
    """The fingerprints of the key pairs in IVS."""
    return {held.fingerprint for held in world.key_pairs.held()}


def test_generate_creates_a_private_key_and_does_not_call_ivs(world: World) -> None:
    """A generated key pair is pending: custody has it, IVS does not."""
    pair = world.rotator().generate("first key")

    assert pair.state is PENDING
    assert list(world.custody.key_ids()) == [pair.key_id]
    assert world.key_pairs.held() == ()


def test_import_publishes_the_public_key_with_our_name_and_tags(world: World) -> None:
    """IVS's fingerprint is ours. The tags contain the deployment and the key ID."""
    key_id = world.rotator().generate("first key").key_id

    pair = world.rotator().import_pair(key_id, "first key")

    (held,) = world.key_pairs.held()
    assert pair.state is PUBLISHED
    assert pair.public_key is not None
    assert (held.arn, held.fingerprint) == (pair.arn, pair.public_key.fingerprint)
    assert held.name == f"tokensvc-{key_id}"
    assert held.tags == {
        "tokensvc:deployment": world.ring.deployment,
        "tokensvc:key": key_id,
    }


def test_a_second_import_is_refused(world: World) -> None:
    """A published key pair is already imported."""
    key_id = world.rotator().generate("first key").key_id
    world.rotator().import_pair(key_id, "first key")

    with pytest.raises(RotationRefused, match=rf"{key_id} .*published"):
        world.rotator().import_pair(key_id, "again")


def test_reconcile_creates_an_active_key_and_a_standby_in_an_empty_region(world: World) -> None:
    """Rules 2 and 9: the switch comes after the publish delay, followed by the next standby."""
    waits = world.reconcile()

    assert isinstance(waits, WaitUntil)
    assert waits.at == world.clock.now() + 60
    assert states(world.ring) == [PUBLISHED]

    world.clock.advance(59)
    world.reconcile()
    assert states(world.ring) == [PUBLISHED]

    world.clock.advance(1)
    assert isinstance(world.reconcile(), Done)
    assert states(world.ring) == [ACTIVE, PUBLISHED]
    assert len(world.key_pairs.held()) == 2


def test_a_rotation_from_the_request_to_the_deletion_of_the_old_key(world: World) -> None:
    """The standby signs, the old key drains for 3,740 s, then IVS and custody lose it."""
    world.copy_active_and_standby()
    old, standby = world.ring.pairs
    world.rotator().request_rotation("monthly")

    world.reconcile()

    assert states(world.ring) == [RETIRING, ACTIVE, PUBLISHED]
    assert world.ring.active is not None
    assert world.ring.active.key_id == standby.key_id
    assert len(world.key_pairs.held()) == 3

    world.clock.advance(DRAIN_SECONDS - 1)
    world.reconcile()
    assert world.ring.pair(old.key_id).state is RETIRING
    assert len(world.key_pairs.held()) == 3

    world.clock.advance(1)
    assert isinstance(world.reconcile(), Done)
    assert world.ring.pair(old.key_id).state is RETIRED
    assert old.public_key is not None
    assert old.public_key.fingerprint not in fingerprints_in_ivs(world)
    assert old.key_id not in world.custody.key_ids()
    assert len(world.custody.key_ids()) == 2


def test_the_view_of_a_worker_follows_the_rotation(world: World) -> None:
    """The view signs with the old key before a refresh, and with the new key after it."""
    world.copy_active_and_standby()
    old, standby = (pair.public_key for pair in world.ring.pairs)
    with world.view() as view:
        assert view.active(world.moment()).signer.public_key == old

        world.rotator().request_rotation("monthly")
        world.reconcile()
        view.refresh()

        assert view.active(world.moment()).signer.public_key == standby


def test_an_import_whose_answer_was_lost_is_recorded_and_not_repeated(world: World) -> None:
    """Rule 6: the next reconcile finds the key pair by its fingerprint."""
    lossy = LossyKeyPairs(world.key_pairs, {"import"})
    with pytest.raises(IvsUnavailable):
        world.reconcile(world.rotator(key_pairs=lossy))
    assert states(world.ring) == [PENDING]

    world.reconcile()

    assert states(world.ring) == [PUBLISHED]
    assert len(world.key_pairs.held()) == 1


def test_keys_import_can_be_repeated_after_a_lost_answer(world: World) -> None:
    """IVS reports a conflict, and the key pair in IVS is found by its fingerprint."""
    key_id = world.rotator().generate("first key").key_id
    lossy = LossyKeyPairs(world.key_pairs, {"import"})
    with pytest.raises(IvsUnavailable):
        world.rotator(key_pairs=lossy).import_pair(key_id, "first key")

    assert world.rotator().import_pair(key_id, "first key").state is PUBLISHED
    assert len(world.key_pairs.held()) == 1


def test_a_delete_whose_answer_was_lost_is_completed(world: World) -> None:
    """Rule 8: the private key is destroyed only after IVS was seen without the key pair."""
    world.copy_active_and_standby()
    old = world.ring.pairs[0]
    world.rotator().request_rotation("monthly")
    world.reconcile()
    world.clock.advance(DRAIN_SECONDS)
    with pytest.raises(IvsUnavailable):
        world.reconcile(world.rotator(key_pairs=LossyKeyPairs(world.key_pairs, {"delete"})))
    assert world.ring.pair(old.key_id).state is RETIRING
    assert old.key_id in world.custody.key_ids()

    world.reconcile()

    assert world.ring.pair(old.key_id).state is RETIRED
    assert old.key_id not in world.custody.key_ids()


def test_a_foreign_pair_in_the_last_slot_delays_the_next_standby(world: World) -> None:
    """Rule 5: the next standby is created once a slot is free; the foreign key pair stays."""
    world.copy_active_and_standby()
    foreign_arn = world.ivs.client().import_playback_key_pair(
        publicKeyMaterial=PublicKey.of(ec.generate_private_key(ec.SECP384R1()).public_key()).pem,
        name="someone-else",
    )["keyPair"]["arn"]
    world.rotator().request_rotation("monthly")

    world.reconcile()  # The standby becomes active; no slot is free for the next one yet.
    assert states(world.ring) == [RETIRING, ACTIVE]

    world.clock.advance(DRAIN_SECONDS)
    world.reconcile()
    assert states(world.ring) == [RETIRED, ACTIVE, PUBLISHED]
    assert foreign_arn in {str(held.arn) for held in world.key_pairs.held()}


def test_foreign_pairs_in_every_slot_are_listed_and_not_deleted(world: World) -> None:
    """Rule 5: the refusal lists each foreign key pair with its name and the delete command."""
    for n in range(3):
        key = PublicKey.of(ec.generate_private_key(ec.SECP384R1()).public_key())
        world.ivs.client().import_playback_key_pair(publicKeyMaterial=key.pem, name=f"other-{n}")

    with pytest.raises(RotationRefused) as refusal:
        world.reconcile()

    held = world.key_pairs.held()
    assert len(held) == 3
    for one in held:
        (line,) = (text for text in refusal.value.detail.splitlines() if one.name in text)
        assert owner_of(world.ring, one) is Owner.FOREIGN
        assert line.endswith(f"delete-playback-key-pair --region us-west-2 --arn {one.arn}")


def test_a_pair_with_another_fingerprint_under_our_arn_is_not_deleted(world: World) -> None:
    """Rule 5: a record from an old copy of the state must not delete another key."""
    world.copy_active_and_standby()
    old = world.ring.pairs[0]
    world.rotator().request_rotation("monthly")
    world.reconcile()
    world.clock.advance(DRAIN_SECONDS)
    stored = world.store.load()
    assert stored is not None
    forged = stored.ring.pair(old.key_id)
    other = PublicKey.of(ec.generate_private_key(ec.SECP384R1()).public_key())
    pairs = tuple(
        dataclasses.replace(pair, public_key=other) if pair == forged else pair
        for pair in stored.ring.pairs
    )
    world.store.save(dataclasses.replace(stored.ring, pairs=pairs), replacing=stored.version)
    world.ivs.client().untag_resource(
        resourceArn=str(old.arn), tagKeys=["tokensvc:deployment", "tokensvc:key"]
    )

    world.reconcile()

    assert len(world.key_pairs.held()) == 3
    assert world.ring.pair(old.key_id).state is RETIRED


def test_a_damaged_private_key_prevents_the_switch(world: World) -> None:
    """Rule 2: the self-check fails, and the active key stays active."""
    world.copy_active_and_standby()
    active, standby = world.ring.pairs
    (world.folder / "keys" / f"{standby.key_id}.pem").write_bytes(b"damaged")
    world.rotator().request_rotation("monthly")

    with pytest.raises(CustodyDamaged):
        world.reconcile()

    assert world.ring.active == active


def test_a_standby_that_is_missing_in_ivs_is_discarded_and_replaced(world: World) -> None:
    """Rule 2: IVS would refuse its tokens. Waiting for it would never end the rotation."""
    world.copy_active_and_standby()
    active, standby = world.ring.pairs
    world.ivs.client().delete_playback_key_pair(arn=str(standby.arn))
    world.rotator().request_rotation("monthly")

    waits = world.reconcile()

    assert isinstance(waits, WaitUntil)
    assert waits.at == world.clock.now() + TERMS.publish_delay_seconds
    assert world.ring.active == active
    assert [pair.state for pair in world.ring.pairs] == [ACTIVE, RETIRED, PUBLISHED]
    assert standby.key_id not in world.custody.key_ids()
    (line,) = [line for line in world.ring.history if line.to_state is RETIRING]
    assert str(standby.arn) in line.why
    world.clock.advance(TERMS.publish_delay_seconds)
    world.reconcile()
    assert world.ring.active == world.ring.pairs[2]


def test_a_refused_canary_prevents_the_switch_until_it_succeeds(world: World) -> None:
    """Rule 2: the canary uses the key of the standby, and only its success allows the switch."""
    world.copy_active_and_standby()
    active, standby = world.ring.pairs
    asked: list[PublicKey] = []

    def refuses_once(signer: Signer) -> None:
        asked.append(signer.public_key)
        if len(asked) == 1:
            raise RotationRefused("The edge answered 403.")

    world.rotator().request_rotation("monthly")
    with pytest.raises(RotationRefused, match="403"):
        world.reconcile(world.rotator(canary=refuses_once))
    assert world.ring.active == active

    world.reconcile(world.rotator(canary=refuses_once))
    assert world.ring.active is not None
    assert world.ring.active.key_id == standby.key_id
    assert asked == [standby.public_key, standby.public_key]


def test_a_second_rotation_during_a_drain_is_refused_with_the_time_left(world: World) -> None:
    """Rule 9: 3,740 s from the recorded end of signing."""
    world.copy_active_and_standby()
    world.rotator().request_rotation("monthly")
    world.reconcile()
    world.clock.advance(740)

    with pytest.raises(RotationRefused, match="3000 s"):
        world.rotator().request_rotation("too soon")


def test_of_two_concurrent_rotators_one_gets_a_state_conflict(world: World) -> None:
    """Rule 7: the ring has changed since the loser read it, so the loser saves nothing."""
    world.copy_active_and_standby()
    slow = world.rotator()
    raced = False

    def race(_: Step) -> None:
        nonlocal raced
        if not raced:
            raced = True
            world.reconcile()

    world.rotator().request_rotation("monthly")
    with pytest.raises(StateConflict):
        slow.reconcile(race)

    assert states(world.ring) == [RETIRING, ACTIVE, PUBLISHED]
    assert len(world.key_pairs.held()) == 3


def test_a_raised_setting_raises_the_stored_limit_and_a_lowered_one_does_not(
    world: World,
) -> None:
    """Rule 4: the limits only grow, so that tokens that were already issued keep their drain."""
    world.rotator().ring()
    world.rotator(terms=Terms(60, 300, 7_200, 10)).ring()
    world.rotator(terms=TERMS).ring()

    assert world.ring.terms == Terms(60, 300, 7_200, 10)


def test_a_ring_is_bound_to_its_account(world: World) -> None:
    """A process that is configured for another account is refused."""
    world.copy_active_and_standby()

    with pytest.raises(RotationRefused, match=r"123456789012.*999999999999"):
        world.rotator(account_id="999999999999").reconcile(print)


def test_a_failed_rotation_says_who_requested_it_and_why_it_failed(world: World) -> None:
    """The reason stays in the ring until the request is carried out."""
    world.copy_active_and_standby()
    standby = world.ring.pairs[1]
    file = world.folder / "keys" / f"{standby.key_id}.pem"
    content = file.read_bytes()
    file.write_bytes(b"damaged")
    world.rotator().request_rotation("monthly")
    requested_at = rfc3339(world.clock.now())
    world.clock.advance(30)
    with pytest.raises(CustodyDamaged) as failure:
        world.reconcile()

    with pytest.raises(RotationRefused) as refusal:
        world.rotator().request_rotation("again")

    request = world.ring.rotation_request
    assert request is not None
    assert (request.failed_at, request.failure) == (world.clock.now(), failure.value.detail)
    for part in ("ann@desk", requested_at, "monthly", rfc3339(world.clock.now()), standby.key_id):
        assert part in refusal.value.detail
    file.write_bytes(content)
    world.reconcile()
    assert world.ring.rotation_request is None


def test_a_fourth_key_pair_is_not_generated(world: World) -> None:
    """IVS has only three slots. The refusal lists the key pairs and the command to run."""
    key_ids = [world.rotator().generate("one more").key_id for _ in range(3)]

    with pytest.raises(RotationRefused, match="tokensvc keys rotate") as refusal:
        world.rotator().generate("one more")
    assert all(f"{key_id} is pending" in refusal.value.detail for key_id in key_ids)


def test_each_step_is_reported(world: World) -> None:
    """Each step is reported before it is done, with its key ID."""
    world.reconcile()

    key_id = world.ring.pairs[0].key_id
    assert world.steps_reported == [
        Step(Action.NEW_PAIR),
        Step(Action.MAKE, key_id),
        Step(Action.IMPORT, key_id),
    ]
