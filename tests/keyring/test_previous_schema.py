"""Before `tokensvc state upgrade`, an emergency ends as it does after it (rule 10).

A process of the previous release may read the ring after any save, so each saved ring has only the
members that this release has.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.keyring.rings import DRAIN_SECONDS, REGION
from tests.keyring.test_ring_document import MEMBERS_OF_VERSION_1, members
from tests.keyring.world import LossyKeyPairs, World, world_in
from tests.support.clock import ManualClock
from tests.support.documents import save_next
from tokensvc.errors import CustodyDamaged, IvsUnavailable, RotationRefused
from tokensvc.keyring.model import KeyState
from tokensvc.keyring.probes import KIND, ProbeRecorder
from tokensvc.keyring.ring_document import document_name
from tokensvc.keyring.steps import Done
from tokensvc.state.base import Version
from tokensvc.state.record_writer import RecordWriter
from tokensvc.state.schema import DOCUMENT_NAME, PREVIOUS, schema_document
from tokensvc.state.sqlite import SqliteState
from tokensvc.state_upgrade import upgrade_state

PENDING, PUBLISHED, ACTIVE, RETIRING, RETIRED = KeyState
DAMAGED = CustodyDamaged("The private key is unreadable.", hint="Restore it.")


class RecordingState(SqliteState):
    """The real state, which remembers each ring that was saved in it."""

    def __init__(self, path: Path, clock: ManualClock) -> None:
        super().__init__(path, clock)
        self.rings: list[str] = []

    def save(self, name: str, body: str, *, replacing: Version) -> Version:
        """Save the document, and remember a ring."""
        version = super().save(name, body, replacing=replacing)
        if name == document_name(REGION):
            self.rings.append(body)
        return version


@pytest.fixture(name="world")
def _world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """An active key pair and a standby in version 1. After the test, the state is upgraded."""
    with (
        world_in(tmp_path, monkeypatch) as world,
        closing(RecordingState(tmp_path / "state.sqlite3", world.clock)) as state,
    ):
        save_next(state, DOCUMENT_NAME, schema_document(PREVIOUS))
        world.state.close()
        world.state = state
        world.create_active_and_standby()
        yield world
        assert_version_1(state.rings)
        assert_goes_on_after_the_upgrade(world)


def assert_version_1(rings: list[str]) -> None:
    """The previous release refuses any other member."""
    assert len(rings) > 10
    for ring in map(json.loads, rings):
        found = members(ring)
        assert ring["schema_version"] == 1
        assert found == {name: MEMBERS_OF_VERSION_1[name] for name in found}


def assert_goes_on_after_the_upgrade(world: World) -> None:
    """The upgrade changes nothing in the ring. The drain ends, and the next rotation too."""
    before = world.ring
    list(upgrade_state(world.state))
    assert world.ring == before
    world.clock.advance(DRAIN_SECONDS + 60)
    world.reconcile()
    world.clock.advance(60)
    standby = world.ring.standby
    assert standby is not None
    world.rotator().request_rotation("monthly")
    world.reconcile()
    assert_signs(world, standby.key_id)


def assert_signs(world: World, key_id: str) -> None:
    """A worker signs with that key."""
    with world.view() as view:
        assert view.active(world.moment()).key_id == key_id


def states(world: World) -> list[KeyState]:
    """The states of the key pairs, oldest first."""
    return [pair.state for pair in world.ring.pairs]


def spoil_standby(world: World) -> None:
    """Delete the private key of the standby."""
    assert world.ring.standby is not None
    (world.folder / "keys" / f"{world.ring.standby.key_id}.pem").unlink()


def test_a_revocation_switches_to_the_standby(world: World) -> None:
    """The usual emergency."""
    compromised, standby = world.ring.pairs

    world.revoke([compromised.key_id], "laptop lost")
    assert isinstance(world.reconcile(), Done)

    assert states(world) == [RETIRED, ACTIVE, PUBLISHED]
    assert_signs(world, standby.key_id)


def test_a_revocation_discards_an_unusable_standby(world: World) -> None:
    """A new key pair takes over."""
    compromised, _ = world.ring.pairs
    spoil_standby(world)

    world.revoke([compromised.key_id], "laptop lost")
    assert isinstance(world.reconcile(), Done)

    assert states(world) == [RETIRED, RETIRED, ACTIVE, PUBLISHED]
    assert_signs(world, world.ring.pairs[2].key_id)


def test_a_revocation_returns_to_a_draining_key(world: World) -> None:
    """The standby is unusable."""
    world.rotator().request_rotation("monthly")
    world.reconcile()
    draining, compromised, _ = world.ring.pairs
    spoil_standby(world)

    world.revoke([compromised.key_id], "laptop lost")
    assert isinstance(world.reconcile(), Done)

    assert states(world) == [ACTIVE, RETIRED, RETIRED, PUBLISHED]
    assert_signs(world, draining.key_id)


def test_a_revocation_of_all_ends_with_a_new_key(world: World) -> None:
    """A draining key, the active one and the standby are compromised."""
    world.rotator().request_rotation("monthly")
    world.reconcile()
    compromised = [pair.key_id for pair in world.ring.pairs]

    world.revoke(compromised, "custody copied")
    assert isinstance(world.reconcile(), Done)

    assert states(world) == [RETIRED, RETIRED, RETIRED, ACTIVE, PUBLISHED]
    assert_signs(world, world.ring.pairs[3].key_id)


def test_a_revocation_that_fails_is_completed_by_the_next_pass(world: World) -> None:
    """Version 1 does not record why it failed, which changes neither the error nor the rest."""
    compromised, _ = world.ring.pairs
    lossy = LossyKeyPairs(world.key_pairs, {"delete"})

    world.revoke([compromised.key_id], "laptop lost")
    with pytest.raises(IvsUnavailable):
        world.reconcile(world.rotator(key_pairs=lossy))
    assert isinstance(world.reconcile(), Done)

    assert states(world) == [RETIRED, ACTIVE, PUBLISHED]


def test_a_forced_rotation_switches_although_a_worker_fails(world: World) -> None:
    """It does so also in a later process, which has only the stored request."""
    active, standby = world.ring.pairs
    writer = RecordWriter(world.state, KIND)
    ProbeRecorder(REGION, writer, world.clock).record(standby.key_id, DAMAGED)
    assert writer.flush()
    world.rotator().request_rotation("monthly")
    with pytest.raises(RotationRefused, match=standby.key_id):
        world.reconcile()
    assert_signs(world, active.key_id)

    world.rotator().request_rotation("its host is replaced", force=True)
    world.reconcile()

    assert states(world) == [RETIRING, ACTIVE, PUBLISHED]
    assert_signs(world, standby.key_id)


def test_a_forced_rotation_during_a_drain_spends_the_standby(world: World) -> None:
    """IVS then holds three key pairs, and the next standby is made after the drain."""
    world.rotator().request_rotation("monthly")
    world.reconcile()
    world.clock.advance(60)
    _, _, standby = world.ring.pairs

    world.rotator().request_rotation("again", force=True)
    world.reconcile()

    assert states(world)[:3] == [RETIRING, RETIRING, ACTIVE]
    assert_signs(world, standby.key_id)
