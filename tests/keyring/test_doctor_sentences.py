"""Every sentence that `tokensvc keys doctor` prints, as a table: the only test that holds them.

The reasons and hints of `decision_needed`, `binding_mismatch` and of errors are written elsewhere;
they are here because the operator reads them here.
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
    OTHER_ACCOUNT_ID,
    OTHER_DEPLOYMENT,
    STANDBY_B,
    evidence,
    healthy,
)
from tests.keyring.rings import (
    ACCOUNT_ID,
    DEPLOYMENT,
    DRAIN_SECONDS,
    REGION,
    TERMS,
    arn,
    held,
    pair,
    public_key,
    ring,
)
from tokensvc.errors import CustodyDamaged, CustodyDenied, IvsUnavailable
from tokensvc.ivs.model import HeldKeyPair
from tokensvc.keyring.binding import Binding
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
RECONCILE = "`tokensvc keys reconcile --region us-west-2`"
KEY_ARN = "arn:aws:ivs:us-west-2:123456789012:playback-key/in-ivs-"
CLOCK_HINT = (
    "Synchronize the clock of this machine by NTP, for example with the Amazon Time Sync Service."
)
NO_STANDBY = "There is no standby key. In an emergency, a new key pair would have to be made first."
DELETE = f"aws ivs delete-playback-key-pair --region us-west-2 --arn {KEY_ARN}"
FOREIGN_SLOTS = "\n".join(
    f"{KEY_ARN}{name} (name: tokensvc-{name}; IVS reports no age) is a foreign key pair, not made"
    f" by tokensvc. If nothing signs with it, delete it: {DELETE}{name}"
    for name in "xyz"
)


def in_region(severity: Severity, code: str, subject: str, reason: str, hint: str) -> Finding:
    """A finding about the region of the tests."""
    return Finding(severity, code, REGION, subject, reason, hint)


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
        examine(evidence(ring(ACTIVE_A), *held("a"))),
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
    "a ring of another endpoint": (
        examine(healthy(binding=Binding(REGION, ACCOUNT_ID, "https://ivs.example"))),
        in_region(
            SERIOUS,
            "binding_mismatch",
            "",
            "The ring of us-west-2 is bound to account 123456789012 at http://127.0.0.1:8001, but"
            " this process is configured for account 123456789012 at https://ivs.example.",
            "Use the settings and AWS environment that the ring was created with.",
        ),
    ),
    "credentials of another account": (
        examine(healthy(binding=Binding(REGION, OTHER_ACCOUNT_ID, "http://127.0.0.1:8001"))),
        in_region(
            SERIOUS,
            "wrong_account",
            "",
            "These AWS credentials belong to account 123456789012, but the settings are for account"
            " 999999999999. The ring was not compared with IVS.",
            "Use credentials of account 999999999999 (check with `aws sts get-caller-identity`), or"
            " correct the setting ivs.account_id.",
        ),
    ),
    "a clock that is behind": (
        examine(healthy(clock_offset_seconds=-42.0)),
        in_region(
            SERIOUS,
            "clock_off",
            "",
            "The clock of this machine is 42 s behind the clock of IVS. The allowed difference is"
            " 10 s (rotation.clock_skew_seconds).",
            CLOCK_HINT,
        ),
    ),
    "a clock that is ahead": (
        examine(healthy(clock_offset_seconds=11.0)),
        in_region(
            SERIOUS,
            "clock_off",
            "",
            "The clock of this machine is 11 s ahead of the clock of IVS. The allowed difference is"
            " 10 s (rotation.clock_skew_seconds).",
            CLOCK_HINT,
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
    "the active key pair is missing in IVS": (
        examine(evidence(HEALTHY_RING, *held("b"))),
        in_region(
            SERIOUS,
            "missing_in_ivs",
            "a",
            f"IVS does not hold a ({KEY_ARN}a), the active key pair of us-west-2, so IVS refuses"
            " its tokens. The key pair was deleted from IVS, or this state is an old copy, or"
            " these AWS credentials do not belong to account 123456789012.",
            "Check the credentials with `aws sts get-caller-identity`. If this state is an old"
            " copy, replace it with the newest one. If there is no newer copy, run"
            " `tokensvc keys revoke a` to switch to another key at once.",
        ),
    ),
    "the standby is missing in IVS": (
        examine(evidence(HEALTHY_RING, *held("a"))),
        in_region(
            WARNING,
            "missing_in_ivs",
            "b",
            "b is the standby key, but IVS does not hold it.",
            "Run `tokensvc keys revoke b`.",
        ),
    ),
    "a retiring key pair is missing in IVS": (
        examine(
            evidence(
                ring(pair("z", RETIRING, signing_ended_at=NOW - 5), *HEALTHY_RING.pairs),
                *held("a", "b"),
            )
        ),
        in_region(
            WARNING,
            "missing_in_ivs",
            "z",
            "z was deleted from IVS before its tokens expired. IVS refuses these tokens.",
            "Give the affected viewers a new playback URL. Nothing else needs to be done.",
        ),
    ),
    "a retired key pair that IVS holds": (
        examine(
            evidence(
                ring(pair("z", RETIRED, destroyed_on=NOW - DAY), *HEALTHY_RING.pairs),
                *held("a", "b", "z"),
            )
        ),
        in_region(
            SERIOUS,
            "retired_in_ivs",
            "z",
            f"z is retired, but IVS holds it again as {KEY_ARN}z. Anyone who has a copy of its"
            " private key can sign valid tokens.",
            f"Run {RECONCILE} to delete it from IVS again.",
        ),
    ),
    "another key under the standby's ARN": (
        examine(
            evidence(
                HEALTHY_RING,
                *held("a"),
                HeldKeyPair(arn("b"), "", public_key("x").fingerprint, {}),
            )
        ),
        in_region(
            SERIOUS,
            "fingerprint_mismatch",
            "b",
            f"{KEY_ARN}b has the fingerprint {public_key('x').fingerprint} in IVS, but the ring"
            f" records {public_key('b').fingerprint} for b. They are different keys.",
            "Replace this state with the newest copy. If there is no newer copy, run"
            " `tokensvc keys revoke --all --region us-west-2`.",
        ),
    ),
    "a key pair of this deployment without a record": (
        examine(evidence(HEALTHY_RING, *held("a", "b"), *held("c", deployment=DEPLOYMENT))),
        in_region(
            SERIOUS,
            "unrecorded",
            f"{KEY_ARN}c",
            f"{KEY_ARN}c (tokensvc-c) is tagged by this deployment, but this state has no record of"
            " it. The state is an old copy.",
            "Replace this state with the newest copy. If that is lost and nothing signs with this"
            f" key pair, delete it: `{DELETE}c`. Then run `tokensvc keys reconcile`.",
        ),
    ),
    "an empty state beside a key pair of another deployment": (
        examine(
            evidence(None, *held("c", deployment=OTHER_DEPLOYMENT), custody_key_ids=()),
        ),
        in_region(
            SERIOUS,
            "other_deployment",
            f"{KEY_ARN}c",
            f"This state has no key pair in us-west-2, but IVS holds {KEY_ARN}c (tokensvc-c) of"
            " another deployment (fedcba9876543210).",
            "Use the state of that deployment (setting state.url) or a copy of it. To start a new"
            " deployment beside it, run `tokensvc keys generate --region us-west-2`.",
        ),
    ),
    "another key under the ARN of the active key": (
        examine(
            evidence(
                HEALTHY_RING,
                *held("b"),
                HeldKeyPair(arn("a"), "", public_key("x").fingerprint, {}),
            )
        ),
        in_region(
            SERIOUS,
            "fingerprint_mismatch",
            "a",
            f"{KEY_ARN}a has the fingerprint {public_key('x').fingerprint} in IVS, but the ring"
            f" records {public_key('a').fingerprint} for a. They are different keys.",
            "Replace this state with the newest copy. If there is no newer copy, run"
            " `tokensvc keys revoke a` to switch to another key at once.",
        ),
    ),
    "a key pair of another deployment": (
        examine(evidence(HEALTHY_RING, *held("a", "b"), *held("c", deployment=OTHER_DEPLOYMENT))),
        in_region(
            WARNING,
            "other_deployment",
            f"{KEY_ARN}c",
            f"{KEY_ARN}c (tokensvc-c) is tagged by another deployment and occupies one of the 3"
            " slots.",
            f"Delete it if that deployment no longer exists: `{DELETE}c`.",
        ),
    ),
    "a foreign key pair": (
        examine(
            evidence(HEALTHY_RING, *held("a", "b"), HeldKeyPair(arn("c"), "", "00:11", {})),
        ),
        in_region(
            NOTE,
            "foreign",
            f"{KEY_ARN}c",
            f"{KEY_ARN}c (no name) is a foreign key pair (not made by tokensvc) and occupies one of"
            " the 3 slots.",
            "Adopt it with `tokensvc keys adopt`. If nothing signs with it, delete it:"
            f" `{DELETE}c`.",
        ),
    ),
    "foreign key pairs in two slots": (
        examine(evidence(ring(ACTIVE_A), *held("a", "x", "y"))),
        in_region(
            WARNING,
            "slot_pressure",
            "",
            "Key pairs outside this ring leave it 1 of the 3 slots in IVS. A rotation needs 2"
            " slots, or 3 to keep a standby.",
            "Free a slot. The findings about these key pairs contain the commands.",
        ),
    ),
    "a step that only a person can decide": (
        examine(evidence(ring(STANDBY_B, pair("c", PENDING)), *held("x", "y", "z"))),
        in_region(
            SERIOUS,
            "decision_needed",
            "",
            "All 3 key pair slots of IVS in us-west-2 are occupied:\n" + FOREIGN_SLOTS,
            "Free a slot with one of the commands above, but only if nothing signs with that key"
            " pair. Then run `tokensvc keys reconcile --region us-west-2`.",
        ),
    ),
    "a step that is overdue": (
        examine(
            evidence(
                ring(
                    pair("z", RETIRING, signing_ended_at=NOW - DRAIN_SECONDS - 900),
                    *HEALTHY_RING.pairs,
                ),
                *held("z", "a", "b"),
            )
        ),
        in_region(
            WARNING,
            "stuck_step",
            "z",
            "A step is overdue: record that z will be deleted from IVS. The ring was last changed"
            " at 2027-01-15T06:42:40Z.",
            f"Run {RECONCILE}, and schedule it as a job.",
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
    "evidence that could not be gathered": (
        examine(healthy(held=IvsUnavailable("IVS throttles.", hint="Try again."))),
        in_region(SERIOUS, "ivs_unavailable", "", "IVS throttles.", "Try again."),
    ),
}


@pytest.mark.parametrize(("findings", "expected"), TABLE.values(), ids=TABLE.keys())
def test_every_sentence(findings: Sequence[Finding], expected: Finding) -> None:
    """Severity, code, region, subject, reason and hint, all exact."""
    assert [found for found in findings if found.code == expected.code] == [expected]


def test_the_table_has_every_finding_code() -> None:
    """A new code needs a row above; `ivs_unavailable` stands for the codes of errors."""
    assert {expected.code for _, expected in TABLE.values()} == {*FindingCode, "ivs_unavailable"}
