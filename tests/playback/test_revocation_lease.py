"""The lease: one process calls IVS, whatever the others' clocks say and whoever dies."""

from __future__ import annotations

import pytest

from tests.fleet.links import Condition, Link
from tests.fleet.memory_state import MemoryState, MemoryStore
from tests.support.clock import ManualClock
from tokensvc.errors import StateUnavailable
from tokensvc.playback.revocation.lease import RevocationLease
from tokensvc.state.base import Record


@pytest.fixture
def store() -> MemoryStore:
    """What the processes share."""
    return MemoryStore()


def lease(store: MemoryStore, clock: ManualClock, link: Link | None = None) -> RevocationLease:
    """The lease of a process with that clock."""
    return RevocationLease(MemoryState(store, link), clock)


def test_a_lease_is_held_by_one_and_renewed(store: MemoryStore) -> None:
    """The other one gets it after it was released."""
    clock = ManualClock()
    first, second = lease(store, clock), lease(store, clock)
    for _ in range(60):
        assert first.hold()
        assert not second.hold()
        clock.advance(1)
    first.release()

    assert second.hold()
    assert not first.hold()


def test_a_lease_that_is_not_renewed_lapses_after_ten_seconds(store: MemoryStore) -> None:
    """As the waiting process counts them. The former holder finds out and waits."""
    clock = ManualClock()
    first, second = lease(store, clock), lease(store, clock)
    assert first.hold()
    assert not second.hold()
    clock.advance(9.9)
    assert not second.hold()
    clock.advance(0.2)

    assert second.hold()
    assert not first.hold()


def test_wall_clocks_are_not_compared(store: MemoryStore) -> None:
    """One process is an hour behind, and another one's clock is set meanwhile."""
    behind, ahead = ManualClock(1_000.0), ManualClock(4_600.0)
    first, second = lease(store, behind), lease(store, ahead)
    assert first.hold()
    for _ in range(20):
        behind.advance(1)
        ahead.advance(1)
        ahead.jump_wall(3_600)
        assert first.hold()
        assert not second.hold()


def test_after_a_lost_answer_the_lease_is_taken_again_when_it_has_lapsed(
    store: MemoryStore,
) -> None:
    """The write has replaced the record, and the process does not know."""
    clock, link = ManualClock(), Link()
    only = lease(store, clock, link)
    assert only.hold()
    clock.advance(3)
    link.condition = Condition.LOSES_ANSWERS
    with pytest.raises(StateUnavailable):
        only.hold()
    link.condition = Condition.UP

    held = []
    for _ in range(12):
        held.append(only.hold())
        clock.advance(1)

    assert not held[0]
    assert held[-1]


def test_a_record_of_another_release_lapses_too(store: MemoryStore) -> None:
    """Whatever it contains."""
    clock = ManualClock()
    MemoryState(store).put_many(
        "revocation-lease", [Record("holder", '{"another": "form"}', clock.now() + 60)]
    )
    mine = lease(store, clock)

    assert not mine.hold()
    clock.advance(10)
    assert mine.hold()
