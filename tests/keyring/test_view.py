"""A worker's view of the ring: its age, changes without a restart, tests before a switch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.keyring.rings import REGION
from tests.keyring.world import World, world_in
from tests.support.clock import ManualClock
from tests.support.settings import SECRET
from tokensvc.clock import Moment, SystemClock
from tokensvc.errors import CustodyDamaged, NoSigningKey, StateUnavailable
from tokensvc.keyring.custody.file import FileCustody
from tokensvc.keyring.model import KeyState
from tokensvc.keyring.view import RingView
from tokensvc.state.base import Document, Version
from tokensvc.state.sqlite import SqliteState


@pytest.fixture(name="world")
def _world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with world_in(tmp_path, monkeypatch) as world:
        world.copy_active_and_standby()
        yield world


class CountedState(SqliteState):
    """The real state, which counts its reads and fails while `is_unavailable` is set."""

    reads = 0
    is_unavailable = False

    def version(self, name: str) -> Version:
        """Count the read, or fail."""
        self._count_read()
        return super().version(name)

    def load(self, name: str) -> Document | None:
        """Count the read, or fail."""
        self._count_read()
        return super().load(name)

    def _count_read(self) -> None:
        if self.is_unavailable:
            raise StateUnavailable("The state is unavailable.")
        self.reads += 1


@pytest.fixture(name="state")
def _state(world: World) -> Iterator[CountedState]:
    state = CountedState(world.folder / "state.sqlite3", world.clock)
    yield state
    state.close()


@pytest.fixture(name="view")
def _view(world: World, state: CountedState) -> Iterator[RingView]:
    view = RingView(REGION, state, world.custody, world.clock, refresh_seconds=3_600)
    view.start()
    yield view
    view.close()


def test_a_view_of_120_s_signs_without_a_read(
    world: World, state: CountedState, view: RingView
) -> None:
    """Rule 3: `ring_max_age_seconds` is inclusive."""
    reads = state.reads
    world.clock.advance(120)

    view.active(world.moment())

    assert state.reads == reads


def test_an_older_view_reads_the_ring_again_before_it_signs(
    world: World, state: CountedState, view: RingView
) -> None:
    """Rule 3: at 1 ms more, the request itself reads the ring."""
    reads = state.reads
    world.clock.advance(120.001)

    view.active(world.moment())

    assert state.reads == reads + 1


def test_an_older_view_does_not_sign_while_the_state_is_unavailable(
    world: World, state: CountedState, view: RingView
) -> None:
    """Rule 3: it refuses only if the read fails, and signs again once the state is available."""
    state.is_unavailable = True
    world.clock.advance(120)
    view.active(world.moment())
    world.clock.advance(1)

    with pytest.raises(StateUnavailable):
        view.active(world.moment())

    state.is_unavailable = False
    assert view.active(world.moment()).key_id == world.ring.pairs[0].key_id


def test_a_wall_clock_set_back_does_not_make_a_view_younger(
    world: World, state: CountedState, view: RingView
) -> None:
    """Rule 3: the age is the larger one of both clocks."""
    reads = state.reads
    world.clock.advance(121)
    world.clock.jump_wall(-3_600)

    view.active(world.moment())

    assert state.reads == reads + 1


def test_a_machine_that_was_suspended_reads_the_ring_again(
    world: World, state: CountedState, view: RingView
) -> None:
    """Rule 3: the wall clock includes the suspension; the monotonic clock may not."""
    reads = state.reads
    world.clock.jump_wall(121)

    view.active(world.moment())

    assert state.reads == reads + 1


def test_an_older_view_signs_with_the_key_of_a_switch_that_it_missed(
    world: World, view: RingView
) -> None:
    """The request that reads the ring again signs with the new key."""
    standby = world.ring.pairs[1]
    world.rotator().request_rotation("monthly")
    world.reconcile()
    assert view.active(world.moment()).key_id == world.ring.pairs[0].key_id

    world.clock.advance(121)

    assert view.active(world.moment()).signer.public_key == standby.public_key


def test_an_unusable_standby_is_reported_before_the_switch(world: World) -> None:
    """Rule 2: the worker tests a standby when it first sees it; the active key still signs."""
    active, standby = world.ring.pairs
    (world.folder / "keys" / f"{standby.key_id}.pem").unlink()
    with world.view() as view:
        (warning,) = view.warnings(world.moment())
        assert "standby" in warning
        assert standby.key_id not in warning
        assert view.active(world.moment()).key_id == active.key_id


def test_there_are_no_warnings_without_a_problem(world: World, view: RingView) -> None:
    """The list is empty."""
    assert view.warnings(world.moment()) == []


def test_a_repaired_private_key_is_loaded_once_and_cached(world: World) -> None:
    """The first request loads it, without a change of the ring; later ones need no custody."""
    active = world.ring.pairs[0]
    file = world.folder / "keys" / f"{active.key_id}.pem"
    content = file.read_bytes()
    file.write_bytes(b"damaged")
    with world.view() as view:
        file.write_bytes(content)
        assert view.active(world.moment()).key_id == active.key_id
        file.unlink()
        assert view.active(world.moment()).signer.public_key == active.public_key


def test_an_unusable_active_key_is_not_replaced_by_another(world: World) -> None:
    """The error is `CustodyDamaged`: the operator must decide."""
    (world.folder / "keys" / f"{world.ring.pairs[0].key_id}.pem").write_bytes(b"damaged")

    with world.view() as view, pytest.raises(CustodyDamaged):
        view.active(world.moment())


def test_the_key_set_has_the_public_keys_that_sign_have_signed_and_sign_next(world: World) -> None:
    """The active and the retiring ones, and the standby, which a verifier must know in advance."""
    old, standby = world.ring.pairs
    with world.view() as view:
        assert view.public_keys(world.moment()) == [old.public_key, standby.public_key]

        world.rotator().request_rotation("monthly")
        world.reconcile()
        view.refresh()

        (next_standby,) = world.ring.in_state(KeyState.PUBLISHED)
        expected = [old.public_key, standby.public_key, next_standby.public_key]
        assert view.public_keys(world.moment()) == expected


def test_the_key_set_has_no_compromised_public_key(world: World, view: RingView) -> None:
    """A verifier that uses the key set must no longer accept an attacker's tokens."""
    old, standby = world.ring.pairs
    world.revoke([old.key_id], "laptop lost")
    view.refresh()
    assert view.public_keys(world.moment()) == [standby.public_key]

    world.reconcile()
    view.refresh()

    (next_standby,) = world.ring.in_state(KeyState.PUBLISHED)
    assert view.public_keys(world.moment()) == [standby.public_key, next_standby.public_key]


def test_a_region_without_a_ring_has_no_signing_key(tmp_path: Path) -> None:
    """The error names the command that creates the first key pair."""
    clock = ManualClock()
    state = SqliteState(tmp_path / "empty.sqlite3", clock)
    state.create()
    custody = FileCustody(tmp_path / "keys", SECRET, clock)
    view = RingView(REGION, state, custody, clock, refresh_seconds=3_600)
    view.start()

    with pytest.raises(NoSigningKey, match="keys reconcile --region us-west-2"):
        view.ring(Moment.of(clock))

    view.close()
    state.close()


def test_workers_follow_a_switch_within_seconds_and_without_a_restart(world: World) -> None:
    """The background thread reads the ring every 20 ms here, by the real clock."""
    standby = world.ring.pairs[1]
    clock = SystemClock()
    view = RingView(REGION, world.state, world.custody, clock, refresh_seconds=0.02)
    view.start()
    try:
        world.rotator().request_rotation("monthly")
        world.reconcile()
        deadline = clock.monotonic() + 5
        while view.active(Moment.of(clock)).key_id != standby.key_id:
            assert clock.monotonic() < deadline
            clock.sleep(0.01)
    finally:
        view.close()
