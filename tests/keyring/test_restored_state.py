"""A state that is not the latest: an old copy, or an empty one beside another deployment."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.keyring.rings import DRAIN_SECONDS, REGION, TERMS
from tests.keyring.world import World, world_in
from tests.support.settings import settings_in
from tokensvc import operations
from tokensvc.errors import RotationRefused
from tokensvc.keyring.model import KeyState, Ring
from tokensvc.keyring.rotator import Rotator
from tokensvc.keyring.steps import Action, Done


@pytest.fixture(name="world")
def _world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with world_in(tmp_path, monkeypatch) as world:
        yield world


@pytest.fixture(name="laptop")
def _laptop(world: World, tmp_path: Path) -> Iterator[Rotator]:
    """A rotator with its own state and custody, and the same AWS credentials."""
    key_pairs = world.key_pairs
    with contextlib.closing(
        operations.build(
            settings_in(tmp_path / "laptop"),
            world.clock,
            by="bob@laptop",
            key_pairs=lambda _: key_pairs,
        )
    ) as laptop:
        laptop.state.create()
        yield laptop.rotator(REGION)


def complete_rotation(world: World) -> None:
    """Do a whole rotation, including the removal of the old key."""
    world.rotator().request_rotation("monthly")
    world.reconcile()
    world.clock.advance(DRAIN_SECONDS)
    assert isinstance(world.reconcile(), Done)


def restore(world: World, copy: Ring) -> None:
    """Replace the current ring with that copy."""
    stored = world.store.load()
    assert stored is not None
    world.store.save(copy, replacing=stored.version)


def test_a_state_from_before_two_rotations_changes_nothing(world: World) -> None:
    """The refusal names the active key that IVS does not hold. IVS and custody are unchanged."""
    world.create_active_and_standby()
    copy = world.ring
    complete_rotation(world)
    complete_rotation(world)
    in_ivs, in_custody = world.key_pairs.held(), world.custody.key_ids()
    restore(world, copy)

    with pytest.raises(RotationRefused) as refusal:
        world.reconcile()

    active = copy.require_active()
    assert str(active.arn) in refusal.value.detail
    assert f"tokensvc keys revoke {active.key_id}" in refusal.value.hint
    assert world.key_pairs.held() == in_ivs
    assert world.custody.key_ids() == in_custody
    assert world.ring == copy


def test_a_state_from_before_one_rotation_changes_nothing(world: World) -> None:
    """Its standby is the real active key: no step is done, although IVS holds its key pairs."""
    world.create_active_and_standby()
    copy = world.ring
    world.rotator().request_rotation("monthly")
    world.reconcile()
    in_ivs = world.key_pairs.held()
    restore(world, copy)
    world.rotator().request_rotation("by the old state")

    (unrecorded,) = {held.arn for held in in_ivs} - {pair.arn for pair in copy.pairs}
    with pytest.raises(RotationRefused, match=str(unrecorded)):
        world.reconcile()

    assert world.key_pairs.held() == in_ivs
    assert world.ring.active == copy.active


def test_a_lost_state_is_replaced_by_revoking_all(world: World) -> None:
    """The operator's command activates a new key; the unrecorded key pairs are only reported."""
    world.create_active_and_standby()
    copy = world.ring
    complete_rotation(world)
    complete_rotation(world)
    unrecorded = {held.arn for held in world.key_pairs.held()}
    restore(world, copy)

    world.revoke([pair.key_id for pair in copy.pairs], "newest state lost")
    with pytest.raises(RotationRefused) as refusal:
        world.reconcile()
    assert len(unrecorded) == 2
    assert all(str(arn) in refusal.value.detail for arn in unrecorded)

    active = world.ring.active
    assert active is not None
    assert active.public_key is not None
    assert active.key_id not in {pair.key_id for pair in copy.pairs}
    in_ivs = world.key_pairs.held()
    assert active.public_key.fingerprint in {held.fingerprint for held in in_ivs}
    assert unrecorded < {held.arn for held in in_ivs}


def test_revoking_an_active_pair_that_was_deleted_manually_switches_to_the_standby(
    world: World,
) -> None:
    """The command in the hint works."""
    world.create_active_and_standby()
    deleted, standby = world.ring.pairs
    world.ivs.client().delete_playback_key_pair(arn=str(deleted.arn))
    with pytest.raises(RotationRefused, match=f"tokensvc keys revoke {deleted.key_id}"):
        world.reconcile()

    world.revoke([deleted.key_id], "deleted manually")
    assert isinstance(world.reconcile(), Done)

    assert world.ring.active is not None
    assert world.ring.active.key_id == standby.key_id


def test_an_empty_state_with_production_credentials_changes_nothing(
    world: World, laptop: Rotator
) -> None:
    """Its ring is empty, and IVS holds the pairs of another deployment."""
    world.create_active_and_standby()
    in_ivs = world.key_pairs.held()

    with pytest.raises(RotationRefused, match="tokensvc keys generate") as refusal:
        laptop.reconcile(print)

    assert all(str(held.arn) in refusal.value.detail for held in in_ivs)
    assert world.key_pairs.held() == in_ivs
    assert laptop.ring().pairs == ()


def test_generating_a_pair_starts_a_new_deployment_beside_another(
    world: World, laptop: Rotator
) -> None:
    """`keys generate` is a decision by the operator. The other deployment is unchanged."""
    world.create_active_and_standby()
    in_ivs = world.key_pairs.held()

    laptop.generate("a deployment beside the other")
    laptop.reconcile(print)
    world.clock.advance(TERMS.publish_delay_seconds)
    laptop.reconcile(print)

    assert laptop.ring().active is not None
    assert {held.arn for held in in_ivs} < {held.arn for held in world.key_pairs.held()}


def test_planning_a_rotation_changes_nothing(world: World) -> None:
    """It returns steps, times and slots. The state, IVS and custody are unchanged."""
    world.create_active_and_standby()
    before = world.store.load()
    in_ivs = world.key_pairs.held()

    planned = world.rotator().plan_rotation()

    assert planned[0].step.action is Action.SWITCH
    assert max(step.slots_taken for step in planned) == 3
    assert planned[-1].at == world.clock.now() + DRAIN_SECONDS
    assert world.store.load() == before
    assert world.key_pairs.held() == in_ivs
    assert len(world.custody.key_ids()) == 2


def test_planning_the_first_rotation_of_a_region_does_not_create_its_ring(world: World) -> None:
    """Nothing is saved."""
    planned = world.rotator().plan_rotation()

    assert [one.step.action for one in planned][:2] == [Action.NEW_PAIR, Action.MAKE]
    assert world.store.load() is None


def test_a_private_key_that_was_destroyed_since_is_not_generated_again(world: World) -> None:
    """The restored ring still has it as pending. Its record is given up, and another one signs."""
    destroyed = world.rotator().generate("first")
    pending = dataclasses.replace(destroyed, public_key=None)
    restore(world, dataclasses.replace(world.ring, pairs=(pending,)))
    world.custody.destroy(destroyed.key_id, compromised=False)

    world.create_active_and_standby()

    assert world.ring.pair(destroyed.key_id).state is KeyState.RETIRED
    assert world.ring.require_active().key_id != destroyed.key_id
    assert destroyed.key_id not in world.custody.key_ids()
