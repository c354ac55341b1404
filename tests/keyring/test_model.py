"""The ring: only allowed transitions succeed, and each is recorded in the history."""

from __future__ import annotations

import dataclasses

import pytest

from tests.keyring.rings import arn, pair, public_key, ring
from tests.support.clock import EXAMPLE_NOW
from tokensvc.arns import PlaybackKeyArn, parse_region
from tokensvc.errors import KeyNotFound, RotationRefused
from tokensvc.keyring.adoption import adopted
from tokensvc.keyring.invariants import broken_invariants
from tokensvc.keyring.model import Act, KeyState, Ring, Transition
from tokensvc.keyring.rotation_requests import RotationRequest
from tokensvc.keyring.terms import Terms

PENDING, PUBLISHED, ACTIVE, RETIRING, RETIRED = KeyState
ACT = Act(EXAMPLE_NOW, "ann@desk", "monthly")


def states(of: Ring) -> dict[str, KeyState]:
    """The state of each key pair."""
    return {each.key_id: each.state for each in of.pairs}


def published(of: Ring, key_id: str) -> Ring:
    """The ring after that pending key pair got its private key and was imported."""
    return of.with_public_key(key_id, public_key(key_id)).published(key_id, arn(key_id), ACT)


def test_a_switch_makes_one_key_active_and_the_one_before_it_retiring() -> None:
    """Rule 1: never are two active. The rotation request is removed with the switch."""
    before = ring(pair("a", ACTIVE), pair("b", PUBLISHED), rotation_request=True)

    after = before.switched_to("b", ACT)

    assert states(after) == {"a": RETIRING, "b": ACTIVE}
    assert after.rotation_request is None
    assert after.pair("b").activated_at == EXAMPLE_NOW
    assert after.pair("a").signing_ended_at is None  # Rule 4: that is a second write.


def test_each_transition_is_recorded_with_who_when_and_why() -> None:
    """The history has a line for each key that changed its state."""
    after = ring(pair("a", ACTIVE), pair("b", PUBLISHED)).switched_to("b", ACT)

    assert after.history == (
        Transition(EXAMPLE_NOW, "ann@desk", "b", PUBLISHED, ACTIVE, "monthly"),
        Transition(EXAMPLE_NOW, "ann@desk", "a", ACTIVE, RETIRING, "monthly"),
    )


def test_a_key_pair_passes_through_every_state() -> None:
    """pending, published, active, retiring, retired, destroyed."""
    at = ring().with_new_pair("a", ACT)
    at = published(at, "a").switched_to("a", ACT)
    at = published(at.with_new_pair("b", ACT), "b")
    at = at.switched_to("b", ACT).signing_ended("a", EXAMPLE_NOW + 1)
    at = at.delete_intended("a", EXAMPLE_NOW + 2).retired("a", ACT)
    at = at.destroyed("a", EXAMPLE_NOW + 3)

    assert states(at) == {"a": RETIRED, "b": ACTIVE}
    assert at.pair("a").destroyed_on == EXAMPLE_NOW + 3
    assert broken_invariants(at) == ()


@pytest.mark.parametrize("state", [PENDING, ACTIVE, RETIRED])
def test_only_a_published_or_retiring_key_can_become_active(state: KeyState) -> None:
    """Rules 2 and 9: no other state leads to `active`, so no retired key ever signs again."""
    with pytest.raises(RotationRefused, match=rf"\ba\b.* {state}, not published"):
        ring(pair("a", state)).switched_to("a", ACT)


@pytest.mark.parametrize("state", [PENDING, PUBLISHED, ACTIVE, RETIRED])
def test_only_a_retiring_key_can_be_deleted(state: KeyState) -> None:
    """A key that signs, or may sign next, can't be marked for deletion."""
    with pytest.raises(RotationRefused, match=rf"\ba\b.* {state}, not retiring"):
        ring(pair("a", state)).delete_intended("a", EXAMPLE_NOW)


def test_a_second_rotation_request_is_refused_while_one_is_open() -> None:
    """The refusal names who made the first request."""
    with pytest.raises(RotationRefused, match="ann@desk"):
        ring(pair("a", ACTIVE), rotation_request=True).with_rotation_request(
            RotationRequest(EXAMPLE_NOW, "bob@laptop", "me too")
        )


def test_terms_are_high_water_marks() -> None:
    """Rule 4: a lowered setting changes nothing, and a raised setting raises its own limit."""
    terms = Terms(60, 120, 3_600, 10)

    assert terms.raised_to(Terms(30, 300, 600, 10)) == Terms(60, 300, 3_600, 10)


def test_an_unknown_key_is_refused_with_a_hint() -> None:
    """The error names the ID and the command that lists the key pairs."""
    with pytest.raises(KeyNotFound, match=r"'zz'.*tokensvc keys list"):
        ring().pair("zz")


def test_adopting_a_key_that_the_ring_has_is_refused() -> None:
    """With two records, the private key of one would be destroyed with the other."""
    with pytest.raises(RotationRefused, match="tokensvc keys show a"):
        adopted(ring(pair("a", ACTIVE)), public_key("a"), arn("b"), 0, ACT)


def test_at_most_20_retired_pairs_and_200_transitions_are_kept() -> None:
    """The document does not grow without limit: the oldest entries are dropped first."""
    at = ring(*(pair(f"r{n}", RETIRED, destroyed_on=1.0) for n in range(20)), pair("a", ACTIVE))
    at = dataclasses.replace(
        at, history=tuple(Transition(n, "", "", None, PENDING, "") for n in range(200))
    )

    at = published(at.with_new_pair("b", ACT), "b")
    at = at.switched_to("b", ACT).signing_ended("a", 1).retired("a", ACT).destroyed("a", 2.0)

    retired = at.in_state(RETIRED)
    assert (len(retired), retired[0].key_id, retired[-1].key_id) == (20, "r1", "a")
    assert (len(at.history), at.history[-1].key_id) == (200, "a")


@pytest.mark.parametrize(
    ("impossible", "data"),
    [
        (ring(pair("a", ACTIVE), pair("b", ACTIVE)), "(rule 1)"),
        (ring(pair("a", ACTIVE), pair("a", PUBLISHED)), " ID a"),
        (ring(pair("a", ACTIVE, arn=None)), "a is active"),
        (
            ring(pair("a", ACTIVE, arn=PlaybackKeyArn(parse_region("eu-west-1"), "1", "x"))),
            "arn:aws:ivs:eu-west-1:1:playback-key/x",
        ),
        (ring(pair("a", RETIRING, delete_intended_at=1.0)), "(rule 4)"),
    ],
    ids=["two active", "duplicate ID", "no ARN", "another region", "deleted too early"],
)
def test_a_broken_invariant_is_reported(impossible: Ring, data: str) -> None:
    """A ring that breaks an invariant is recognized before it is saved and after it is read."""
    (sentence,) = broken_invariants(impossible)
    assert data in sentence
