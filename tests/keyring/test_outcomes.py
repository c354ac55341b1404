"""The pure record of a step's outcome: the same outcome at the same time gives the same ring."""

from __future__ import annotations

import dataclasses
from dataclasses import replace

import pytest

from tests.keyring.rings import TERMS, arn, pair, public_key, ring
from tests.support.clock import EXAMPLE_NOW
from tokensvc.keyring.model import Act, KeyState, Ring
from tokensvc.keyring.outcomes import (
    Destroyed,
    Generated,
    Imported,
    NewKeyId,
    Outcome,
    Performed,
    recorded,
)
from tokensvc.keyring.restoration import Restoration
from tokensvc.keyring.rotation_requests import RotationRequest
from tokensvc.keyring.steps import Action, Step
from tokensvc.keyring.terms import FormerTerms

PENDING, PUBLISHED, ACTIVE, RETIRING, RETIRED = KeyState
NOW = EXAMPLE_NOW
ACT = Act(NOW, "ann@desk", "monthly")
DRAINED = pair("a", RETIRING, signing_ended_at=NOW - 9_000)

RECORDS: dict[Action, tuple[Ring, Outcome, dict[str, object]]] = {
    Action.NEW_PAIR: (
        ring(),
        NewKeyId("a"),
        {"state": PENDING, "created_at": NOW, "public_key": None},
    ),
    Action.MAKE: (
        ring(pair("a", PENDING, public_key=None)),
        Generated(public_key("a")),
        {"state": PENDING, "public_key": public_key("a")},
    ),
    Action.IMPORT: (
        ring(pair("a", PENDING)),
        Imported(arn("a")),
        {"state": PUBLISHED, "arn": arn("a"), "published_at": NOW},
    ),
    Action.RECORD_IMPORT: (
        ring(pair("a", PENDING)),
        Imported(arn("a")),
        {"state": PUBLISHED, "arn": arn("a"), "published_at": NOW},
    ),
    Action.SWITCH: (
        ring(pair("a", PUBLISHED)),
        Performed(),
        {"state": ACTIVE, "activated_at": NOW},
    ),
    Action.STOP: (
        ring(pair("a", ACTIVE)),
        Performed(),
        {"state": RETIRING, "signing_ended_at": None},
    ),
    Action.RECORD_SIGNING_END: (
        ring(pair("a", RETIRING)),
        Performed(),
        {"state": RETIRING, "signing_ended_at": NOW},
    ),
    Action.RECORD_TERMS_END: (
        dataclasses.replace(
            ring(DRAINED), former_terms=(FormerTerms(TERMS, "ann@desk", "shorter tokens"),)
        ),
        Performed(),
        {"state": RETIRING},
    ),
    Action.RECORD_RESTORE: (
        dataclasses.replace(ring(DRAINED), restoration=Restoration("ann@desk")),
        Performed(),
        {"state": RETIRING},
    ),
    Action.WITHDRAW: (
        ring(pair("a", PENDING)),
        Performed(),
        {"state": RETIRING, "delete_intended_at": NOW},
    ),
    Action.DISCARD: (
        ring(pair("a", PUBLISHED, activated_at=None)),
        Performed(),
        {"state": RETIRING, "delete_intended_at": NOW},
    ),
    Action.INTEND_DELETE: (
        ring(DRAINED),
        Performed(),
        {"state": RETIRING, "delete_intended_at": NOW},
    ),
    Action.DELETE: (ring(DRAINED), Performed(), {"state": RETIRED, "deleted_at": NOW}),
    Action.DELETE_AGAIN: (ring(pair("a", RETIRED)), Performed(), {"deleted_at": NOW}),
    Action.RECORD_DELETE: (ring(DRAINED), Performed(), {"state": RETIRED, "deleted_at": NOW}),
    Action.DESTROY: (
        ring(pair("a", RETIRED)),
        Destroyed(NOW + 604_800),
        {"state": RETIRED, "destroyed_on": NOW + 604_800},
    ),
}


@pytest.mark.parametrize("action", Action)
def test_each_outcome_is_recorded_with_the_time_of_the_act(action: Action) -> None:
    """Only the fields of that step change."""
    before, outcome, changed = RECORDS[action]
    step = Step(action, "" if action is Action.NEW_PAIR else "a")

    after = recorded(before, step, outcome, ACT)

    (record,) = after.pairs
    assert {name: getattr(record, name) for name in changed} == changed
    if before.pairs:
        assert replace(before.pairs[0], **changed) == record  # type: ignore[arg-type] # By name.
    assert recorded(before, step, outcome, ACT) == after


def test_an_urgent_switch_is_recorded_as_such() -> None:
    """The history says that rule 2's delay was skipped."""
    request = RotationRequest(NOW, "ann@desk", "laptop lost", is_urgent=True)
    before = ring(pair("a", PUBLISHED)).with_rotation_request(request)

    after = recorded(before, Step(Action.SWITCH, "a"), Performed(), ACT)

    assert after.history[-1].why == "monthly (urgent: no publish delay)"


@pytest.mark.parametrize("action", Action)
def test_the_outcome_of_another_step_is_never_recorded(action: Action) -> None:
    """Such a call is a bug, so nothing is guessed."""
    before, _, _ = RECORDS[action]
    own = type(RECORDS[action][1])
    others: tuple[Outcome, ...] = (
        NewKeyId("b"),
        Generated(public_key("b")),
        Imported(arn("b")),
        Destroyed(NOW),
        Performed(),
    )

    for other in others:
        if not isinstance(other, own):
            with pytest.raises(TypeError):
                recorded(before, Step(action, "a"), other, ACT)
