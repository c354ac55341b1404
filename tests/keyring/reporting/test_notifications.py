"""Which events are notified. The rings are changed by their own transitions; nothing waits."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.keyring.rings import REGION, arn, pair, public_key, ring
from tokensvc.errors import (
    ClockOff,
    CustodyDamaged,
    IvsRefused,
    IvsUnavailable,
    RotationRefused,
    StateConflict,
    TokensvcError,
)
from tokensvc.keyring.model import MAX_TRANSITIONS, Act, KeyState, Ring
from tokensvc.keyring.reporting.notifications import (
    RegionEnd,
    for_testing,
    of_end,
    of_history,
)
from tokensvc.keyring.reporting.record import Announced, Mark, Notification
from tokensvc.keyring.rotation_requests import RotationPause
from tokensvc.keyring.steps import Done, WaitReason, WaitUntil

NOW = 1_800_000_000.0
DAY = 86_400
BY = "jobs@host-1"
DRAIN = WaitUntil(NOW + 7_220, WaitReason.DRAIN, "a", "tokens signed by a may be valid until then")
WAITS = RegionEnd(REGION, DRAIN)
DONE = RegionEnd(REGION, Done())
UNREACHABLE = RegionEnd(REGION, error=IvsUnavailable("No answer.", hint="Wait."))


def act(at: float, why: str = "monthly") -> Act:
    """An act of the job."""
    return Act(at, BY, why)


def rotated(before: Ring, new: str, at: float) -> Ring:
    """The ring after a whole rotation to a new key pair, and the removal of the one before it."""
    after = before.with_new_pair(new, act(at)).with_public_key(new, public_key("a"))
    after = after.published(new, arn(new), act(at + 1))
    old = after.active
    after = after.switched_to(new, act(at + 2))
    if old is None:
        return after
    after = after.signing_ended(old.key_id, at + 3).delete_intended(old.key_id, at + 4)
    return after.retired(old.key_id, act(at + 5, "reconcile")).destroyed(old.key_id, at + 6)


def story(rotations: int) -> Ring:
    """A new ring after that many rotations, one hour apart."""
    changed = ring()
    for number in range(rotations):
        changed = rotated(changed, f"k{number}", NOW + 3_600 * number)
    return changed


def seen(notifications: Sequence[Notification]) -> list[tuple[str, str, str]]:
    """The type and the key pairs of each."""
    return [(one.type, one.key_id, one.previous_key_id) for one in notifications]


def test_a_rotation_and_the_removal_of_the_earlier_key_are_notified() -> None:
    """Not the steps between: the audit lines have them."""
    found, mark = of_history(story(2), None, NOW + 3_700)

    assert seen(found) == [
        ("key_rotated", "k0", ""),
        ("key_rotated", "k1", "k0"),
        ("key_removed", "k0", ""),
    ]
    assert [(one.at, one.by, one.reason, one.region) for one in found[1:]] == [
        (NOW + 3_602, BY, "monthly", "us-west-2"),
        (NOW + 3_605, BY, "reconcile", "us-west-2"),
    ]
    assert mark is not None
    assert of_history(story(2), mark, NOW + 9_999) == ([], mark)


def test_a_compromised_key_is_notified_when_it_is_marked_and_when_ivs_has_it_no_more() -> None:
    """The second says that its tokens are refused now."""
    before = ring(pair("a", KeyState.ACTIVE), pair("b", KeyState.PUBLISHED))
    after = before.compromised(["a"], act(NOW, "laptop lost")).switched_to("b", act(NOW + 1))
    _, marked = of_history(after, None, NOW + 1)
    gone = after.delete_intended("a", NOW + 2)
    gone = gone.retired("a", act(NOW + 3, "reconcile"))

    found, _ = of_history(after, None, NOW + 1)
    assert seen(found) == [("key_compromised", "a", ""), ("key_rotated", "b", "a")]
    assert found[0].reason == "laptop lost"
    assert found[1].hint == ""  # There is nothing to roll back to.
    found, _ = of_history(gone, marked, NOW + 3)
    assert seen(found) == [("compromised_key_removed", "a", "")]


@given(st.data())
def test_each_transition_is_notified_once_however_often_the_history_is_read(
    data: st.DataObject,
) -> None:
    """Also while it loses its oldest lines."""
    rotations = data.draw(st.integers(min_value=1, max_value=6), label="rotations")
    whole = story(rotations)
    ends = sorted(data.draw(st.sets(st.integers(1, len(whole.history))), label="reads at"))
    mark: Mark | None = None
    once: list[str] = []
    for end in (*ends, len(whole.history)):
        dropped = data.draw(st.integers(0, 3), label="dropped")
        start = min(dropped, ends[0] if ends else 0, end)
        kept = dataclasses.replace(whole, history=whole.history[start if mark else 0 : end])
        found, mark = of_history(kept, mark, NOW)
        once += [one.message_id for one in found]
    expected, _ = of_history(whole, None, NOW)
    assert once == [one.message_id for one in expected]
    assert len(set(once)) == len(once) == 2 * rotations - 1


def test_a_ring_without_a_mark_is_reported_for_one_day_back() -> None:
    """An upgraded deployment does not send its whole history."""
    found, _ = of_history(story(30), None, NOW + 3_600 * 29 + DAY - 3_600 * 5)

    assert seen(found)[0] == ("key_rotated", "k24", "k23")
    assert len(found) == 12


def test_a_history_that_lost_the_marked_line_goes_on_after_its_time() -> None:
    """It keeps the last 200 lines."""
    long = story(60)
    assert len(long.history) == MAX_TRANSITIONS
    _, mark = of_history(story(1), None, NOW)
    found, _ = of_history(long, mark, NOW)
    assert seen(found)[-1] == ("key_removed", "k58", "")
    assert of_history(ring(), mark, NOW) == ((), mark)


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        (WAITS, ("rotation_waiting", "drain", "a")),
        (
            RegionEnd(REGION, dataclasses.replace(DRAIN, reason=WaitReason.PUBLISH_DELAY)),
            ("rotation_waiting", "publish_delay", "a"),
        ),
        (
            RegionEnd(REGION, Done(), pause=RotationPause(NOW - DAY, "ann@desk", "players fail")),
            ("rotation_paused", "rotation_paused", ""),
        ),
        (UNREACHABLE, ("region_unreachable", "ivs_unavailable", "")),
        (
            RegionEnd(REGION, error=RotationRefused("No free slot.", hint="Free one.")),
            ("rotation_refused", "rotation_refused", ""),
        ),
        (
            RegionEnd(REGION, error=IvsRefused("Denied.", aws_code="AccessDeniedException")),
            ("reconcile_failed", "ivs_refused", ""),
        ),
        (RegionEnd(REGION, error=ClockOff("Off.")), ("reconcile_failed", "clock_off", "")),
    ],
)
def test_what_a_run_could_not_do_is_notified_once_and_again_every_day(
    end: RegionEnd, expected: tuple[str, str, str]
) -> None:
    """Not in each pass. The code says why."""
    (first,), announced = of_end(end, None, NOW, BY)
    assert (first.type, first.code, first.key_id) == expected
    assert (first.at, first.region, first.by) == (NOW, "us-west-2", BY)

    assert of_end(end, announced, NOW + 60, BY) == ([], announced)
    assert of_end(end, announced, NOW + DAY - 1, BY) == ([], announced)
    (again,), _ = of_end(end, announced, NOW + DAY, BY)
    assert (again.type, again.message_id == first.message_id) == (first.type, False)


def test_a_time_by_which_it_waits_and_an_error_keep_their_hints() -> None:
    """They are the same as on the command line."""
    (waits,), _ = of_end(WAITS, None, NOW, BY)
    assert waits.until == NOW + 7_220
    assert waits.data()["until"] == "2027-01-15T10:00:20Z"
    (unreachable,), _ = of_end(UNREACHABLE, None, NOW, BY)
    assert (unreachable.detail, unreachable.hint) == ("No answer.", "Wait.")


def changes(ends: Sequence[RegionEnd]) -> list[str]:
    """The types that a series of passes sends, 60 s apart."""
    announced: Announced | None = None
    types = []
    for number, end in enumerate(ends):
        found, announced = of_end(end, announced, NOW + 60 * number, BY)
        types += [one.type for one in found]
    return types


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        ([DONE, DONE], []),
        ([WAITS, WAITS, DONE, WAITS], ["rotation_waiting", "rotation_waiting"]),
        (
            [UNREACHABLE, UNREACHABLE, DONE, UNREACHABLE],
            ["region_unreachable", "reconcile_recovered", "region_unreachable"],
        ),
        (
            [UNREACHABLE, WAITS],
            ["region_unreachable", "reconcile_recovered", "rotation_waiting"],
        ),
        (
            [UNREACHABLE, RegionEnd(REGION, error=CustodyDamaged("Damaged.")), DONE],
            ["region_unreachable", "reconcile_failed", "reconcile_recovered"],
        ),
        (
            [UNREACHABLE, RegionEnd(REGION, error=StateConflict("Other.")), UNREACHABLE],
            ["region_unreachable"],
        ),
        (
            [WAITS, RegionEnd(REGION, dataclasses.replace(DRAIN, key_id="b"))],
            ["rotation_waiting", "rotation_waiting"],
        ),
    ],
    ids=["done", "waits", "fails", "fails, waits", "two errors", "conflict", "another key"],
)
def test_only_changes_are_notified(ends: list[RegionEnd], expected: list[str]) -> None:
    """A conflict is none: the process that saved first reports how its run ended."""
    assert changes(ends) == expected


def test_the_data_of_every_notification_has_the_same_members() -> None:
    """Null where one does not apply, so that a receiver needs no case for each type."""
    data = for_testing(NOW, "ann@desk").data()
    assert data == {
        "region": None,
        "key_id": None,
        "previous_key_id": None,
        "code": None,
        "reason": None,
        "detail": "This is a test. Nothing has happened.",
        "hint": None,
        "until": None,
        "by": "ann@desk",
    }


@given(st.sampled_from([0.0, 60.0, 3_600.0]), st.sampled_from([WAITS, UNREACHABLE]))
def test_the_id_of_an_event_is_a_function_of_the_event(later: float, end: RegionEnd) -> None:
    """Two processes that report the same one use the same ID."""
    (one,), _ = of_end(end, None, NOW + later, BY)
    (other,), _ = of_end(end, None, NOW + later, BY)
    assert one.message_id == other.message_id
    assert one.message_id.startswith("msg_")
    assert isinstance(end.error, TokensvcError | None)
