"""The rules of rotation as a table: a ring, what IVS holds and a time give the next step."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.keyring.rings import DEPLOYMENT, DRAIN_SECONDS, TERMS, held, pair, ring
from tests.support.clock import EXAMPLE_NOW
from tokensvc.errors import RotationRefused
from tokensvc.ivs.model import HeldKeyPair
from tokensvc.keyring.model import KeyState, Ring, RotationRequest
from tokensvc.keyring.rotation import (
    Action,
    Done,
    Step,
    WaitUntil,
    next_step,
    rotation_is_due,
    rotation_refusal,
    step_without_ivs,
)

PENDING, PUBLISHED, ACTIVE, RETIRING, RETIRED = KeyState
NOW = EXAMPLE_NOW


@dataclass(frozen=True)
class Case:
    """A ring at NOW, the pairs that IVS holds, and what is next."""

    ring: Ring
    held: tuple[str, ...]
    expected: Step | Done | float
    keep_standby: bool = True
    decommissioning: bool = False


CASES = {
    "an empty ring records its first pair": Case(ring(), (), Step(Action.NEW_PAIR)),
    "a recorded pair without a public half is made": Case(
        ring(pair("a", PENDING, public_key=None)), (), Step(Action.MAKE, "a")
    ),
    "a made pair is imported": Case(ring(pair("a", PENDING)), (), Step(Action.IMPORT, "a")),
    "an import whose answer was lost is recorded, not repeated": Case(
        ring(pair("a", PENDING)), ("a",), Step(Action.RECORD_IMPORT, "a")
    ),
    "rule 2: the first pair does not sign 1 s before the publish delay is over": Case(
        ring(pair("a", PUBLISHED, published_at=NOW - 59)), ("a",), NOW + 1
    ),
    "rule 2: the first pair signs when the publish delay is over": Case(
        ring(pair("a", PUBLISHED, published_at=NOW - 60)), ("a",), Step(Action.SWITCH, "a")
    ),
    "rule 9: an active pair without a standby gets one": Case(
        ring(pair("a", ACTIVE)), ("a",), Step(Action.NEW_PAIR)
    ),
    "rule 9: no standby when the setting is off": Case(
        ring(pair("a", ACTIVE)), ("a",), Done(), keep_standby=False
    ),
    "rule 9: no standby when strangers hold the slots, and no refusal either": Case(
        ring(pair("a", ACTIVE)), ("a", "stranger", "other"), Done()
    ),
    "an active pair and a standby are settled": Case(
        ring(pair("a", ACTIVE), pair("b", PUBLISHED)), ("a", "b"), Done()
    ),
    "a wish switches to the standby": Case(
        ring(pair("a", ACTIVE), pair("b", PUBLISHED), rotation_request=True),
        ("a", "b"),
        Step(Action.SWITCH, "b"),
    ),
    "a wish waits for a young standby": Case(
        ring(pair("a", ACTIVE), pair("b", PUBLISHED, published_at=NOW - 20), rotation_request=True),
        ("a", "b"),
        NOW + 40,
    ),
    "a wish without a standby makes a pair": Case(
        ring(pair("a", ACTIVE), rotation_request=True), ("a",), Step(Action.NEW_PAIR)
    ),
    "the pair that was published first signs next": Case(
        ring(
            pair("a", ACTIVE),
            pair("b", PUBLISHED, published_at=NOW - 100),
            pair("c", PUBLISHED, published_at=NOW - 200),
            rotation_request=True,
        ),
        ("a", "b", "c"),
        Step(Action.SWITCH, "c"),
    ),
    "rule 4: after a switch the end of signing is recorded before anything else": Case(
        ring(pair("a", RETIRING), pair("b", ACTIVE)),
        ("a", "b"),
        Step(Action.RECORD_SIGNING_END, "a"),
    ),
    "rule 9: the next standby is made while the old key drains": Case(
        ring(pair("a", RETIRING, signing_ended_at=NOW - 5), pair("b", ACTIVE)),
        ("a", "b"),
        Step(Action.NEW_PAIR),
    ),
    "rule 4: nothing is deleted 1 s before the drain is over": Case(
        ring(
            pair("a", RETIRING, signing_ended_at=NOW - DRAIN_SECONDS + 1),
            pair("b", ACTIVE),
            pair("c", PUBLISHED),
        ),
        ("a", "b", "c"),
        NOW + 1,
    ),
    "rule 6: when the drain is over, the delete is decided before it is done": Case(
        ring(
            pair("a", RETIRING, signing_ended_at=NOW - DRAIN_SECONDS),
            pair("b", ACTIVE),
            pair("c", PUBLISHED),
        ),
        ("a", "b", "c"),
        Step(Action.INTEND_DELETE, "a"),
    ),
    "a decided delete is done": Case(
        ring(pair("a", RETIRING, signing_ended_at=NOW - 9_000, delete_intended_at=NOW)),
        ("a",),
        Step(Action.DELETE, "a"),
    ),
    "a delete whose answer was lost is recorded": Case(
        ring(pair("a", RETIRING, signing_ended_at=NOW - 9_000, delete_intended_at=NOW)),
        (),
        Step(Action.RECORD_DELETE, "a"),
    ),
    "rule 8: what IVS let go is destroyed": Case(
        ring(pair("a", RETIRED), pair("b", ACTIVE), pair("c", PUBLISHED)),
        ("b", "c"),
        Step(Action.DESTROY, "a"),
    ),
    "what was destroyed stays a record": Case(
        ring(pair("a", RETIRED, destroyed_on=NOW - 1), pair("b", ACTIVE), pair("c", PUBLISHED)),
        ("b", "c"),
        Done(),
    ),
    "rule 10: a stolen key that signs goes first when strangers fill the slots": Case(
        ring(pair("a", ACTIVE, compromised_at=NOW), pair("b", PENDING), rotation_request=True),
        ("a", "stranger", "other"),
        Step(Action.WITHDRAW, "a"),
    ),
    "a region that is left withdraws its standby, which has signed nothing": Case(
        ring(pair("a", ACTIVE), pair("b", PUBLISHED)),
        ("a", "b"),
        Step(Action.WITHDRAW, "b"),
        decommissioning=True,
    ),
    "a region that is left stops signing, and nothing takes over": Case(
        ring(pair("a", ACTIVE)), ("a",), Step(Action.STOP, "a"), decommissioning=True
    ),
    "a region that is left drains what signed": Case(
        ring(pair("a", RETIRING, signing_ended_at=NOW - 40)),
        ("a",),
        NOW + 3_700,
        decommissioning=True,
    ),
    "a region that was left is settled": Case(
        ring(pair("a", RETIRED, destroyed_on=NOW)), (), Done(), decommissioning=True
    ),
    "rule 5: a full region waits for its own drain before it imports": Case(
        ring(
            pair("a", RETIRING, signing_ended_at=NOW - 40),
            pair("b", ACTIVE),
            pair("c", PENDING),
        ),
        ("a", "b", "stranger"),
        NOW + 3_700,
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_next_step(case: Case) -> None:
    """The next step is the one that the rules ask for."""
    found = next_step(
        case.ring,
        held(*case.held),
        NOW,
        keep_standby=case.keep_standby,
        decommissioning=case.decommissioning,
    )

    if isinstance(found, WaitUntil):
        assert found.at == case.expected
    else:
        assert found == case.expected


def test_a_full_region_of_strangers_is_a_refusal_that_names_them() -> None:
    """Rule 5: the refusal lists who sits where, and the call that would free a slot."""
    with pytest.raises(RotationRefused) as refusal:
        next_step(ring(pair("a", PENDING)), held("x", "y", "z"), NOW)

    text = refusal.value.detail
    for key_id in ("x", "y", "z"):
        assert f"arn:aws:ivs:us-west-2:123456789012:playback-key/in-ivs-{key_id}" in text
    assert text.count("aws ivs delete-playback-key-pair --region us-west-2") == 3


def test_the_refusal_tells_ours_from_strangers() -> None:
    """Rule 5: no call to delete a pair of ours is suggested."""
    with pytest.raises(RotationRefused) as refusal:
        next_step(ring(pair("a", ACTIVE), rotation_request=True), held("a", "y", "z"), NOW)

    lines = refusal.value.detail.splitlines()
    assert "in-ivs-a is ours: a, active (made 2027-01-14T07:00:00Z)." in lines[1]
    assert "delete" not in lines[1]


@dataclass(frozen=True)
class Contradiction:
    """A ring at NOW, what IVS holds, and the words of the refusal, or the step where none is due.

    Where a refusal names the way out, those are words of it.
    """

    ring: Ring
    held: tuple[HeldKeyPair, ...]
    expected: str | Step
    hint: str = ""


OTHER = "fedcba9876543210"
SETTLED = ring(pair("a", ACTIVE), pair("b", PUBLISHED))
CONTRADICTIONS = {
    "an empty ring does not begin beside another deployment's pairs": Contradiction(
        ring(),
        (*held("x", deployment=OTHER),),
        f"tagged by another deployment ({OTHER})",
        "tokensvc keys generate --region us-west-2",
    ),
    "an empty ring begins beside strangers": Contradiction(
        ring(), (*held("x"),), Step(Action.NEW_PAIR)
    ),
    "a recorded pair goes on beside another deployment's: it was asked for": Contradiction(
        ring(pair("a", PENDING)), (*held("x", deployment=OTHER),), Step(Action.IMPORT, "a")
    ),
    "a ring whose active pair IVS does not hold is an old copy, or the pair was deleted": (
        Contradiction(SETTLED, (*held("b"),), "IVS does not hold a (", "tokensvc keys revoke a")
    ),
    "an active pair's ARN with another fingerprint is not that pair": Contradiction(
        SETTLED,
        (
            HeldKeyPair(held("a")[0].arn, "tokensvc-a", held("x")[0].fingerprint, {}),
            *held("b"),
        ),
        "IVS does not hold a (",
    ),
    "a stolen active pair that IVS no longer holds gives way": Contradiction(
        ring(pair("a", ACTIVE, compromised_at=NOW), pair("b", PUBLISHED)).with_rotation_request(
            RotationRequest(NOW, "ann@desk", "laptop lost", is_urgent=True)
        ),
        (*held("b"),),
        Step(Action.SWITCH, "b"),
    ),
    "a pair of this deployment without a record means that the state is old": Contradiction(
        SETTLED,
        (*held("a", "b", "c", deployment=DEPLOYMENT),),
        "1 of this deployment's key pairs",
        "Restore the newest state",
    ),
    "nothing drained is deleted while the state may be old": Contradiction(
        ring(pair("z", RETIRING, signing_ended_at=NOW - 9_000), pair("a", ACTIVE)),
        (*held("z", "a", "c", deployment=DEPLOYMENT),),
        "1 of this deployment's key pairs",
    ),
    "what is stolen goes all the same": Contradiction(
        ring(pair("a", ACTIVE), pair("b", PUBLISHED, compromised_at=NOW)),
        (*held("a", "b", "c", deployment=DEPLOYMENT),),
        Step(Action.WITHDRAW, "b"),
    ),
}


@pytest.mark.parametrize("case", CONTRADICTIONS.values(), ids=CONTRADICTIONS.keys())
def test_a_ring_that_ivs_contradicts_takes_a_person(case: Contradiction) -> None:
    """Rule 5: nothing is made, signs or goes by a state that may not be this region's latest."""
    if isinstance(case.expected, Step):
        assert next_step(case.ring, case.held, NOW) == case.expected
        return
    with pytest.raises(RotationRefused) as refusal:
        next_step(case.ring, case.held, NOW)

    assert case.expected in refusal.value.detail
    assert case.hint in refusal.value.hint


