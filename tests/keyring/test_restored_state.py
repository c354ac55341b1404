"""A state that is not this region's latest: an old copy, or an empty one beside others' pairs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.keyring.rings import DRAIN_SECONDS, REGION, TERMS
from tests.keyring.world import World, world_in
from tokensvc.errors import RotationRefused
from tokensvc.keyring.custody.file import FileCustody
from tokensvc.keyring.model import Ring
from tokensvc.keyring.rotation import Action, Done
from tokensvc.keyring.rotator import Binding, Rotator
from tokensvc.keyring.steps import Steps
from tokensvc.keyring.store import RingStore
from tokensvc.state.sqlite import SqliteState


@pytest.fixture(name="world")
def _world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with world_in(tmp_path, monkeypatch) as world:
        yield world


@pytest.fixture(name="laptop")
def _laptop(world: World, tmp_path: Path) -> Iterator[Rotator]:
    """A rotator with a state and a custody of its own, and the same AWS credentials."""
    state = SqliteState(tmp_path / "laptop" / "state.sqlite3", world.clock)
    custody = FileCustody(tmp_path / "laptop" / "keys", bytes(32), world.clock)
    yield Rotator(
        RingStore(state, REGION),
        Steps(custody, world.key_pairs, world.clock, "bob@laptop"),
        binding=Binding(REGION, "123456789012", world.ivs.url),
        terms=TERMS,
    )
    state.close()


def rotate_to_the_end(world: World) -> None:
    """One whole rotation, the old key gone."""
    world.rotator().request_rotation("monthly")
    world.reconcile()
    world.clock.advance(DRAIN_SECONDS)
    assert isinstance(world.reconcile(), Done)


def restore(world: World, copy: Ring) -> None:
    """Put that ring in the place of the present one."""
    stored = world.store.load()
    assert stored is not None
    world.store.save(copy, replacing=stored.version)


def test_a_state_from_before_two_rotations_touches_nothing(world: World) -> None:
    """The refusal says that the key is not in IVS, and what to do; IVS and custody stay."""
    world.settle()
    copy = world.ring
    rotate_to_the_end(world)
    rotate_to_the_end(world)
    in_ivs, in_custody = world.key_pairs.held(), world.custody.key_ids()
    restore(world, copy)

    with pytest.raises(RotationRefused, match="this state is older") as refusal:
        world.reconcile()

    assert "restore the newest one" in refusal.value.hint
    assert world.key_pairs.held() == in_ivs
    assert world.custody.key_ids() == in_custody
    assert world.ring == copy


def test_a_state_from_before_one_rotation_touches_nothing(world: World) -> None:
    """Its standby is the true active key: nothing may come between, though IVS holds its pairs."""
    world.settle()
    copy = world.ring
    world.rotator().request_rotation("monthly")
    world.reconcile()
    in_ivs = world.key_pairs.held()
    restore(world, copy)
    world.rotator().request_rotation("by the old state")

    with pytest.raises(RotationRefused, match="older than what IVS holds"):
        world.reconcile()

    assert world.key_pairs.held() == in_ivs
    assert world.ring.active == copy.active


def test_a_lost_state_begins_again_by_revoking_all(world: World) -> None:
    """The operator's word lets a fresh key sign; the unrecorded pairs are still only named."""
    world.settle()
    copy = world.ring
    rotate_to_the_end(world)
    rotate_to_the_end(world)
    unrecorded = {held.arn for held in world.key_pairs.held()}
    restore(world, copy)

    world.rotator().revoke([pair.key_id for pair in copy.pairs], "newest state lost")
    with pytest.raises(RotationRefused, match="2 of this deployment's key pairs"):
        world.reconcile()

    active = world.ring.active
    assert active is not None
    assert active.public_key is not None
    assert active.key_id not in {pair.key_id for pair in copy.pairs}
    in_ivs = world.key_pairs.held()
    assert active.public_key.fingerprint in {held.fingerprint for held in in_ivs}
    assert unrecorded < {held.arn for held in in_ivs}


def test_an_active_pair_deleted_by_hand_gives_way_to_the_standby_when_revoked(
    world: World,
) -> None:
    """What the refusal names as the way out is the way out."""
    world.settle()
    deleted, standby = world.ring.pairs
    world.ivs.client().delete_playback_key_pair(arn=str(deleted.arn))
    with pytest.raises(RotationRefused, match="IVS does not hold"):
        world.reconcile()

    world.rotator().revoke([deleted.key_id], "deleted by hand")
    assert isinstance(world.reconcile(), Done)

    assert world.ring.active is not None
    assert world.ring.active.key_id == standby.key_id


def test_a_laptop_with_production_credentials_makes_and_deletes_nothing(
    world: World, laptop: Rotator
) -> None:
    """Its ring is empty, and IVS holds the pairs of another deployment."""
    world.settle()
    in_ivs = world.key_pairs.held()

    with pytest.raises(RotationRefused, match="of another deployment") as refusal:
        laptop.reconcile(print)

    assert all(str(held.arn) in refusal.value.detail for held in in_ivs)
    assert world.key_pairs.held() == in_ivs
    assert laptop.ring().pairs == ()


def test_a_laptop_that_asks_for_a_pair_of_its_own_gets_one(world: World, laptop: Rotator) -> None:
    """`keys generate` is a person's word; the other deployment's pairs stay as they are."""
    world.settle()
    in_ivs = world.key_pairs.held()

    laptop.generate("a deployment beside the other")
    laptop.reconcile(print)
    world.clock.advance(TERMS.publish_delay_seconds)
    laptop.reconcile(print)

    assert laptop.ring().active is not None
    assert {held.arn for held in in_ivs} < {held.arn for held in world.key_pairs.held()}


def test_planning_a_rotation_does_and_saves_nothing(world: World) -> None:
    """Steps, times and slots come out; the state, IVS and custody stay as they are."""
    world.settle()
    before = world.store.load()
    in_ivs = world.key_pairs.held()

    planned = world.rotator().plan_rotation()

    assert planned[0].step.action is Action.SWITCH
    assert max(step.slots_taken for step in planned) == 3
    assert planned[-1].at == world.clock.now() + DRAIN_SECONDS
    assert world.store.load() == before
    assert world.key_pairs.held() == in_ivs
    assert len(world.custody.key_ids()) == 2


def test_planning_the_first_rotation_of_a_region_does_not_make_its_ring(world: World) -> None:
    """A plan is only read."""
    planned = world.rotator().plan_rotation()

    assert [one.step.action for one in planned][:2] == [Action.NEW_PAIR, Action.MAKE]
    assert world.store.load() is None
