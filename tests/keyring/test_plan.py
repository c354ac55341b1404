"""The plan of a rotation: its steps, its times and its slots, with nothing done."""

from __future__ import annotations

from tests.keyring.rings import DRAIN_SECONDS, held, pair, ring
from tests.support.clock import EXAMPLE_NOW
from tokensvc.keyring.model import KeyState
from tokensvc.keyring.plan import plan
from tokensvc.keyring.rotation import Action

PENDING, PUBLISHED, ACTIVE, RETIRING, RETIRED = KeyState


def test_a_rotation_with_a_standby_is_planned_to_its_end() -> None:
    """Switch and next standby now, the old key's end 3,740 s later; never more than three slots."""
    with_rotation_request = ring(pair("a", ACTIVE), pair("b", PUBLISHED), rotation_request=True)

    steps = list(plan(with_rotation_request, held("a", "b"), EXAMPLE_NOW))

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


def test_a_rotation_without_a_standby_waits_for_the_publish_delay() -> None:
    """60 s from the import to the switch."""
    with_rotation_request = ring(pair("a", ACTIVE), rotation_request=True)

    steps = list(plan(with_rotation_request, held("a"), EXAMPLE_NOW, keep_standby=False))

    switch = next(s for s in steps if s.step.action is Action.SWITCH)
    assert switch.at == EXAMPLE_NOW + 60


def test_a_settled_ring_has_an_empty_plan() -> None:
    """Nothing to do is said as nothing."""
    settled = ring(pair("a", ACTIVE), pair("b", PUBLISHED))

    assert list(plan(settled, held("a", "b"), EXAMPLE_NOW)) == []
