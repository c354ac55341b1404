"""Severity, code and subject of the doctor's findings, as a table.

`test_doctor_sentences` holds their sentences.
"""

from __future__ import annotations

import dataclasses

import pytest

from tests.keyring.doctor_evidence import (
    ACTIVE_A,
    DAY,
    HEALTHY_RING,
    NOW,
    OTHER_ACCOUNT_ID,
    OTHER_DEPLOYMENT,
    STANDBY_B,
    another_key_at,
    evidence,
    healthy,
)
from tests.keyring.rings import (
    DEPLOYMENT,
    DRAIN_SECONDS,
    ENDPOINT,
    REGION,
    arn,
    held,
    pair,
    ring,
)
from tokensvc.arns import PlaybackKeyArn
from tokensvc.errors import (
    CustodyDamaged,
    CustodyDenied,
    IvsUnavailable,
    StateDamaged,
)
from tokensvc.ivs.model import HeldKeyPair
from tokensvc.keyring.binding import Binding
from tokensvc.keyring.checks.examination import examine
from tokensvc.keyring.checks.finding import Evidence, Severity
from tokensvc.keyring.model import KeyState

PENDING, PUBLISHED, ACTIVE, RETIRING, RETIRED = KeyState
SERIOUS, WARNING, NOTE = Severity

