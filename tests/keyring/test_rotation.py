"""The rules of rotation as a table: a ring, the key pairs in IVS and a time give the next step."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.keyring.rings import DEPLOYMENT, DRAIN_SECONDS, TERMS, held, pair, ring
from tests.support.clock import EXAMPLE_NOW
from tokensvc.errors import RotationRefused
from tokensvc.ivs.model import HeldKeyPair
from tokensvc.keyring.checks.contradictions import Comparison, contradictions
from tokensvc.keyring.model import KeyState, Ring
from tokensvc.keyring.rotation import next_step, step_without_ivs
from tokensvc.keyring.rotation_requests import RotationRequest
from tokensvc.keyring.scheduling import rotation_is_due
from tokensvc.keyring.steps import Action, Done, Step, WaitUntil

PENDING, PUBLISHED, ACTIVE, RETIRING, RETIRED = KeyState
NOW = EXAMPLE_NOW


@dataclass(frozen=True)
class Case:
    """A ring at NOW, the key pairs that IVS holds, and the expected next step."""

    ring: Ring
    held: tuple[str, ...]
    expected: Step | Done | float
    keep_standby: bool = True
    decommissioning: bool = False


CASES = {
    "an empty ring records its first key pair": Case(ring(), (), Step(Action.NEW_PAIR)),
    "a recorded key pair gets its private key generated": Case(
        ring(pair("a", PENDING, public_key=None)), (), Step(Action.MAKE, "a")
    ),
    "a pending key pair is imported": Case(ring(pair("a", PENDING)), (), Step(Action.IMPORT, "a")),
    "an import whose answer was lost is recorded, not repeated": Case(
        ring(pair("a", PENDING)), ("a",), Step(Action.RECORD_IMPORT, "a")
    ),
    "rule 2: no switch 1 s before the end of the publish delay": Case(
        ring(pair("a", PUBLISHED, published_at=NOW - 59)), ("a",), NOW + 1
    ),
    "rule 2: a switch at the end of the publish delay": Case(
        ring(pair("a", PUBLISHED, published_at=NOW - 60)), ("a",), Step(Action.SWITCH, "a")
    ),
    "rule 9: a standby is created for an active key": Case(
        ring(pair("a", ACTIVE)), ("a",), Step(Action.NEW_PAIR)
    ),
    "rule 9: no standby is created when the setting is off": Case(
        ring(pair("a", ACTIVE)), ("a",), Done(), keep_standby=False
    ),
    "rule 9: foreign key pairs in the slots prevent a standby, without an error": Case(
        ring(pair("a", ACTIVE)), ("a", "foreign", "other"), Done()
    ),
    "nothing is left to do with an active key and a standby": Case(
        ring(pair("a", ACTIVE), pair("b", PUBLISHED)), ("a", "b"), Done()
    ),
    "a rotation request switches to the standby": Case(
        ring(pair("a", ACTIVE), pair("b", PUBLISHED), rotation_request=True),
        ("a", "b"),
        Step(Action.SWITCH, "b"),
    ),
    "a rotation request waits for the publish delay of the standby": Case(
        ring(pair("a", ACTIVE), pair("b", PUBLISHED, published_at=NOW - 20), rotation_request=True),
        ("a", "b"),
        NOW + 40,
    ),
    "a rotation request without a standby creates a key pair": Case(
        ring(pair("a", ACTIVE), rotation_request=True), ("a",), Step(Action.NEW_PAIR)
    ),
    "of two standbys, the one published first becomes active": Case(
        ring(
            pair("a", ACTIVE),
            pair("b", PUBLISHED, published_at=NOW - 100),
            pair("c", PUBLISHED, published_at=NOW - 200),
            rotation_request=True,
        ),
        ("a", "b", "c"),
        Step(Action.SWITCH, "c"),
    ),
    "rule 4: the end of signing is recorded first after a switch": Case(
        ring(pair("a", RETIRING), pair("b", ACTIVE)),
        ("a", "b"),
        Step(Action.RECORD_SIGNING_END, "a"),
    ),
    "rule 9: the next standby is created while the old key drains": Case(
        ring(pair("a", RETIRING, signing_ended_at=NOW - 5), pair("b", ACTIVE)),
        ("a", "b"),
        Step(Action.NEW_PAIR),
    ),
    "rule 4: nothing is deleted 1 s before the end of the drain": Case(
        ring(
            pair("a", RETIRING, signing_ended_at=NOW - DRAIN_SECONDS + 1),
            pair("b", ACTIVE),
            pair("c", PUBLISHED),
        ),
        ("a", "b", "c"),
        NOW + 1,
    ),
    "rule 6: at the end of the drain the intent to delete is saved first": Case(
        ring(
            pair("a", RETIRING, signing_ended_at=NOW - DRAIN_SECONDS),
            pair("b", ACTIVE),
            pair("c", PUBLISHED),
        ),
        ("a", "b", "c"),
        Step(Action.INTEND_DELETE, "a"),
    ),
    "a saved intent to delete is carried out": Case(
        ring(pair("a", RETIRING, signing_ended_at=NOW - 9_000, delete_intended_at=NOW)),
        ("a",),
        Step(Action.DELETE, "a"),
    ),
    "a delete whose answer was lost is recorded": Case(
        ring(pair("a", RETIRING, signing_ended_at=NOW - 9_000, delete_intended_at=NOW)),
        (),
        Step(Action.RECORD_DELETE, "a"),
    ),
    "rule 8: the private key is destroyed after the delete is confirmed": Case(
        ring(pair("a", RETIRED), pair("b", ACTIVE), pair("c", PUBLISHED)),
        ("b", "c"),
        Step(Action.DESTROY, "a"),
    ),
    "a destroyed key pair needs no more steps": Case(
        ring(pair("a", RETIRED, destroyed_on=NOW - 1), pair("b", ACTIVE), pair("c", PUBLISHED)),
        ("b", "c"),
        Done(),
    ),
    "rule 10: a compromised active key is removed when no slot is free": Case(
        ring(pair("a", ACTIVE, compromised_at=NOW), pair("b", PENDING), rotation_request=True),
        ("a", "foreign", "other"),
        Step(Action.WITHDRAW, "a"),
    ),
    "decommissioning: the standby is withdrawn first, it signed nothing": Case(
        ring(pair("a", ACTIVE), pair("b", PUBLISHED)),
        ("a", "b"),
        Step(Action.WITHDRAW, "b"),
        decommissioning=True,
    ),
    "decommissioning: the active key stops signing without a successor": Case(
        ring(pair("a", ACTIVE)), ("a",), Step(Action.STOP, "a"), decommissioning=True
    ),
    "decommissioning: the last active key drains": Case(
        ring(pair("a", RETIRING, signing_ended_at=NOW - 40)),
        ("a",),
        NOW + 3_700,
        decommissioning=True,
    ),
    "decommissioning: nothing is left to do after the last key is destroyed": Case(
        ring(pair("a", RETIRED, destroyed_on=NOW)), (), Done(), decommissioning=True
    ),
    "rule 5: an import waits for the end of a drain when no slot is free": Case(
        ring(
            pair("a", RETIRING, signing_ended_at=NOW - 40),
            pair("b", ACTIVE),
            pair("c", PENDING),
        ),
        ("a", "b", "foreign"),
        NOW + 3_700,
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_next_step(case: Case) -> None:
    """The rules give the expected next step."""
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


def test_foreign_pairs_in_every_slot_are_listed() -> None:
    """Rule 5: the refusal lists each key pair, with the command that deletes it."""
    with pytest.raises(RotationRefused) as refusal:
        next_step(ring(pair("a", PENDING)), held("x", "y", "z"), NOW)

    text = refusal.value.detail
    for key_id in ("x", "y", "z"):
        assert f"arn:aws:ivs:us-west-2:123456789012:playback-key/in-ivs-{key_id}" in text
    assert text.count("aws ivs delete-playback-key-pair --region us-west-2") == 3


def test_no_command_to_delete_our_own_pair_is_suggested() -> None:
    """Rule 5: the line of our own key pair has its ID, its state and its age instead."""
    with pytest.raises(RotationRefused) as refusal:
        next_step(ring(pair("a", ACTIVE), rotation_request=True), held("a", "y", "z"), NOW)

    lines = refusal.value.detail.splitlines()
    for data in ("/in-ivs-a ", " a ", "active", "2027-01-14T07:00:00Z"):
        assert data in lines[1]
    assert "delete" not in lines[1]


@dataclass(frozen=True)
class Contradiction:
    """A ring at NOW, the key pairs in IVS, and the expected refusal or step.

    Attributes:
        ring: the ring.
        held: the key pairs that IVS holds.
        expected: data that the refusal must contain, or the step when nothing is refused.
        hint: the command that the hint must contain.
        findings: code and subject of each contradiction.
    """

    ring: Ring
    held: tuple[HeldKeyPair, ...]
    expected: tuple[str, ...] | Step
    hint: str = ""
    findings: tuple[tuple[str, str], ...] = ()


OTHER = "fedcba9876543210"
COMPLETE = ring(pair("a", ACTIVE), pair("b", PUBLISHED))
NOT_HELD = (str(held("a")[0].arn),)
UNRECORDED = (str(held("c")[0].arn),)
ONE_UNRECORDED = (("unrecorded", str(held("c")[0].arn)),)
CONTRADICTIONS = {
    "an empty ring beside another deployment's key pairs": Contradiction(
        ring(),
        (*held("x", deployment=OTHER),),
        (OTHER, str(held("x")[0].arn)),
        "tokensvc keys generate --region us-west-2",
        (("other_deployment", str(held("x")[0].arn)),),
    ),
    "an empty ring beside foreign key pairs is allowed": Contradiction(
        ring(), (*held("x"),), Step(Action.NEW_PAIR)
    ),
    "a key pair recorded by `keys generate` beside another deployment is imported": Contradiction(
        ring(pair("a", PENDING)), (*held("x", deployment=OTHER),), Step(Action.IMPORT, "a")
    ),
    "IVS does not hold the active key pair": Contradiction(
        COMPLETE, (*held("b"),), NOT_HELD, "tokensvc keys revoke a", (("missing_in_ivs", "a"),)
    ),
    "IVS has another fingerprint under the ARN of the active key pair": Contradiction(
        COMPLETE,
        (
            HeldKeyPair(held("a")[0].arn, "tokensvc-a", held("x")[0].fingerprint, {}),
            *held("b"),
        ),
        NOT_HELD,
        "tokensvc keys revoke a",
        (("fingerprint_mismatch", "a"),),
    ),
    "a compromised active key pair that IVS does not hold is replaced": Contradiction(
        ring(pair("a", ACTIVE, compromised_at=NOW), pair("b", PUBLISHED)).with_rotation_request(
            RotationRequest(NOW, "ann@desk", "laptop lost", is_urgent=True)
        ),
        (*held("b"),),
        Step(Action.SWITCH, "b"),
    ),
    "IVS holds a key pair of this deployment that has no record": Contradiction(
        COMPLETE,
        (*held("a", "b", "c", deployment=DEPLOYMENT),),
        UNRECORDED,
        "tokensvc keys reconcile",
        ONE_UNRECORDED,
    ),
    "no drained key pair is deleted while the state may be an old copy": Contradiction(
        ring(pair("z", RETIRING, signing_ended_at=NOW - 9_000), pair("a", ACTIVE)),
        (*held("z", "a", "c", deployment=DEPLOYMENT),),
        UNRECORDED,
        findings=ONE_UNRECORDED,
    ),
    "two key pairs of this deployment that have no record": Contradiction(
        COMPLETE,
        (*held("a", "c", "d", deployment=DEPLOYMENT),),
        (str(held("c")[0].arn), str(held("d")[0].arn)),
        f"delete-playback-key-pair --region us-west-2 --arn {held('d')[0].arn}",
        (*ONE_UNRECORDED, ("unrecorded", str(held("d")[0].arn))),
    ),
    "a compromised standby is withdrawn although the state may be an old copy": Contradiction(
        ring(pair("a", ACTIVE), pair("b", PUBLISHED, compromised_at=NOW)),
        (*held("a", "b", "c", deployment=DEPLOYMENT),),
        Step(Action.WITHDRAW, "b"),
    ),
}


@pytest.mark.parametrize("case", CONTRADICTIONS.values(), ids=CONTRADICTIONS.keys())
def test_a_ring_that_ivs_contradicts_needs_a_decision(case: Contradiction) -> None:
    """Rule 5: no key pair is created, activated or deleted when the state may be an old copy."""
    if isinstance(case.expected, Step):
        assert next_step(case.ring, case.held, NOW) == case.expected
        return
    with pytest.raises(RotationRefused) as refusal:
        next_step(case.ring, case.held, NOW)

    for data in case.expected:
        assert data in refusal.value.detail
    assert case.hint in refusal.value.hint
    findings = contradictions(Comparison(case.ring, case.held, decommissioning=False))
    assert tuple((found.code, found.subject) for found in findings) == case.findings
    assert "\n".join(found.reason for found in findings) == refusal.value.detail


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
    ids=["30 days", "1 s less", "requested", "draining", "compromised", "none active", "empty"],
)
def test_a_scheduled_rotation_depends_on_how_long_the_active_key_has_signed(
    of_ring: Ring, *, is_due: bool
) -> None:
    """It doesn't depend on the key's creation: a standby may be old when it becomes active."""
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
    ids=["published", "retiring", "destroyed", "needs IVS", "active", "not compromised"],
)
def test_steps_for_a_compromised_key_that_need_no_ivs(of_ring: Ring, expected: Step | None) -> None:
    """Rule 8: the private key is destroyed even while IVS does not answer."""
    assert step_without_ivs(of_ring) == expected


def test_a_retired_key_that_is_in_ivs_again_is_deleted_again() -> None:
    """Rule 5: a command that was suspended during the retirement has imported it again."""
    retired = pair("a", RETIRED, destroyed_on=NOW)
    imported_again = ring(retired, pair("b", ACTIVE), rotation_request=True)

    step = next_step(imported_again, held("a", "b", "x"), NOW)

    assert step == Step(Action.DELETE_AGAIN, "a")


def test_the_drain_is_the_sum_of_rule_4() -> None:
    """120 s of view age + 3,600 s of token lifetime + 2 * 10 s of clock skew = 3,740 s."""
    assert TERMS.drain_seconds == 3_740