@pytest.mark.parametrize(
    ("of_ring", "is_due"),
    [
        (ring(pair("a", ACTIVE, activated_at=NOW - 2_592_000)), True),
        (ring(pair("a", ACTIVE, activated_at=NOW - 2_591_999)), False),
        (ring(pair("a", ACTIVE, activated_at=NOW - 2_592_000), rotation_request=True), False),
        (
            ring(
                pair("z", RETIRING, signing_ended_at=NOW - 5),
                pair("a", ACTIVE, activated_at=NOW - 2_592_000),
            ),
            False,
        ),
        (ring(pair("a", ACTIVE, activated_at=NOW - 2_592_000, compromised_at=NOW)), False),
        (ring(pair("a", PUBLISHED)), False),
        (ring(), False),
    ],
    ids=["30 days", "1 s less", "wished already", "draining", "stolen", "none active", "empty"],
)
def test_a_scheduled_rotation_is_due_by_how_long_the_active_key_has_signed(
    of_ring: Ring, *, is_due: bool
) -> None:
    """Not by its making: a standby may be old on the day on which it begins to sign."""
    assert rotation_is_due(of_ring, 30 * 86_400, NOW) is is_due


@pytest.mark.parametrize(
    ("of_ring", "expected"),
    [
        (ring(pair("a", PUBLISHED, compromised_at=NOW)), Step(Action.WITHDRAW, "a")),
        (ring(pair("a", RETIRING, compromised_at=NOW)), Step(Action.DESTROY, "a")),
        (
            ring(pair("a", RETIRING, compromised_at=NOW, destroyed_on=NOW)),
            Step(Action.INTEND_DELETE, "a"),
        ),
        (
            ring(pair("a", RETIRING, compromised_at=NOW, destroyed_on=NOW, delete_intended_at=NOW)),
            None,
        ),
        (ring(pair("a", ACTIVE, compromised_at=NOW), pair("b", PUBLISHED)), None),
        (ring(pair("a", RETIRING), pair("b", ACTIVE)), None),
    ],
    ids=["withdrawn", "destroyed", "its end decided", "IVS's turn", "signs", "not stolen"],
)
def test_a_stolen_pair_that_does_not_sign_goes_as_far_as_it_can_without_ivs(
    of_ring: Ring, expected: Step | None
) -> None:
    """Rule 8: its private half is not kept for as long as IVS gives no answer."""
    assert step_without_ivs(of_ring) == expected


