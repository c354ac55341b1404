"""Transitions: only those that the states allow, each written down."""

from __future__ import annotations

import dataclasses

import pytest

from tests.keyring.rings import arn, pair, public_key, ring
from tests.support.clock import EXAMPLE_NOW
from tokensvc.arns import PlaybackKeyArn, parse_region
from tokensvc.errors import KeyNotFound, RotationRefused
from tokensvc.keyring.model import (
    Act,
    KeyState,
    Ring,
    RotationRequest,
    Terms,
    Transition,
    broken_invariants,
)

PENDING, PUBLISHED, ACTIVE, RETIRING, RETIRED = KeyState
ACT = Act(EXAMPLE_NOW, "ann@desk", "monthly")


def states(of: Ring) -> dict[str, KeyState]:
    """Each pair's state."""
    return {each.key_id: each.state for each in of.pairs}


def test_a_switch_makes_one_key_active_and_the_one_before_it_retiring() -> None:
    """Rule 1: at no moment are two active; the wish is granted with the switch."""
    before = ring(pair("a", ACTIVE), pair("b", PUBLISHED), rotation_request=True)

    after = before.switched_to("b", ACT)

    assert states(after) == {"a": RETIRING, "b": ACTIVE}
    assert after.rotation_request is None
    assert after.pair("b").activated_at == EXAMPLE_NOW
    assert after.pair("a").signing_ended_at is None  # Rule 4: that is a second write.


def test_each_transition_is_written_down_with_who_when_and_why() -> None:
    """The history says who moved which key, when, from where to where, and why."""
    after = ring(pair("a", ACTIVE), pair("b", PUBLISHED)).switched_to("b", ACT)

    assert after.history == (
        Transition(EXAMPLE_NOW, "ann@desk", "b", PUBLISHED, ACTIVE, "monthly"),
        Transition(EXAMPLE_NOW, "ann@desk", "a", ACTIVE, RETIRING, "monthly"),
    )


def test_a_whole_life_leads_through_every_state() -> None:
    """pending, published, active, retiring, retired, destroyed."""
    at = ring().with_new_pair("a", ACT)
    at = at.made("a", public_key("a")).published("a", arn("a"), ACT).switched_to("a", ACT)
    at = at.with_new_pair("b", ACT).made("b", public_key("b")).published("b", arn("b"), ACT)
    at = at.switched_to("b", ACT).signing_ended("a", EXAMPLE_NOW + 1)
    at = at.delete_intended("a", EXAMPLE_NOW + 2).retired("a", ACT)
    at = at.destroyed("a", EXAMPLE_NOW + 3)

    assert states(at) == {"a": RETIRED, "b": ACTIVE}
    assert at.pair("a").destroyed_on == EXAMPLE_NOW + 3
    assert broken_invariants(at) == ()


@pytest.mark.parametrize("state", [PENDING, ACTIVE, RETIRING, RETIRED])
def test_only_a_published_key_can_become_active(state: KeyState) -> None:
    """Rule 2: no other state leads to signing, so no retired key ever signs again."""
    with pytest.raises(RotationRefused, match=f"a is {state}, not published"):
        ring(pair("a", state)).switched_to("a", ACT)


@pytest.mark.parametrize("state", [PENDING, PUBLISHED, ACTIVE, RETIRED])
def test_only_a_retiring_key_can_be_deleted(state: KeyState) -> None:
    """What signs or may sign next can't be decided to leave IVS."""
    with pytest.raises(RotationRefused, match=f"a is {state}, not retiring"):
        ring(pair("a", state)).delete_intended("a", EXAMPLE_NOW)


def test_a_second_wish_is_refused_while_one_stands() -> None:
    """The refusal names who wished first."""
    with pytest.raises(RotationRefused, match="ann@desk"):
        ring(pair("a", ACTIVE), rotation_request=True).with_rotation_request(
            RotationRequest(EXAMPLE_NOW, "bob@lap", "me too")
        )


def test_terms_are_high_water_marks() -> None:
    """Rule 4: a lowered setting lowers nothing, a raised one raises its own mark."""
    marks = Terms(60, 120, 3_600, 10)

    assert marks.raised_to(Terms(30, 300, 600, 10)) == Terms(60, 300, 3_600, 10)


def test_an_unknown_key_is_named_with_the_way_out() -> None:
    """The refusal says where to look."""
    with pytest.raises(KeyNotFound, match=r"no key pair 'zz'.*keys list"):
        ring().pair("zz")


def test_adopting_a_key_that_the_ring_has_is_refused() -> None:
    """The same private half under two records would be destroyed under one."""
    with pytest.raises(RotationRefused, match="in the ring already, as a"):
        ring(pair("a", ACTIVE)).with_adopted_pair("b", public_key("a"), arn("b"), ACT)


def test_at_most_20_retired_pairs_and_200_transitions_are_kept() -> None:
    """The document does not grow for ever, and the oldest go first."""
    at = ring(*(pair(f"r{n}", RETIRED, destroyed_on=1.0) for n in range(20)), pair("a", ACTIVE))
    at = dataclasses.replace(
        at, history=tuple(Transition(n, "", "", None, PENDING, "") for n in range(200))
    )

    at = at.with_new_pair("b", ACT).made("b", public_key("b")).published("b", arn("b"), ACT)
    at = at.switched_to("b", ACT).signing_ended("a", 1).retired("a", ACT).destroyed("a", 2.0)

    retired = at.in_state(RETIRED)
    assert (len(retired), retired[0].key_id, retired[-1].key_id) == (20, "r1", "a")
    assert (len(at.history), at.history[-1].key_id) == (200, "a")


@pytest.mark.parametrize(
    ("impossible", "sentence"),
    [
        (ring(pair("a", ACTIVE), pair("b", ACTIVE)), "only one may be (rule 1)"),
        (ring(pair("a", ACTIVE), pair("a", PUBLISHED)), "same ID"),
        (ring(pair("a", ACTIVE, arn=None)), "without a public half and an ARN"),
        (
            ring(pair("a", ACTIVE, arn=PlaybackKeyArn(parse_region("eu-west-1"), "1", "x"))),
            "another account or region",
        ),
        (ring(pair("a", RETIRING, delete_intended_at=1.0)), "end of signing (rule 4)"),
    ],
    ids=["two active", "same ID", "no ARN", "elsewhere", "deleted too early"],
)
def test_what_can_not_be_true_of_a_ring_is_told(impossible: Ring, sentence: str) -> None:
    """A ring that breaks an invariant is recognised before it is saved and after it is read."""
    assert sentence in " ".join(broken_invariants(impossible))
