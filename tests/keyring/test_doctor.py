"""The doctor's findings as a table: evidence of a region, and what is found wrong with it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.keyring.rings import (
    ACCOUNT_ID,
    DEPLOYMENT,
    DRAIN_SECONDS,
    ENDPOINT,
    REGION,
    arn,
    held,
    pair,
    public_key,
    ring,
)
from tests.keyring.world import World, world_in
from tests.support.clock import EXAMPLE_NOW
from tokensvc.arns import PlaybackKeyArn
from tokensvc.errors import CustodyDamaged, IvsUnavailable, StateDamaged, TokensvcError
from tokensvc.ivs.model import HeldKeyPair
from tokensvc.keyring.doctor.examination import examine, orphans, unusable_private_keys
from tokensvc.keyring.doctor.finding import Evidence, Severity
from tokensvc.keyring.model import KeyState, Ring, Terms
from tokensvc.keyring.rotation import next_step
from tokensvc.keyring.rotator import Binding

PENDING, PUBLISHED, ACTIVE, RETIRING, RETIRED = KeyState
SERIOUS, WARNING, NOTE = Severity
NOW = EXAMPLE_NOW
OTHER = "fedcba9876543210"
DAY = 86_400
ACTIVE_A = pair("a", ACTIVE, activated_at=NOW - DAY)
SETTLED = ring(ACTIVE_A, pair("b", PUBLISHED))


def evidence(of_ring: Ring | None, *in_ivs: HeldKeyPair, **changes: Any) -> Evidence:
    """Evidence of a region that is well apart from its ring and what IVS holds."""
    seen: dict[str, Any] = {
        "binding": Binding(REGION, ACCOUNT_ID, ENDPOINT),
        "ring": of_ring,
        "held": in_ivs,
        "custody_key_ids": ("a", "b"),
        "unusable": {},
        "now": NOW,
        "clock_offset_seconds": 0.0,
        "clock_skew_seconds": 10,
        "key_age_warning_seconds": 90 * DAY,
        "keep_standby": True,
        "has_canary": True,
        "decommissioning": False,
    }
    return Evidence(**seen | changes)


def well(**changes: Any) -> Evidence:
    """Evidence of a settled region, but for some."""
    return evidence(SETTLED, *held("a", "b"), **changes)


CASES: dict[str, tuple[Evidence, list[tuple[Severity, str, str]]]] = {
    "a settled region is well": (well(), []),
    "a drain in its time is well": (
        evidence(
            ring(
                pair("z", RETIRING, signing_ended_at=NOW - DRAIN_SECONDS + 1),
                ACTIVE_A,
                pair("b", PUBLISHED),
            ),
            *held("z", "a", "b"),
        ),
        [],
    ),
    "a region without a ring signs nothing": (
        evidence(None, custody_key_ids=()),
        [(SERIOUS, "no_active_key", "")],
    ),
    "a laptop beside a deployment": (
        evidence(None, *held("x", deployment=OTHER), custody_key_ids=()),
        [
            (SERIOUS, "no_active_key", ""),
            (SERIOUS, "decision_needed", ""),
            (WARNING, "other_deployment", str(arn("x"))),
        ],
    ),
    "no pair is active": (
        evidence(ring(pair("a", PUBLISHED, published_at=NOW - 5)), *held("a")),
        [(SERIOUS, "no_active_key", "")],
    ),
    "no standby": (
        evidence(ring(ACTIVE_A), *held("a")),
        [(WARNING, "no_standby", ""), (WARNING, "stuck_step", "")],
    ),
    "no standby is wished for": (evidence(ring(ACTIVE_A), *held("a"), keep_standby=False), []),
    "the active pair is missing in IVS": (
        evidence(SETTLED, *held("b")),
        [(SERIOUS, "decision_needed", ""), (SERIOUS, "missing_in_ivs", "a")],
    ),
    "the standby is missing in IVS": (
        evidence(SETTLED, *held("a")),
        [(WARNING, "missing_in_ivs", "b")],
    ),
    "a retiring pair left IVS before its tokens ended": (
        evidence(
            ring(
                pair("z", RETIRING, signing_ended_at=NOW - 5),
                pair("a", ACTIVE, activated_at=NOW - 6),
                pair("b", PUBLISHED),
            ),
            *held("a", "b"),
        ),
        [(WARNING, "missing_in_ivs", "z")],
    ),
    "a pair of ours without a record": (
        evidence(SETTLED, *held("a", "b"), *held("c", deployment=DEPLOYMENT)),
        [(SERIOUS, "decision_needed", ""), (SERIOUS, "unrecorded", str(arn("c")))],
    ),
    "another deployment's pair": (
        evidence(SETTLED, *held("a", "b"), *held("c", deployment=OTHER)),
        [(WARNING, "other_deployment", str(arn("c")))],
    ),
    "a stranger": (
        evidence(SETTLED, *held("a", "b", "c")),
        [(NOTE, "foreign", str(arn("c")))],
    ),
    "strangers in two slots leave no room to rotate": (
        evidence(ring(ACTIVE_A), *held("a", "x", "y"), keep_standby=False),
        [
            (WARNING, "slot_pressure", ""),
            (NOTE, "foreign", str(arn("x"))),
            (NOTE, "foreign", str(arn("y"))),
        ],
    ),
    "a retired pair is back in IVS": (
        evidence(
            ring(pair("z", RETIRED, destroyed_on=NOW - DAY), ACTIVE_A, pair("b", PUBLISHED)),
            *held("a", "b", "z"),
        ),
        [(SERIOUS, "retired_in_ivs", "z")],
    ),
    "another key under the standby's ARN": (
        evidence(
            SETTLED,
            *held("a"),
            HeldKeyPair(arn("b"), "", public_key("x").fingerprint, {}),
        ),
        [
            (SERIOUS, "fingerprint_mismatch", "b"),
            (WARNING, "missing_in_ivs", "b"),
            (NOTE, "foreign", str(arn("b"))),
        ],
    ),
    "the active private half is gone": (
        well(unusable={"a": CustodyDamaged("It is missing.", hint="Put it back.")}),
        [(SERIOUS, "private_key_unusable", "a")],
    ),
    "the standby's private half is gone": (
        well(unusable={"b": CustodyDamaged("It is missing.", hint="Put it back.")}),
        [(WARNING, "private_key_unusable", "b")],
    ),
    "a destroyed private half is back in custody": (
        evidence(
            ring(pair("z", RETIRED, destroyed_on=NOW - DAY), ACTIVE_A, pair("b", PUBLISHED)),
            *held("a", "b"),
            custody_key_ids=("a", "b", "z"),
        ),
        [(WARNING, "destroyed_key_restored", "z")],
    ),
    "a key of 90 days is not yet old": (
        evidence(
            ring(pair("a", ACTIVE, activated_at=NOW - 90 * DAY), pair("b", PUBLISHED)),
            *held("a", "b"),
        ),
        [],
    ),
    "a key of 90 days and a second is old": (
        evidence(
            ring(pair("a", ACTIVE, activated_at=NOW - 90 * DAY - 1), pair("b", PUBLISHED)),
            *held("a", "b"),
        ),
        [(WARNING, "key_old", "a")],
    ),
    "a drain that is over for 899 s is not stuck": (
        evidence(
            ring(
                pair("z", RETIRING, signing_ended_at=NOW - DRAIN_SECONDS - 899),
                ACTIVE_A,
                pair("b", PUBLISHED),
            ),
            *held("z", "a", "b"),
        ),
        [],
    ),
    "a drain that is over for 900 s is stuck": (
        evidence(
            ring(
                pair("z", RETIRING, signing_ended_at=NOW - DRAIN_SECONDS - 900),
                ACTIVE_A,
                pair("b", PUBLISHED),
            ),
            *held("z", "a", "b"),
        ),
        [(WARNING, "stuck_step", "z")],
    ),
    "an import that nobody has finished is stuck": (
        evidence(ring(ACTIVE_A, pair("b", PENDING, created_at=NOW - 900)), *held("a")),
        [(WARNING, "no_standby", ""), (WARNING, "stuck_step", "b")],
    ),
    "a pair made a moment ago is not stuck": (
        evidence(ring(ACTIVE_A, pair("b", PENDING, created_at=NOW - 5)), *held("a")),
        [(WARNING, "no_standby", "")],
    ),
    "a wish of long ago is stuck": (
        evidence(
            dataclasses.replace(
                ring(ACTIVE_A, pair("b", PUBLISHED), rotation_request=True), history=()
            ),
            *held("a", "b"),
            now=NOW + 900,
        ),
        [(WARNING, "stuck_step", "b")],
    ),
    "a stolen key that IVS still holds": (
        evidence(
            ring(
                pair("z", RETIRING, compromised_at=NOW - 5, destroyed_on=NOW - 5),
                ACTIVE_A,
                pair("b", PUBLISHED),
            ),
            *held("z", "a", "b"),
            custody_key_ids=("a", "b"),
        ),
        [(SERIOUS, "compromised_key_in_ivs", "z")],
    ),
    "strangers in every slot of a new region": (
        evidence(None, *held("x", "y", "z"), custody_key_ids=()),
        [
            (SERIOUS, "no_active_key", ""),
            (SERIOUS, "decision_needed", ""),
            (WARNING, "slot_pressure", ""),
            (NOTE, "foreign", str(arn("x"))),
            (NOTE, "foreign", str(arn("y"))),
            (NOTE, "foreign", str(arn("z"))),
        ],
    ),
    "no canary": (well(has_canary=False), [(NOTE, "no_canary", "")]),
    "a clock that is 10 s off is allowed": (well(clock_offset_seconds=-10.0), []),
    "a clock that is 11 s ahead": (well(clock_offset_seconds=11.0), [(SERIOUS, "clock_off", "")]),
    "a clock that is 11 s behind": (
        well(clock_offset_seconds=-11.0),
        [(SERIOUS, "clock_off", "")],
    ),
    "a ring of another account": (
        well(binding=Binding(REGION, "999999999999", ENDPOINT)),
        [(SERIOUS, "wrong_account", ""), (SERIOUS, "binding_mismatch", "")],
    ),
    "credentials of another account: nothing is made of what it holds": (
        evidence(
            SETTLED,
            HeldKeyPair(PlaybackKeyArn(REGION, "999999999999", "theirs"), "", "00:11", {}),
        ),
        [(SERIOUS, "wrong_account", "")],
    ),
    "IVS does not answer, and the ring is examined all the same": (
        well(
            held=IvsUnavailable("IVS throttles."),
            clock_offset_seconds=IvsUnavailable("IVS throttles."),
            has_canary=False,
        ),
        [(SERIOUS, "ivs_unavailable", ""), (NOTE, "no_canary", "")],
    ),
    "the state can't be read, and nothing is made of what IVS holds": (
        well(ring=StateDamaged("It can't be read.")),
        [(SERIOUS, "state_damaged", "")],
    ),
}


@pytest.mark.parametrize(("seen", "expected"), CASES.values(), ids=CASES.keys())
def test_findings(seen: Evidence, expected: list[tuple[Severity, str, str]]) -> None:
    """What is wrong, on which key or ARN, the most serious first, each with what mends it."""
    found = examine(seen)

    assert [(one.severity, one.code, one.subject) for one in found] == expected
    for one in found:
        assert one.reason.endswith(".") or "\n" in one.reason
        assert one.hint or one.code in {"ivs_unavailable", "state_damaged"}  # The cases' own words.


def test_what_a_clock_that_is_off_is_told() -> None:
    """By how much, in which direction, and what the rules allow."""
    (finding,) = examine(well(clock_offset_seconds=-42.0))

    assert finding.reason == (
        "This machine's clock is 42 s behind IVS's; the rules allow 10 s"
        " (rotation.clock_skew_seconds)."
    )


def test_a_standby_that_has_no_slot_yet_is_told_when_there_is_one() -> None:
    """After two rotations at once: a reconcile before that would change nothing."""
    drained = [
        pair("y", RETIRING, signing_ended_at=NOW - 1_000),
        pair("z", RETIRING, signing_ended_at=NOW - 10),
    ]
    (finding,) = examine(evidence(ring(*drained, ACTIVE_A), *held("y", "z", "a")))

    assert finding.code == "no_standby"
    assert finding.hint == (
        "All slots of IVS are taken until y has drained, at 2027-01-15T08:45:40Z."
        " After that: tokensvc keys reconcile --region us-west-2"
    )


def test_a_lost_half_of_a_standby_is_told_both_ways_out() -> None:
    """First the one that costs nothing."""
    (finding,) = examine(well(unusable={"b": CustodyDamaged("Gone.", hint="Put it back.")}))

    assert finding.hint == (
        "No viewer notices if it goes: tokensvc keys revoke b\nOr: Put it back."
    )


def test_a_private_half_that_was_destroyed_and_is_there_again_is_an_orphan() -> None:
    """A command that slept through its destruction made another one under the same ID."""
    slept = ring(pair("a", RETIRED, destroyed_on=EXAMPLE_NOW))

    assert [(one.code, one.subject) for one in orphans(("a",), [slept])] == [("orphan", "a")]


def test_a_private_half_that_no_ring_records_is_an_orphan() -> None:
    """Halves of another region's ring are none."""
    other = ring(pair("c", ACTIVE))

    found = orphans(("a", "b", "c", "d"), [SETTLED, other])

    assert [(one.code, one.subject, one.region) for one in found] == [("orphan", "d", None)]


