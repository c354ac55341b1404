"""A region that the settings no longer name: its tokens play on, and nothing of it stays."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.keyring.rings import TERMS
from tests.keyring.world import World, world_in
from tokensvc.errors import NoSigningKey, RotationRefused
from tokensvc.keyring.model import KeyState
from tokensvc.keyring.rotation import Done, WaitUntil

PENDING, PUBLISHED, ACTIVE, RETIRING, RETIRED = KeyState


@pytest.fixture(name="world")
def _world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with world_in(tmp_path, monkeypatch) as world:
        world.settle()
        yield world


def test_a_region_is_left_after_the_drain_of_its_last_tokens(world: World) -> None:
    """The standby goes at once, what signed 3,740 s later; IVS and custody are empty then."""
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


def test_the_key_set_names_what_may_still_play_while_a_region_is_left(world: World) -> None:
    """The withdrawn standby has signed nothing, and is not in it."""
    old = world.ring.pairs[0]
    world.reconcile(world.rotator(decommissioning=True))

    with world.view() as view:
        assert view.public_keys(world.moment()) == [old.public_key]


def test_a_region_that_comes_back_gets_a_fresh_key(world: World) -> None:
    """Adding it again is an ordinary reconcile; the old key drains on."""
    world.reconcile(world.rotator(decommissioning=True))

    world.reconcile()
    world.clock.advance(TERMS.publish_delay_seconds)
    world.reconcile()

    assert [pair.state for pair in world.ring.pairs] == [RETIRING, RETIRED, ACTIVE, PUBLISHED]


def test_nothing_new_begins_in_a_region_that_is_left(world: World) -> None:
    """Neither a pair nor a rotation; the refusal names the setting."""
    leaving = world.rotator(decommissioning=True)

    with pytest.raises(RotationRefused, match=r"ivs\.regions"):
        leaving.generate("one more")
    with pytest.raises(RotationRefused, match=r"ivs\.regions"):
        leaving.request_rotation("monthly")