CASES: dict[str, tuple[Evidence, list[tuple[Severity, str, str]]]] = {
    "a healthy region": (healthy(), []),
    "a drain that is not over": (
        evidence(
            ring(
                pair("z", RETIRING, signing_ended_at=NOW - DRAIN_SECONDS + 1),
                ACTIVE_A,
                STANDBY_B,
            ),
            *held("z", "a", "b"),
        ),
        [],
    ),
    "a region without a ring": (
        evidence(None, custody_key_ids=()),
        [(SERIOUS, "no_active_key", "")],
    ),
    "an empty state where another deployment has a key pair": (
        evidence(None, *held("x", deployment=OTHER_DEPLOYMENT), custody_key_ids=()),
        [
            (SERIOUS, "other_deployment", str(arn("x"))),
            (SERIOUS, "no_active_key", ""),
        ],
    ),
    "no active key": (
        evidence(ring(pair("a", PUBLISHED, published_at=NOW - 5)), *held("a")),
        [(SERIOUS, "no_active_key", "")],
    ),
    "no standby": (
        evidence(ring(ACTIVE_A), *held("a"), now=NOW - DAY + 899),
        [(WARNING, "no_standby", "")],
    ),
    "no standby, because no job makes one": (
        evidence(ring(ACTIVE_A), *held("a")),
        [(WARNING, "stuck_step", "")],
    ),
    "no standby, because the clock is off": (
        evidence(ring(ACTIVE_A), *held("a"), clock_offset_seconds=42.0),
        [(SERIOUS, "clock_off", "")],
    ),
    "no standby, while IVS does not answer": (
        evidence(ring(ACTIVE_A), held=IvsUnavailable("IVS throttles.")),
        [(SERIOUS, "ivs_unavailable", "")],
    ),
    "IVS holds nothing: other credentials, or all is deleted": (
        evidence(HEALTHY_RING),
        [(SERIOUS, "missing_in_ivs", "a")],
    ),
    "a key-encryption secret that fits no private key": (
        healthy(
            unusable={key_id: CustodyDenied("Wrong.", hint="Set it.") for key_id in ("b", "a")}
        ),
        [(SERIOUS, "private_key_unusable", "a")],
    ),
    "two private keys that are missing": (
        healthy(
            unusable={key_id: CustodyDamaged("Missing.", hint="Restore.") for key_id in ("a", "b")}
        ),
        [(SERIOUS, "private_key_unusable", "a"), (WARNING, "private_key_unusable", "b")],
    ),
    "no standby, and the setting keep_standby is off": (
        evidence(ring(ACTIVE_A), *held("a"), keep_standby=False),
        [],
    ),
    "the active key pair is missing in IVS": (
        evidence(HEALTHY_RING, *held("b")),
        [(SERIOUS, "missing_in_ivs", "a")],
    ),
    "the standby is missing in IVS": (
        evidence(HEALTHY_RING, *held("a")),
        [(WARNING, "missing_in_ivs", "b")],
    ),
    "a retiring key pair was deleted from IVS before its tokens expired": (
        evidence(
            ring(
                pair("z", RETIRING, signing_ended_at=NOW - 5),
                pair("a", ACTIVE, activated_at=NOW - 6),
                STANDBY_B,
            ),
            *held("a", "b"),
        ),
        [(WARNING, "missing_in_ivs", "z")],
    ),
    "a key pair of this deployment without a record": (
        evidence(HEALTHY_RING, *held("a", "b"), *held("c", deployment=DEPLOYMENT)),
        [(SERIOUS, "unrecorded", str(arn("c")))],
    ),
    "a key pair of another deployment": (
        evidence(HEALTHY_RING, *held("a", "b"), *held("c", deployment=OTHER_DEPLOYMENT)),
        [(WARNING, "other_deployment", str(arn("c")))],
    ),
    "a foreign key pair": (
        evidence(HEALTHY_RING, *held("a", "b", "c")),
        [(NOTE, "foreign", str(arn("c")))],
    ),
    "foreign key pairs in two slots leave too few for a rotation": (
        evidence(ring(ACTIVE_A), *held("a", "x", "y"), keep_standby=False),
        [
            (WARNING, "slot_pressure", ""),
            (NOTE, "foreign", str(arn("x"))),
            (NOTE, "foreign", str(arn("y"))),
        ],
    ),
    "a retired key pair is in IVS again": (
        evidence(
            ring(pair("z", RETIRED, destroyed_on=NOW - DAY), ACTIVE_A, STANDBY_B),
            *held("a", "b", "z"),
        ),
        [(SERIOUS, "retired_in_ivs", "z")],
    ),
    "another key under the standby's ARN": (
        evidence(
            HEALTHY_RING,
            *held("a"),
            another_key_at("b"),
        ),
        [(SERIOUS, "fingerprint_mismatch", "b")],
    ),
    "another key under the ARN of the active key pair": (
        evidence(
            HEALTHY_RING,
            *held("b"),
            another_key_at("a"),
        ),
        [(SERIOUS, "fingerprint_mismatch", "a")],
    ),
    "another key of this deployment under the standby's ARN": (
        evidence(
            HEALTHY_RING,
            *held("a"),
            another_key_at("b", **{"tokensvc:deployment": DEPLOYMENT}),
        ),
        [(SERIOUS, "fingerprint_mismatch", "b")],
    ),
    "an old copy of the state: the active key pair and two records are missing": (
        evidence(HEALTHY_RING, *held("b"), *held("c", "d", deployment=DEPLOYMENT)),
        [
            (SERIOUS, "unrecorded", str(arn("c"))),
            (SERIOUS, "unrecorded", str(arn("d"))),
        ],
    ),
    "the active private key is missing": (
        healthy(unusable={"a": CustodyDamaged("It is missing.", hint="Put it back.")}),
        [(SERIOUS, "private_key_unusable", "a")],
    ),
    "the standby's private key is missing": (
        healthy(unusable={"b": CustodyDamaged("It is missing.", hint="Put it back.")}),
        [(WARNING, "private_key_unusable", "b")],
    ),
    "a destroyed private key is in custody again": (
        evidence(
            ring(pair("z", RETIRED, destroyed_on=NOW - DAY), ACTIVE_A, STANDBY_B),
            *held("a", "b"),
            custody_key_ids=("a", "b", "z"),
        ),
        [(WARNING, "destroyed_key_restored", "z")],
    ),
    "a key that has signed for 90 days is not old": (
        evidence(
            ring(pair("a", ACTIVE, activated_at=NOW - 90 * DAY), STANDBY_B),
            *held("a", "b"),
        ),
        [],
    ),
    "a key that has signed for 90 days and 1 s is old": (
        evidence(
            ring(pair("a", ACTIVE, activated_at=NOW - 90 * DAY - 1), STANDBY_B),
            *held("a", "b"),
        ),
        [(WARNING, "key_old", "a")],
    ),
    "a drain that ended 899 s ago is not stuck": (
        evidence(
            ring(
                pair("z", RETIRING, signing_ended_at=NOW - DRAIN_SECONDS - 899),
                ACTIVE_A,
                STANDBY_B,
            ),
            *held("z", "a", "b"),
        ),
        [],
    ),
    "a drain that ended 900 s ago is stuck": (
        evidence(
            ring(
                pair("z", RETIRING, signing_ended_at=NOW - DRAIN_SECONDS - 900),
                ACTIVE_A,
                STANDBY_B,
            ),
            *held("z", "a", "b"),
        ),
        [(WARNING, "stuck_step", "z")],
    ),
    "an import that has been due for 900 s is stuck": (
        evidence(ring(ACTIVE_A, pair("b", PENDING, created_at=NOW - 900)), *held("a")),
        [(WARNING, "stuck_step", "b")],
    ),
    "a key pair created 5 s ago is not stuck": (
        evidence(ring(ACTIVE_A, pair("b", PENDING, created_at=NOW - 5)), *held("a")),
        [(WARNING, "no_standby", "")],
    ),
    "a rotation request from 900 s ago is stuck": (
        evidence(
            dataclasses.replace(ring(ACTIVE_A, STANDBY_B, rotation_request=True), history=()),
            *held("a", "b"),
            now=NOW + 900,
        ),
        [(WARNING, "stuck_step", "b")],
    ),
    "a compromised key pair that IVS still holds": (
        evidence(
            ring(
                pair("z", RETIRING, compromised_at=NOW - 5, destroyed_on=NOW - 5),
                ACTIVE_A,
                STANDBY_B,
            ),
            *held("z", "a", "b"),
            custody_key_ids=("a", "b"),
        ),
        [(SERIOUS, "compromised_key_in_ivs", "z")],
    ),
    "a compromised key pair that is still active, without a standby": (
        evidence(
            ring(pair("a", ACTIVE, activated_at=NOW - 91 * DAY, compromised_at=NOW - 5)),
            *held("a"),
        ),
        [(SERIOUS, "compromised_key_in_ivs", "a")],
    ),
    "foreign key pairs in every slot of a new region": (
        evidence(None, *held("x", "y", "z"), custody_key_ids=()),
        [
            (SERIOUS, "decision_needed", ""),
            (SERIOUS, "no_active_key", ""),
            (NOTE, "foreign", str(arn("x"))),
            (NOTE, "foreign", str(arn("y"))),
            (NOTE, "foreign", str(arn("z"))),
        ],
    ),
    "no canary": (healthy(has_canary=False), [(NOTE, "no_canary", "")]),
    "a clock 10 s off is allowed": (healthy(clock_offset_seconds=-10.0), []),
    "a clock 11 s ahead": (healthy(clock_offset_seconds=11.0), [(SERIOUS, "clock_off", "")]),
    "a clock 11 s behind": (
        healthy(clock_offset_seconds=-11.0),
        [(SERIOUS, "clock_off", "")],
    ),
    "times within the skew, by another host's clock": (
        evidence(
            ring(pair("a", ACTIVE, activated_at=NOW + 10), pair("b", PUBLISHED)), *held("a", "b")
        ),
        [],
    ),
    "times in the future on which a step rests": (
        evidence(
            ring(
                pair("z", RETIRING, signing_ended_at=NOW + 11),
                pair("a", ACTIVE, activated_at=NOW + 11),
                pair("b", PUBLISHED, published_at=NOW + 11),
            ),
            *held("z", "a", "b"),
            custody_key_ids=("z", "a", "b"),
        ),
        [
            (WARNING, "time_in_future", "z"),
            (WARNING, "time_in_future", "a"),
            (WARNING, "time_in_future", "b"),
        ],
    ),
    "a clock that is behind makes right times look like the future": (
        evidence(
            ring(pair("a", ACTIVE, activated_at=NOW + 600), pair("b", PUBLISHED)),
            *held("a", "b"),
            clock_offset_seconds=-3_600.0,
        ),
        [(SERIOUS, "clock_off", "")],
    ),
    "a ring of another account": (
        healthy(binding=Binding(REGION, OTHER_ACCOUNT_ID, ENDPOINT)),
        [(SERIOUS, "wrong_account", ""), (SERIOUS, "binding_mismatch", "")],
    ),
    "credentials of another account: the ring is not compared with its key pairs": (
        evidence(
            HEALTHY_RING,
            HeldKeyPair(PlaybackKeyArn(REGION, OTHER_ACCOUNT_ID, "theirs"), "", "00:11", {}),
        ),
        [(SERIOUS, "wrong_account", "")],
    ),
    "IVS does not answer: the ring is examined without it": (
        healthy(
            held=IvsUnavailable("IVS throttles."),
            clock_offset_seconds=IvsUnavailable("IVS throttles."),
            has_canary=False,
        ),
        [(SERIOUS, "ivs_unavailable", ""), (NOTE, "no_canary", "")],
    ),
    "the state can't be read: the key pairs in IVS are not examined": (
        healthy(ring=StateDamaged("It can't be read.")),
        [(SERIOUS, "state_damaged", "")],
    ),
}


@pytest.mark.parametrize(("given_evidence", "expected"), CASES.values(), ids=CASES.keys())
def test_findings(given_evidence: Evidence, expected: list[tuple[Severity, str, str]]) -> None:
    """Each finding names the key ID or ARN, and has a hint; serious ones and causes come first."""
    findings = examine(given_evidence)

    assert [(found.severity, found.code, found.subject) for found in findings] == expected
    for found in findings:
        assert found.reason.endswith(".") or "\n" in found.reason
        # In this table, these two errors have no hint.
        assert found.hint or found.code in {"ivs_unavailable", "state_damaged"}
