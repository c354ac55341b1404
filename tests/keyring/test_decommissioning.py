"""A region that was removed from the settings: its tokens stay valid, then its keys are removed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.keyring.rings import TERMS
from tests.keyring.world import World, world_in
from tokensvc.errors import NoSigningKey, RotationRefused
from tokensvc.keyring.model import KeyState
from tokensvc.keyring.steps import Done, WaitUntil

PENDING, PUBLISHED, ACTIVE, RETIRING, RETIRED = KeyState


@pytest.fixture(name="world")
def _world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with world_in(tmp_path, monkeypatch) as world:
        world.copy_active_and_standby()
        yield world


def test_decommissioning_removes_every_key_after_the_drain(world: World) -> None:
    """The standby is removed at once, the active key after 3,740 s, from IVS and custody."""
    old, standby = world.ring.pairs

    observation = world.reconcile(world.rotator(decommissioning=True))

    assert isinstance(observation, WaitUntil)
    assert observation.at == world.clock.now() + 3_740
    assert world.ring.pair(old.key_id).state is RETIRING
    assert world.ring.pair(standby.key_id).state is RETIRED
    with world.view() as view, pytest.raises(NoSigningKey):
        view.active(world.moment())

    world.clock.advance(TERMS.drain_seconds)
    assert isinstance(world.reconcile(world.rotator(decommissioning=True)), Done)
    assert world.key_pairs.held() == ()
    assert list(world.custody.key_ids()) == []


def test_the_key_set_keeps_the_draining_key_of_a_decommissioned_region(world: World) -> None:
    """The withdrawn standby has signed nothing and is not in the key set."""
    old = world.ring.pairs[0]
    world.reconcile(world.rotator(decommissioning=True))

    with world.view() as view:
        assert view.public_keys(world.moment()) == [old.public_key]


def test_a_region_that_is_added_again_gets_a_new_key(world: World) -> None:
    """An ordinary reconcile creates the key; the old key continues to drain."""
    world.reconcile(world.rotator(decommissioning=True))

    world.reconcile()
    world.clock.advance(TERMS.publish_delay_seconds)
    world.reconcile()

    assert [pair.state for pair in world.ring.pairs] == [RETIRING, RETIRED, ACTIVE, PUBLISHED]


def test_a_decommissioned_region_refuses_new_key_pairs_and_rotations(world: World) -> None:
    """The refusal names the setting."""
    rotator = world.rotator(decommissioning=True)

    with pytest.raises(RotationRefused, match=r"ivs\.regions"):
        rotator.generate("one more")
    with pytest.raises(RotationRefused, match=r"ivs\.regions"):
        rotator.request_rotation("monthly")
