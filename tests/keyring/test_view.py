"""What a worker signs from: fresh, followed without a restart, probed before a switch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.keyring.rings import REGION
from tests.keyring.world import SECRET, World, world_in
from tests.support.clock import ManualClock
from tokensvc.clock import Moment, SystemClock
from tokensvc.errors import CustodyDamaged, NoSigningKey, StateUnavailable
from tokensvc.keyring.custody.file import FileCustody
from tokensvc.keyring.view import RingView
from tokensvc.state.base import Document
from tokensvc.state.sqlite import SqliteState


@pytest.fixture(name="world")
def _world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with world_in(tmp_path, monkeypatch) as world:
        world.settle()
        yield world


class CountedState(SqliteState):
    """The real state, which counts looks and fails while it is told to."""

    looks = 0
    is_away = False

    def version(self, name: str) -> int:
        """Count the look, or fail."""
        self._look()
        return super().version(name)

    def load(self, name: str) -> Document | None:
        """Count the look, or fail."""
        self._look()
        return super().load(name)

    def _look(self) -> None:
        if self.is_away:
            raise StateUnavailable("The state is away.")
        self.looks += 1


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


def test_a_view_of_120_s_signs_without_a_look(
    world: World, state: CountedState, view: RingView
) -> None:
    """Rule 3: `view_max_age_seconds` is inclusive."""
    looks = state.looks
    world.clock.advance(120)

    view.active(world.moment())

    assert state.looks == looks


def test_an_older_view_looks_anew_before_it_signs(
    world: World, state: CountedState, view: RingView
) -> None:
    """Rule 3: 1 ms more, and the request itself reads."""
    looks = state.looks
    world.clock.advance(120.001)

    view.active(world.moment())

    assert state.looks == looks + 1


def test_an_older_view_refuses_when_the_state_is_away_and_signs_again_after(
    world: World, state: CountedState, view: RingView
) -> None:
    """Rule 3: refused only if the look fails; the state's return is enough."""
    state.is_away = True
    world.clock.advance(120)
    view.active(world.moment())
    world.clock.advance(1)

    with pytest.raises(StateUnavailable):
        view.active(world.moment())

    state.is_away = False
    assert view.active(world.moment()).key_id == world.ring.pairs[0].key_id


def test_a_wall_clock_set_back_does_not_make_a_view_younger(
    world: World, state: CountedState, view: RingView
) -> None:
    """Rule 3: the larger of both clocks counts."""
    looks = state.looks
    world.clock.advance(121)
    world.clock.jump_wall(-3_600)

    view.active(world.moment())

    assert state.looks == looks + 1


def test_a_machine_that_slept_does_not_trust_its_old_view(
    world: World, state: CountedState, view: RingView
) -> None:
    """Rule 3: the wall clock shows a sleep that the other one may not."""
    looks = state.looks
    world.clock.jump_wall(121)

    view.active(world.moment())

    assert state.looks == looks + 1


def test_a_switch_during_an_old_view_is_seen_by_the_request_that_looks(
    world: World, view: RingView
) -> None:
    """The request signs with the new key, at the moment that it read before the look."""
    standby = world.ring.pairs[1]
    world.rotator().request_rotation("monthly")
    world.reconcile()
    assert view.active(world.moment()).key_id == world.ring.pairs[0].key_id

    world.clock.advance(121)

    assert view.active(world.moment()).signer.public_key == standby.public_key


def test_a_standby_that_can_not_sign_shows_before_the_switch(world: World) -> None:
    """Rule 2: the worker probes it when it first sees it, says so, and goes on signing."""
    active, standby = world.ring.pairs
    (world.folder / "keys" / f"{standby.key_id}.pem").unlink()
    with world.view() as view:
        assert view.warnings(world.moment()) == [
            f"The private half of the standby {standby.key_id} can't be used here."
        ]
        assert view.active(world.moment()).key_id == active.key_id


def test_there_are_no_warnings_when_all_is_well(world: World, view: RingView) -> None:
    """Nothing to say is nothing said."""
    assert view.warnings(world.moment()) == []


def test_a_private_half_that_is_mended_is_loaded_once_and_kept(world: World) -> None:
    """Without a change of the ring: by the first request, and the others need no custody."""
    active = world.ring.pairs[0]
    file = world.folder / "keys" / f"{active.key_id}.pem"
    content = file.read_bytes()
    file.write_bytes(b"damaged")
    with world.view() as view:
        file.write_bytes(content)
        assert view.active(world.moment()).key_id == active.key_id
        file.unlink()
        assert view.active(world.moment()).signer.public_key == active.public_key


def test_an_active_key_that_can_not_sign_is_an_error_of_custody(world: World) -> None:
    """Never another key in its place: the region's tokens wait for an operator."""
    (world.folder / "keys" / f"{world.ring.pairs[0].key_id}.pem").write_bytes(b"damaged")

    with world.view() as view, pytest.raises(CustodyDamaged):
        view.active(world.moment())


def test_the_key_set_has_the_active_and_the_retiring_public_halves(world: World) -> None:
    """A standby has signed nothing yet, and a retired key's tokens are over."""
    old, standby = world.ring.pairs
    with world.view() as view:
        assert view.public_keys(world.moment()) == [old.public_key]

        world.rotator().request_rotation("monthly")
        world.reconcile()
        view.refresh()

        assert view.public_keys(world.moment()) == [old.public_key, standby.public_key]


def test_the_key_set_has_no_stolen_public_half(world: World, view: RingView) -> None:
    """From when it is declared: a verifier of its own must not believe the thief any longer."""
    old, standby = world.ring.pairs
    world.rotator().revoke([old.key_id], "stolen")
    view.refresh()
    assert view.public_keys(world.moment()) == []

    world.reconcile()
    view.refresh()

    assert view.public_keys(world.moment()) == [standby.public_key]


def test_a_region_without_a_ring_says_how_to_make_one(tmp_path: Path) -> None:
    """The refusal names the command."""
    clock = ManualClock()
    state = SqliteState(tmp_path / "empty.sqlite3", clock)
    custody = FileCustody(tmp_path / "keys", SECRET, clock)
    view = RingView(REGION, state, custody, clock, refresh_seconds=3_600)
    view.start()

    with pytest.raises(NoSigningKey, match="keys reconcile --region us-west-2"):
        view.ring(Moment.of(clock))

    view.close()
    state.close()


def test_workers_follow_a_switch_within_seconds_and_without_a_restart(world: World) -> None:
    """The reader's own thread sees it, by the real clock, every 20 ms here."""
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