@given(
    states=st.lists(st.sampled_from(KeyState), max_size=3),
    in_ivs=st.sets(st.sampled_from("abcxyz"), max_size=3),
    tag=st.sampled_from([None, DEPLOYMENT, OTHER]),
    stolen=st.booleans(),
)
def test_a_region_whose_next_step_is_refused_is_never_called_well(
    states: list[KeyState], in_ivs: set[str], tag: str | None, *, stolen: bool
) -> None:
    """Whatever stops `keys reconcile` is a serious finding, and no evidence makes it fail."""
    if states.count(ACTIVE) > 1:
        states = [ACTIVE]
    pairs = [
        pair(name, state, compromised_at=NOW if stolen else None)
        for name, state in zip("abc", states, strict=False)
    ]
    of_ring = Ring(REGION, ACCOUNT_ID, ENDPOINT, DEPLOYMENT, Terms(), tuple(pairs))
    seen = evidence(of_ring, *held(*sorted(in_ivs), deployment=tag))
    try:
        next_step(of_ring, list(seen.held), NOW)  # type: ignore[arg-type] # A sequence here.
        refused = False
    except TokensvcError:
        refused = True

    found = examine(seen)

    assert refused == any(one.code == "decision_needed" for one in found)
    assert not refused or found[0].severity is SERIOUS


@pytest.fixture(name="world")
def _world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with world_in(tmp_path, monkeypatch) as world:
        yield world


def test_private_halves_are_really_tried(world: World) -> None:
    """One is damaged and one is missing, of the pairs that sign or may sign next."""
    world.settle()
    active, standby = world.ring.pairs
    assert unusable_private_keys(world.custody, world.ring) == {}
    (world.folder / "keys" / f"{active.key_id}.pem").write_bytes(b"damaged")
    (world.folder / "keys" / f"{standby.key_id}.pem").unlink()

    unusable = unusable_private_keys(world.custody, world.ring)

    assert "is damaged" in unusable[active.key_id].detail
    assert "is missing" in unusable[standby.key_id].detail
