"""The sentences of `tokensvc keys doctor` about a ring, its private keys and files, as a table.

The reasons and hints of errors are written elsewhere; they are here because the operator reads them
here. `test_doctor_sentences_with_ivs` has the others.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.keyring.doctor_evidence import (
    ACTIVE_A,
    DAY,
    HEALTHY_RING,
    NOW,
    RECONCILE,
    STANDBY_B,
    evidence,
    healthy,
    in_region,
)
from tests.keyring.reporting.test_doctor_sentences_of_reports import TABLE as TABLE_OF_REPORTS
from tests.keyring.rings import (
    TERMS,
    held,
    pair,
    ring,
)
from tests.keyring.test_doctor_sentences_with_ivs import TABLE as TABLE_WITH_IVS
from tests.keyring.test_doctor_sentences_with_kms import TABLE as TABLE_WITH_KMS
from tokensvc.errors import CustodyDamaged, CustodyDenied
from tokensvc.keyring.checks.examination import examine, find_orphans
from tokensvc.keyring.checks.files import find_open_files
from tokensvc.keyring.checks.finding import Finding, FindingCode, Severity
from tokensvc.keyring.model import KeyState
from tokensvc.keyring.probes import FailedProbe
from tokensvc.keyring.restoration import Restoration
from tokensvc.keyring.rotation_requests import RotationPause
from tokensvc.keyring.terms import FormerTerms
from tokensvc.protected_files import Fault, FileFault

PENDING, PUBLISHED, ACTIVE, RETIRING, RETIRED = KeyState
SERIOUS, WARNING, NOTE = Severity
NO_STANDBY = "There is no standby key. In an emergency, a new key pair would have to be made first."

TABLE: dict[str, tuple[Sequence[Finding], Finding]] = {
    "no active key": (
        examine(evidence(ring(STANDBY_B), *held("b"))),
        in_region(
            SERIOUS,
            "no_active_key",
            "",
            "No key pair is active in us-west-2, so no tokens can be signed for it.",
            f"Run {RECONCILE}.",
        ),
    ),
    "no standby": (
        examine(evidence(ring(ACTIVE_A), *held("a"), now=NOW - DAY + 899)),
        in_region(WARNING, "no_standby", "", NO_STANDBY, f"Run {RECONCILE}."),
    ),
    "no standby, and no free slot yet": (
        examine(
            evidence(
                ring(
                    pair("y", RETIRING, signing_ended_at=NOW - 1_000),
                    pair("z", RETIRING, signing_ended_at=NOW - 10),
                    ACTIVE_A,
                ),
                *held("y", "z", "a"),
            )
        ),
        in_region(
            WARNING,
            "no_standby",
            "",
            NO_STANDBY,
            "Wait until 2027-01-15T08:45:40Z. All 3 slots in IVS are occupied until y has drained."
            f" Then run {RECONCILE}.",
        ),
    ),
    "no canary": (
        examine(healthy(has_canary=False)),
        in_region(
            NOTE,
            "no_canary",
            "",
            "No canary channel is configured for us-west-2. Before a switch, tokensvc only waits"
            " for the publish delay. It does not check that IVS's edge accepts the new key.",
            "Add a private channel of us-west-2 to the setting rotation.canary_channels.",
        ),
    ),
    "an old key": (
        examine(
            evidence(
                ring(pair("a", ACTIVE, activated_at=NOW - 91 * DAY), STANDBY_B), *held("a", "b")
            )
        ),
        in_region(
            WARNING,
            "key_old",
            "a",
            "a has signed for 91 days. The limit is 90 days (rotation.key_age_warning_days).",
            "Run `tokensvc keys rotate --region us-west-2`.",
        ),
    ),
    "a compromised key pair that IVS holds": (
        examine(
            evidence(
                ring(
                    pair("z", RETIRING, compromised_at=NOW - 5, destroyed_on=NOW - 5),
                    *HEALTHY_RING.pairs,
                ),
                *held("z", "a", "b"),
            )
        ),
        in_region(
            SERIOUS,
            "compromised_key_in_ivs",
            "z",
            "z was marked compromised, and IVS has not confirmed its deletion.",
            f"Run {RECONCILE}.",
        ),
    ),
    "a compromised key pair that is still active": (
        examine(
            evidence(
                ring(pair("a", ACTIVE, activated_at=NOW - 91 * DAY, compromised_at=NOW - 5)),
                *held("a"),
            )
        ),
        in_region(
            SERIOUS,
            "compromised_key_in_ivs",
            "a",
            "a was marked compromised, and IVS has not confirmed its deletion. No other key pair "
            "has taken over, so no tokens can be signed for us-west-2.",
            f"Run {RECONCILE}.",
        ),
    ),
    "an unusable private key of the active key": (
        examine(healthy(unusable={"a": CustodyDamaged("a.pem is missing.", hint="Restore it.")})),
        in_region(SERIOUS, "private_key_unusable", "a", "a.pem is missing.", "Restore it."),
    ),
    "an unusable private key of the standby": (
        examine(healthy(unusable={"b": CustodyDamaged("b.pem is missing.", hint="Restore it.")})),
        in_region(
            WARNING,
            "private_key_unusable",
            "b",
            "b.pem is missing.",
            "Run `tokensvc keys revoke b`: tokensvc has signed no token with this key.\n"
            "Or: Restore it.",
        ),
    ),
    "a key-encryption secret that fits no private key": (
        examine(
            healthy(
                unusable={
                    "b": CustodyDenied("b.pem has another secret.", hint="Set the secret."),
                    "a": CustodyDenied("a.pem has another secret.", hint="Set the secret."),
                }
            )
        ),
        in_region(
            SERIOUS,
            "private_key_unusable",
            "a",
            "a.pem has another secret. The same is true for b.",
            "Set the secret.",
        ),
    ),
    "a destroyed private key that custody has again": (
        examine(
            evidence(
                ring(pair("z", RETIRED, destroyed_on=NOW - DAY), *HEALTHY_RING.pairs),
                *held("a", "b"),
                custody_key_ids=("a", "b", "z"),
            )
        ),
        in_region(
            WARNING,
            "destroyed_key_restored",
            "z",
            "The private key of z was destroyed on 2027-01-14T08:00:00Z, but custody has it again:"
            " a copy was restored.",
            "Delete the private key of z from the custody manually.",
        ),
    ),
    "an orphan": (
        find_orphans(("a", "d"), [HEALTHY_RING]),
        Finding(
            WARNING,
            "orphan",
            None,
            "d",
            "Custody has a private key d that no ring of a configured region needs.",
            "Keep it if another state, or a region that was configured before, may record it"
            " (check with `tokensvc keys list --region REGION`). Otherwise delete it from the"
            " custody manually.",
        ),
    ),
    "a standby that was imported in the future": (
        examine(
            evidence(
                ring(ACTIVE_A, pair("b", PUBLISHED, published_at=NOW + 3_600)), *held("a", "b")
            )
        ),
        in_region(
            WARNING,
            "time_in_future",
            "b",
            "The ring records that b was imported at 2027-01-15T09:00:00Z, which is 3600 s from"
            " now: the clock of the host that recorded it was ahead.",
            "No rotation switches to it before that time. To replace it now, run"
            " `tokensvc keys revoke b`: it has signed no token.",
        ),
    ),
    "an active key that began to sign in the future": (
        examine(
            evidence(ring(pair("a", ACTIVE, activated_at=NOW + 60), STANDBY_B), *held("a", "b"))
        ),
        in_region(
            WARNING,
            "time_in_future",
            "a",
            "The ring records that a began to sign at 2027-01-15T08:01:00Z, which is 60 s from"
            " now: the clock of the host that recorded it was ahead.",
            "Scheduled rotations count its age from that time. Run `tokensvc keys rotate` if it"
            " should be replaced earlier.",
        ),
    ),
    "a retiring key that ceased to sign in the future": (
        examine(
            evidence(
                ring(pair("z", RETIRING, signing_ended_at=NOW + 60), ACTIVE_A, STANDBY_B),
                *held("z", "a", "b"),
                custody_key_ids=("z", "a", "b"),
            )
        ),
        in_region(
            WARNING,
            "time_in_future",
            "z",
            "The ring records that z ceased to sign at 2027-01-15T08:01:00Z, which is 60 s from"
            " now: the clock of the host that recorded it was ahead.",
            "Its drain begins at that time, and until its end it occupies a slot in IVS. To delete"
            " it now, run `tokensvc keys revoke z`: IVS then refuses the tokens that it signed.",
        ),
    ),
    "a worker that can't sign": (
        examine(
            healthy(failed_probes=[FailedProbe("b", "web-1 process 12", "custody_damaged", NOW)])
        ),
        in_region(
            WARNING,
            "probe_failed",
            "b",
            "These workers can't sign with b: web-1 process 12 (custody_damaged,"
            " 2027-01-15T08:00:00Z).",
            "Make the private key usable there: the custody, its access and its secret must be the"
            " same for every worker.",
        ),
    ),
    "limits above the settings": (
        examine(healthy(terms=dataclasses.replace(TERMS, longest_ttl_seconds=300))),
        in_region(
            NOTE,
            "terms_above_settings",
            "",
            "longest_ttl_seconds is 3600 in the ring and 300 in these settings. Every process keeps"
            " to the ring.",
            "If no host has higher settings, lower the limits: `tokensvc keys terms --lower"
            " --region us-west-2`.",
        ),
    ),
    "limits that were lowered": (
        examine(
            evidence(
                dataclasses.replace(
                    HEALTHY_RING,
                    former_terms=(FormerTerms(TERMS, "ann@desk", "shorter tokens", NOW),),
                ),
                *held("a", "b"),
            )
        ),
        in_region(
            NOTE,
            "former_terms",
            "",
            "The terms were lowered by ann@desk (shorter tokens). Until 2027-01-15T09:02:20Z, a"
            " drain still allows for a ring_max_age_seconds of 120, a longest_ttl_seconds of 3600"
            " and a clock_skew_seconds of 10.",
            "Nothing needs to be done.",
        ),
    ),
    "scheduled rotation is paused": (
        examine(
            evidence(
                dataclasses.replace(
                    HEALTHY_RING, rotation_pause=RotationPause(NOW, "ann@desk", "players fail")
                ),
                *held("a", "b"),
            )
        ),
        in_region(
            NOTE,
            "rotation_paused",
            "",
            "Scheduled rotation is paused since 2027-01-15T08:00:00Z, when ann@desk rolled back"
            " (players fail).",
            "Run `tokensvc keys rotate --region us-west-2` when the next key may sign.",
        ),
    ),
    "a restore whose time is not recorded": (
        examine(
            evidence(
                dataclasses.replace(HEALTHY_RING, restoration=Restoration("ann@desk")),
                *held("a", "b"),
            )
        ),
        in_region(
            NOTE,
            "restored",
            "",
            "ann@desk restored this ring from a backup. Nothing that may have signed meanwhile is"
            " deleted until the time of the restore is recorded.",
            "Run `tokensvc keys reconcile --region us-west-2` to record the time.",
        ),
    ),
    "a restore": (
        examine(
            evidence(
                dataclasses.replace(HEALTHY_RING, restoration=Restoration("ann@desk", NOW)),
                *held("a", "b"),
            )
        ),
        in_region(
            NOTE,
            "restored",
            "",
            "ann@desk restored this ring from a backup, at 2027-01-15T08:00:00Z or before. Nothing"
            " that may have signed meanwhile is deleted until 2027-01-15T09:02:20Z.",
            "Nothing needs to be done.",
        ),
    ),
    "a folder that others can change": (
        find_open_files(
            [FileFault(Path("/keys"), Fault.FOLDER_OPEN, "Others can.", "Run `chmod go-w /keys`.")],
            (),
        ),
        Finding(WARNING, "file_access", None, "/keys", "Others can.", "Run `chmod go-w /keys`."),
    ),
    "an unusable private key of the standby, which is only denied": (
        examine(healthy(unusable={"b": CustodyDenied("b.pem is open.", hint="Run chmod.")})),
        in_region(WARNING, "private_key_unusable", "b", "b.pem is open.", "Run chmod."),
    ),
}


@pytest.mark.parametrize(("findings", "expected"), TABLE.values(), ids=TABLE.keys())
def test_every_sentence(findings: Sequence[Finding], expected: Finding) -> None:
    """Severity, code, region, subject, reason and hint, all exact."""
    assert [found for found in findings if found.code == expected.code] == [expected]


def test_the_tables_have_every_finding_code() -> None:
    """A new code needs a row; `ivs_unavailable` stands for the codes of errors."""
    rows = (
        *TABLE.values(),
        *TABLE_WITH_IVS.values(),
        *TABLE_WITH_KMS.values(),
        *TABLE_OF_REPORTS.values(),
    )
    assert {expected.code for _, expected in rows} == {*FindingCode, "ivs_unavailable"}
