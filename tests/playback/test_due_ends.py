"""Due ends: which one counts after several decisions, and how they are stored."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fleet.links import Condition, Link
from tests.fleet.memory_state import MemoryState, MemoryStore
from tokensvc.arns import ChannelArn
from tokensvc.errors import InvalidRequest, StateDamaged, StateUnavailable, ViewerRevoked
from tokensvc.ivs.viewer_sessions import Revocation, Viewer
from tokensvc.playback.revocation.due_ends import (
    KIND,
    DueEnd,
    DueEnds,
    Progress,
    due,
    earliest,
    watch_end,
)
from tokensvc.state.base import Record

ALICE = Viewer(ChannelArn.parse("arn:aws:ivs:us-west-2:123456789012:channel/abcdEFGHijkl"), "alice")
BOB = Viewer(ALICE.channel_arn, "bob")
NOW = 1_800_000_000  # 2027-01-15T08:00:00Z


def decision(
    version: int, ends_at: int, *, at: float | None = None, progress: Progress = "waiting"
) -> DueEnd:
    """A decision about Alice; by default in the second of its session version."""
    return DueEnd(ALICE, version, float(version) if at is None else at, ends_at, progress)


@pytest.mark.parametrize(
    ("earlier", "new", "counts"),
    [
        (None, decision(100, 200), decision(100, 200)),
        # A newer session: its end counts for both, whether it is later or earlier.
        (decision(100, 200), decision(150, 300), decision(150, 300)),
        (decision(100, 300), decision(150, 200), decision(150, 200)),
        # A decision that is stored late changes nothing.
        (decision(150, 200), decision(100, 300), decision(150, 200)),
        # A refresh keeps its version; the newer decision counts, for every session so far.
        (decision(100, 200), decision(100, 300, at=180), decision(100, 300, at=180)),
        (decision(150, 200), decision(100, 300, at=180), decision(150, 300, at=180)),
        # At the same instant the earlier end counts.
        (decision(100, 200), decision(100, 300), decision(100, 200)),
        (decision(100, 300), decision(100, 200), decision(100, 200)),
        # A session after an end that was carried out, or has begun to be.
        (decision(100, 200, progress="done"), decision(250, 400), decision(250, 400)),
        (decision(100, 200, progress="begun"), decision(101, 400), decision(101, 400)),
    ],
)
def test_the_latest_decision_counts_for_every_session_so_far(
    earlier: DueEnd | None, new: DueEnd, counts: DueEnd
) -> None:
    """The end of the latest decision, and the highest version of all."""
    assert new.after(earlier) == counts


@pytest.mark.parametrize("progress", ["begun", "done"])
def test_a_session_that_has_ended_can_not_go_on(progress: Progress) -> None:
    """IVS refuses a token with its version, or soon will, so none is handed out."""
    with pytest.raises(ViewerRevoked):
        decision(100, 400, at=250).after(decision(100, 200, progress=progress))


decisions = st.builds(
    decision,
    st.integers(0, 20),
    st.integers(0, 20),
    at=st.integers(0, 20).map(float),
)


@given(st.lists(decisions, min_size=1, max_size=5).flatmap(st.permutations))
def test_the_order_in_which_decisions_are_stored_makes_no_difference(made: list[DueEnd]) -> None:
    """Replicas store them in any order, and one may store its own again."""

    def counting(stored: Iterable[DueEnd]) -> DueEnd:
        first, *others = stored
        return reduce(lambda earlier, new: new.after(earlier), others, first)

    counts = counting(made)

    assert counts == counting(sorted(made, key=lambda one: (one.decided_at, one.ends_at)))
    assert counts.version == max(one.version for one in made)
    assert all(one.after(counts) == counts for one in made)


def test_each_viewer_of_a_channel_has_one_due_end() -> None:
    """The stored one is what counts, and is read back unchanged."""
    due_ends = DueEnds(MemoryState(MemoryStore()))
    due_ends.store(decision(100, 300))
    due_ends.store(DueEnd(BOB, 120, 120.5, 250))

    assert due_ends.store(decision(150, 200)) == decision(150, 200)

    stored = [one.due_end for one in due_ends.all()]
    assert stored == [decision(150, 200), DueEnd(BOB, 120, 120.5, 250)]
    assert stored[0].revocation == Revocation(ALICE, 150)
    assert [one.expires_at for one in stored] == [200 + 2_592_000, 250 + 2_592_000]


class Interrupted(MemoryState):
    """A state in which another process writes between a read and the next write."""

    def __init__(self, store: MemoryStore, other: DueEnd) -> None:
        super().__init__(store)
        self._others = [other]
        self._other_process = DueEnds(MemoryState(store))

    def put_if(self, kind: str, record: Record, *, replacing: Record | None) -> bool:
        """Let the other process write first, once."""
        while self._others:
            self._other_process.store(self._others.pop())
        return super().put_if(kind, record, replacing=replacing)


def test_of_two_decisions_at_once_none_is_lost() -> None:
    """The write that comes second finds the first one and decides again."""
    store = MemoryStore()

    counts = DueEnds(Interrupted(store, decision(100, 900))).store(decision(150, 200))

    assert counts == decision(150, 200)
    assert [one.due_end for one in DueEnds(MemoryState(store)).all()] == [counts]


@pytest.mark.parametrize("condition", [Condition.DOWN, Condition.LOSES_ANSWERS])
def test_an_uncertain_write_is_an_error(condition: Condition) -> None:
    """The URL must not be handed out."""
    due_ends = DueEnds(MemoryState(MemoryStore(), Link(condition)))

    with pytest.raises(StateUnavailable):
        due_ends.store(decision(100, 200))


def test_an_end_is_carried_out_only_if_no_newer_decision_has_replaced_it() -> None:
    """A process that was paused meanwhile changes nothing."""
    due_ends = DueEnds(MemoryState(MemoryStore()))
    due_ends.store(decision(100, 200))
    (paused,) = due_ends.all()
    due_ends.store(decision(100, 400, at=180))

    assert due_ends.advance(paused, "begun") is None

    (current,) = due_ends.all()
    assert current.due_end == decision(100, 400, at=180)
    begun = due_ends.advance(current, "begun")
    assert begun is not None
    assert due_ends.advance(current, "begun") is None
    done = due_ends.advance(begun, "done")
    assert done is not None
    assert [one.due_end for one in due_ends.all()] == [done.due_end]
    assert done.due_end == decision(100, 400, at=180, progress="done")
    assert done.due_end.expires_at == 400 + 3_600


def test_a_process_that_was_paused_while_an_end_is_due_ends_no_continued_session() -> None:
    """After the mark, a refresh of the session is refused, and a new session has a new version."""
    due_ends = DueEnds(MemoryState(MemoryStore()))
    due_ends.store(decision(100, 200))
    (stored,) = due_ends.all()
    paused = due_ends.advance(stored, "begun")
    assert paused is not None

    with pytest.raises(ViewerRevoked):
        due_ends.store(decision(100, 400, at=201))
    due_ends.store(decision(202, 400))

    assert paused.due_end.revocation.versions_up_to < 202
    assert due_ends.advance(paused, "done") is None
    assert [one.due_end for one in due_ends.all()] == [decision(202, 400)]


def test_what_is_due_is_in_the_order_of_its_time() -> None:
    """In the second of its end a session is due, and not before."""
    due_ends = DueEnds(MemoryState(MemoryStore()))
    for number, ends_at in enumerate((205, 201, 200, 202)):
        viewer = Viewer(ALICE.channel_arn, f"v{number}")
        due_ends.store(DueEnd(viewer, 100, 100.0, ends_at))
    for stored in due(due_ends.all(), 201.0):
        due_ends.advance(stored, "done" if stored.due_end.ends_at == 201 else "begun")

    found = due(due_ends.all(), 202.0)

    assert [one.due_end.ends_at for one in found] == [200, 202]
    assert [one.due_end.progress for one in found] == ["begun", "waiting"]


def test_a_damaged_record_is_reported() -> None:
    """It is never taken for no due end."""
    state = MemoryState(MemoryStore())
    state.put_many(KIND, [Record("x", "{}", 0.0)])

    with pytest.raises(StateDamaged):
        DueEnds(state).all()


@pytest.mark.parametrize(
    ("watch_until", "ends_at"),
    [
        ("2027-01-15T08:00:01Z", NOW + 1),
        ("2027-01-15T08:00:30.9Z", NOW + 30),
        ("2027-02-14T08:00:00Z", NOW + 2_592_000),
    ],
)
def test_the_end_of_a_request(watch_until: str, ends_at: int) -> None:
    """A fraction of a second is cut off: playback does not last longer than requested."""
    assert watch_end(watch_until, None, NOW, NOW + 0.5) == ends_at


@pytest.mark.parametrize(
    ("watch_until", "rule"),
    [
        ("2027-01-15T08:00:00Z", "watch_until_in_future"),
        ("2027-02-14T08:00:01Z", "watch_until_too_late"),
        ("2027-01-15T09:00:30+01:00", "rfc3339_utc"),
        ("2027-01-15 08:00:30Z", "rfc3339_utc"),
        ("2027-02-30T08:00:30Z", "rfc3339_utc"),
        ("1800000030", "rfc3339_utc"),
        ("", "rfc3339_utc"),
    ],
)
def test_an_end_that_is_refused(watch_until: str, rule: str) -> None:
    """Each with its rule."""
    with pytest.raises(InvalidRequest) as refused:
        watch_end(watch_until, None, NOW, float(NOW))

    assert [(one.field, one.rule) for one in refused.value.problems] == [("watch_until", rule)]


@pytest.mark.parametrize(
    ("requested", "allowed", "counts"),
    [
        (None, None, None),
        (NOW + 30, None, NOW + 30),
        (None, NOW + 30, NOW + 30),
        (NOW + 30, NOW + 60, NOW + 30),
        (NOW + 60, NOW + 30, NOW + 30),
        (None, NOW + 2_592_001, None),
    ],
)
def test_the_earlier_end_counts(
    requested: int | None, allowed: int | None, counts: int | None
) -> None:
    """An end that the entitlement hook gives may be so far ahead that no session reaches it."""
    assert earliest(requested, allowed, float(NOW)) == counts


@pytest.mark.parametrize(
    ("requested", "max_watch_seconds", "began_at", "ends_at"),
    [
        (None, None, NOW, None),
        (None, 30, NOW, NOW + 30),
        ("2027-01-15T08:00:20Z", 30, NOW, NOW + 20),
        ("2027-01-15T08:00:40Z", 30, NOW, NOW + 30),
        # A refresh keeps the end of its session.
        (None, 30, NOW - 29, NOW + 1),
    ],
)
def test_a_grant_ends_a_session_some_time_after_its_begin(
    requested: str | None, max_watch_seconds: int | None, began_at: int, ends_at: int | None
) -> None:
    """Or earlier, if the request says so."""
    assert watch_end(requested, max_watch_seconds, began_at, float(NOW)) == ends_at


def test_a_session_that_its_grant_has_ended_is_not_refreshed() -> None:
    """So a preview can't be watched on by refreshing it."""
    with pytest.raises(ViewerRevoked):
        watch_end(None, 30, NOW - 30, float(NOW))
