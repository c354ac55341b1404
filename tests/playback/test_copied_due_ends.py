"""Due ends when the state moves to another place: none is lost, and a later one is refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.clock import EXAMPLE_NOW, ManualClock
from tokensvc.arns import ChannelArn
from tokensvc.errors import StateMissing
from tokensvc.ivs.viewer_sessions import Viewer
from tokensvc.playback.revocation.due_ends import DueEnd, DueEnds
from tokensvc.state.base import State
from tokensvc.state.sqlite import SqliteState
from tokensvc.state_copy import copy_state

NOW = int(EXAMPLE_NOW)
CHANNEL = ChannelArn.parse("arn:aws:ivs:us-west-2:123456789012:channel/abcdEFGHijkl")


@pytest.fixture(name="states")
def _states(tmp_path: Path) -> Iterator[tuple[State, State]]:
    clock = ManualClock()
    with (
        closing(SqliteState(tmp_path / "old.sqlite3", clock)) as old,
        closing(SqliteState(tmp_path / "new.sqlite3", clock)) as new,
    ):
        old.create()
        yield old, new


def due_end(viewer_id: str, seconds: int, *, after: int = 0) -> DueEnd:
    """The due end of a session that began now, as decided so many seconds later."""
    return DueEnd(Viewer(CHANNEL, viewer_id), NOW, NOW + after, NOW + seconds)


def copy(old: State, new: State) -> None:
    """Copy the state."""
    list(copy_state(old, new, source_url="sqlite:/old", target_url="sqlite:/new"))


def test_due_ends_move_with_the_state(states: tuple[State, State]) -> None:
    """Also one that has begun. A second run of the copy undoes nothing."""
    old, new = states
    before, after = DueEnds(old), DueEnds(new)
    for viewer_id in ("alice", "bob", "carol"):
        before.store(due_end(viewer_id, 300))
    alice, bob, _ = before.all()
    before.advance(alice, "begun")
    before.advance(bob, "done")

    copy(old, new)
    after.store(due_end("carol", 600, after=200))
    copy(old, new)

    found = {one.due_end.viewer.viewer_id: one.due_end for one in after.all()}
    assert {name: (one.progress, one.ends_at) for name, one in found.items()} == {
        "alice": ("begun", NOW + 300),
        "carol": ("waiting", NOW + 600),
    }


def test_no_due_end_is_stored_in_a_state_that_has_moved(states: tuple[State, State]) -> None:
    """A worker with the old settings gives out no URL whose end would be lost."""
    old, new = states
    copy(old, new)

    with pytest.raises(StateMissing):
        DueEnds(old).store(due_end("alice", 300))
