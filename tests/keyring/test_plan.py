"""The plan of a rotation: steps, times and occupied slots."""

from __future__ import annotations

from tests.keyring.rings import DRAIN_SECONDS, held, pair, ring
from tests.support.clock import EXAMPLE_NOW
from tokensvc.keyring.model import KeyState
from tokensvc.keyring.plan import plan
from tokensvc.keyring.steps import Action, Step

PENDING, PUBLISHED, ACTIVE, RETIRING, RETIRED = KeyState


def test_a_plan_with_a_standby_contains_every_step() -> None:
    """Switch and new standby now, the old key is deleted after 3,740 s, at most three slots."""
    requested = ring(pair("a", ACTIVE), pair("b", PUBLISHED), rotation_request=True)

    steps = list(plan(requested, held("a", "b"), EXAMPLE_NOW))

    assert [(s.step.action, s.at - EXAMPLE_NOW, s.slots_taken) for s in steps] == [
        (Action.SWITCH, 0, 2),
        (Action.RECORD_SIGNING_END, 0, 2),
        (Action.NEW_PAIR, 0, 2),
        (Action.MAKE, 0, 2),
        (Action.IMPORT, 0, 3),
        (Action.INTEND_DELETE, DRAIN_SECONDS, 3),
        (Action.DELETE, DRAIN_SECONDS, 2),
        (Action.DESTROY, DRAIN_SECONDS, 2),
    ]
    assert [steps[n].step.key_id for n in (0, 5, 6, 7)] == ["b", "a", "a", "a"]


def test_a_plan_without_a_standby_waits_for_the_publish_delay() -> None:
    """60 s from the import to the switch."""
    requested = ring(pair("a", ACTIVE), rotation_request=True)

    steps = list(plan(requested, held("a"), EXAMPLE_NOW, keep_standby=False))

    switch = next(s for s in steps if s.step.action is Action.SWITCH)
    assert switch.at == EXAMPLE_NOW + 60


def test_a_ring_with_nothing_to_do_has_an_empty_plan() -> None:
    """An active key and a standby, and no rotation request."""
    complete = ring(pair("a", ACTIVE), pair("b", PUBLISHED))

    assert list(plan(complete, held("a", "b"), EXAMPLE_NOW)) == []


def test_a_plan_finds_the_imported_key_pair_whose_answer_was_lost() -> None:
    """It is recorded, not imported again, and is deleted from IVS at the end of its drain."""
    lost = ring(pair("a", PENDING))

    steps = list(plan(lost, held("a"), EXAMPLE_NOW, keep_standby=False))

    assert [(s.step, s.slots_taken) for s in steps] == [
        (Step(Action.RECORD_IMPORT, "a"), 1),
        (Step(Action.SWITCH, "a"), 1),
    ]


def test_two_plans_of_the_same_ring_are_equal() -> None:
    """The IDs of new key pairs are invented, and the same each time."""
    requested = ring(pair("a", ACTIVE), rotation_request=True)

    first, second = (list(plan(requested, held("a"), EXAMPLE_NOW)) for _ in range(2))

    assert first == second
    new_ids = [s.step.key_id for s in first if s.step.action is Action.MAKE]
    assert new_ids == ["new-1", "new-2"]