def test_a_retired_key_that_is_in_ivs_again_is_named_with_the_call_that_frees_its_slot() -> None:
    """A command that slept through its retirement imported it: nothing signs with it any more."""
    slept = ring(pair("a", RETIRED, destroyed_on=NOW), pair("b", ACTIVE), rotation_request=True)

    with pytest.raises(RotationRefused) as refusal:
        next_step(slept, held("a", "b", "x"), NOW)

    line = refusal.value.detail.splitlines()[1]
    assert "is ours: a, retired, and in IVS again" in line
    assert line.endswith("--arn arn:aws:ivs:us-west-2:123456789012:playback-key/in-ivs-a")


def test_the_drain_is_the_sum_of_rule_4() -> None:
    """120 s of view, 3,600 s of token, twice 10 s of skew: 3,740 s."""
    assert TERMS.drain_seconds == 3_740


def test_a_second_rotation_during_a_drain_is_refused_with_the_time_left() -> None:
    """Rule 9: the refusal says until when, and how long that is."""
    draining = ring(pair("a", RETIRING, signing_ended_at=NOW - 740), pair("b", ACTIVE))

    assert rotation_refusal(draining, NOW) == (
        "Tokens signed by a may play until 2027-01-15T08:50:00Z, 3000 s from now."
    )


def test_a_rotation_after_a_drain_that_nobody_has_ended_is_told_what_to_run_first() -> None:
    """There is nothing left to wait for."""
    drained = ring(pair("a", RETIRING, signing_ended_at=NOW - DRAIN_SECONDS), pair("b", ACTIVE))
    assert rotation_refusal(drained, NOW) == (
        "a has drained; `tokensvc keys reconcile` lets it go now."
    )


def test_a_rotation_may_begin_when_nothing_drains() -> None:
    """A retired pair is no reason to wait."""
    assert rotation_refusal(ring(pair("a", RETIRED), pair("b", ACTIVE)), NOW) == ""
