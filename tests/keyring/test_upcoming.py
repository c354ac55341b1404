"""What a worker expects of a ring agrees with the rules of rotation."""

from __future__ import annotations

import dataclasses

import pytest

from tests.keyring.rings import DRAIN_SECONDS, pair, ring
from tests.keyring.test_rotation import CASES, Case
from tests.support.clock import EXAMPLE_NOW
from tokensvc.keyring.model import KeyPair, KeyState, Ring
from tokensvc.keyring.restoration import Restoration
from tokensvc.keyring.rotation_requests import RotationRequest
from tokensvc.keyring.steps import Action, Done, Step
from tokensvc.keyring.upcoming import Upcoming, upcoming_step

PENDING, PUBLISHED, ACTIVE, RETIRING, RETIRED = KeyState
NOW = EXAMPLE_NOW


def is_as_recorded(case: Case) -> bool:
    """Whether IVS holds exactly what the ring records: only then is the worker expected to know."""
    recorded = {one.key_id for one in case.ring.in_state(PUBLISHED, ACTIVE, RETIRING)}
    return set(case.held) == recorded and not case.decommissioning


AGREEING = {name: case for name, case in CASES.items() if is_as_recorded(case)}


@pytest.mark.parametrize("case", AGREEING.values(), ids=AGREEING.keys())
def test_a_worker_expects_the_step_that_the_rules_give(case: Case) -> None:
    """Wherever IVS holds what the ring records: the step that is due, or the time to wait for."""
    upcoming = upcoming_step(case.ring, NOW, keep_standby=case.keep_standby)
    if isinstance(case.expected, Done):
        assert upcoming is None
    elif isinstance(case.expected, Step):
        assert upcoming is not None
        assert upcoming.step == case.expected
        assert upcoming.is_due(NOW)
    else:
        assert upcoming is not None
        assert upcoming.at == case.expected
        assert not upcoming.is_due(NOW)


def test_most_cases_of_the_rules_are_compared() -> None:
    """So that the comparison above has not become empty."""
    assert len(AGREEING) >= 18


def test_the_drain_that_ends_first_is_named() -> None:
    """With the key pair that is then deleted, and the reason."""
    draining = ring(
        pair("a", RETIRING, signing_ended_at=NOW - 40),
        pair("b", RETIRING, signing_ended_at=NOW - 10),
        pair("c", ACTIVE),
    )
    upcoming = upcoming_step(draining, NOW, keep_standby=True)
    assert upcoming is not None
    assert upcoming.step == Step(Action.INTEND_DELETE, "a")
    assert upcoming.at == NOW - 40 + DRAIN_SECONDS
    assert upcoming.why
    assert upcoming.is_due(NOW - 40 + DRAIN_SECONDS)


def emergency(*pairs: KeyPair) -> Ring:
    """A ring whose active key pair was marked compromised."""
    request = RotationRequest(NOW, "ann@desk", "laptop lost", is_urgent=True)
    active = pair("a", ACTIVE, compromised_at=NOW)
    return ring(active, *pairs).with_rotation_request(request)


def test_an_emergency_comes_first() -> None:
    """A switch without the publish delay, and a new key pair if there is no standby."""
    standby = emergency(pair("b", PUBLISHED, published_at=NOW - 1))
    assert upcoming_step(standby, NOW, keep_standby=True) == Upcoming(Step(Action.SWITCH, "b"))
    alone = upcoming_step(emergency(), NOW, keep_standby=True)
    assert alone == Upcoming(Step(Action.NEW_PAIR))


def test_after_a_restore_a_removal_waits() -> None:
    """For a drain from the time of the restore."""
    retired = ring(pair("a", RETIRED), pair("b", ACTIVE), pair("c", PUBLISHED))
    restored = dataclasses.replace(retired, restoration=Restoration("ann@desk", NOW - 10))
    upcoming = upcoming_step(restored, NOW, keep_standby=True)
    assert upcoming is not None
    assert upcoming.step == Step(Action.DESTROY, "a")
    assert upcoming.at == NOW - 10 + DRAIN_SECONDS
