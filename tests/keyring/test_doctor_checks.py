"""The doctor's checks in cases that a table of findings does not show."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.keyring.doctor_evidence import (
    ACTIVE_A,
    DAY,
    HEALTHY_RING,
    NOW,
    OTHER_DEPLOYMENT,
    STANDBY_B,
    evidence,
    healthy,
)
from tests.keyring.rings import (
    ACCOUNT_ID,
    DEPLOYMENT,
    ENDPOINT,
    REGION,
    held,
    pair,
    ring,
)
from tests.keyring.world import World, world_in
from tokensvc.errors import (
    CustodyDamaged,
    TokensvcError,
)
from tokensvc.keyring.checks.examination import examine, find_orphans, unusable_private_keys
from tokensvc.keyring.checks.finding import Evidence, Severity
from tokensvc.keyring.model import KeyState, Ring
from tokensvc.keyring.rotation import next_step
from tokensvc.keyring.terms import Terms

PENDING, PUBLISHED, ACTIVE, RETIRING, RETIRED = KeyState
SERIOUS, WARNING, NOTE = Severity


def test_a_clock_finding_states_direction_difference_and_limit() -> None:
    """42 s behind, where 10 s are allowed by the setting that it names."""
    (finding,) = examine(healthy(clock_offset_seconds=-42.0))

    assert finding.code == "clock_off"
    assert "42 s behind" in finding.reason
    assert "10 s (rotation.clock_skew_seconds)" in finding.reason


def test_a_standby_that_has_no_free_slot_yet_names_the_time_when_one_is_free() -> None:
    """After two rotations in a row: before that time a reconcile would change nothing."""
    draining = [
        pair("y", RETIRING, signing_ended_at=NOW - 1_000),
        pair("z", RETIRING, signing_ended_at=NOW - 10),
    ]
    (finding,) = examine(evidence(ring(*draining, ACTIVE_A), *held("y", "z", "a")))

    assert finding.code == "no_standby"
    assert "until y has drained" in finding.hint
    assert "2027-01-15T08:45:40Z" in finding.hint
    assert "`tokensvc keys reconcile --region us-west-2`" in finding.hint


def test_a_missing_private_key_of_a_standby_has_two_remedies() -> None:
    """The one that affects no viewer comes first."""
    (finding,) = examine(healthy(unusable={"b": CustodyDamaged("Missing.", hint="Put it back.")}))

    first, second = finding.hint.split("\n")
    assert "`tokensvc keys revoke b`" in first
    assert second == "Or: Put it back."


def test_a_destroyed_private_key_that_exists_again_is_an_orphan() -> None:
    """A command that was suspended while the key was destroyed created it again."""
    destroyed = ring(pair("a", RETIRED, destroyed_on=NOW))

    findings = find_orphans(("a",), [destroyed])

    assert [(found.code, found.subject) for found in findings] == [("orphan", "a")]


def test_a_restored_private_key_that_is_already_reported_is_not_an_orphan_too() -> None:
    """It is reported once. A key that no ring records is still an orphan."""
    restored = evidence(
        ring(pair("z", RETIRED, destroyed_on=NOW - DAY), ACTIVE_A, STANDBY_B),
        *held("a", "b"),
        custody_key_ids=("a", "b", "d", "z"),
    )
    assert isinstance(restored.ring, Ring)
    reported = examine(restored)
    assert [(found.code, found.subject) for found in reported] == [("destroyed_key_restored", "z")]

    findings = find_orphans(("a", "b", "d", "z"), [restored.ring], reported)

    assert [(found.code, found.subject) for found in findings] == [("orphan", "d")]


def test_a_private_key_that_no_ring_records_is_an_orphan() -> None:
    """Private keys of another region's ring are not orphans."""
    other = ring(pair("c", ACTIVE))

    findings = find_orphans(("a", "b", "c", "d"), [HEALTHY_RING, other])

    assert [(found.code, found.subject, found.region) for found in findings] == [
        ("orphan", "d", None)
    ]


@given(
    states=st.lists(st.sampled_from(KeyState), max_size=3),
    in_ivs=st.sets(st.sampled_from("abcxyz"), max_size=3),
    tag=st.sampled_from([None, DEPLOYMENT, OTHER_DEPLOYMENT]),
    is_compromised=st.booleans(),
)
def test_a_region_whose_next_step_is_refused_always_has_a_serious_finding(
    states: list[KeyState], in_ivs: set[str], tag: str | None, *, is_compromised: bool
) -> None:
    """Every refusal of `keys reconcile` is a finding, and `examine` never raises."""
    if states.count(ACTIVE) > 1:
        states = [ACTIVE]
    pairs = [
        pair(name, state, compromised_at=NOW if is_compromised else None)
        for name, state in zip("abc", states, strict=False)
    ]
    of_ring = Ring(REGION, ACCOUNT_ID, ENDPOINT, DEPLOYMENT, Terms(), tuple(pairs))
    given_evidence = evidence(of_ring, *held(*sorted(in_ivs), deployment=tag))
    refusal = refusal_of(given_evidence, of_ring)

    findings = examine(given_evidence)

    if refusal is None:
        assert not any(found.code == "decision_needed" for found in findings)
        return
    assert findings[0].severity is SERIOUS
    # A refusal is reported once: as `decision_needed`, or as the contradictions that it names.
    reporting = [found for found in findings if found.reason in refusal.detail]
    assert "\n".join(found.reason for found in reporting) == refusal.detail
    assert "\n".join(dict.fromkeys(found.hint for found in reporting)) == refusal.hint


def refusal_of(given_evidence: Evidence, of_ring: Ring) -> TokensvcError | None:
    """The error of the next step of that ring, if it is refused."""
    try:
        next_step(of_ring, list(given_evidence.held), NOW)  # type: ignore[arg-type] # A sequence here.
    except TokensvcError as exc:
        return exc
    return None


@pytest.fixture(name="world")
def _world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with world_in(tmp_path, monkeypatch) as world:
        yield world


def test_private_keys_of_the_active_key_and_the_standby_are_self_checked(world: World) -> None:
    """The active one is damaged, the standby's is missing."""
    world.copy_active_and_standby()
    active, standby = world.ring.pairs
    assert unusable_private_keys(world.custody, world.ring) == {}
    (world.folder / "keys" / f"{active.key_id}.pem").write_bytes(b"damaged")
    (world.folder / "keys" / f"{standby.key_id}.pem").unlink()

    unusable = unusable_private_keys(world.custody, world.ring)

    assert set(unusable) == {active.key_id, standby.key_id}
    assert {type(error) for error in unusable.values()} == {CustodyDamaged}
    assert active.key_id in unusable[active.key_id].detail
    assert standby.key_id in unusable[standby.key_id].detail
