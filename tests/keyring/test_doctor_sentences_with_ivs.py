"""The sentences of `tokensvc keys doctor` about a ring and IVS, as a table.

The reasons and hints of `decision_needed`, `binding_mismatch` and of errors are written elsewhere;
they are here because the operator reads them here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pytest

from tests.keyring.doctor_evidence import (
    ACTIVE_A,
    DAY,
    HEALTHY_RING,
    NOW,
    OTHER_ACCOUNT_ID,
    OTHER_DEPLOYMENT,
    RECONCILE,
    STANDBY_B,
    another_key_at,
    evidence,
    healthy,
    in_region,
)
from tests.keyring.rings import (
    ACCOUNT_ID,
    DEPLOYMENT,
    DRAIN_SECONDS,
    REGION,
    arn,
    held,
    pair,
    public_key,
    ring,
)
from tokensvc.errors import IvsUnavailable
from tokensvc.ivs.model import HeldKeyPair
from tokensvc.keyring.binding import Binding
from tokensvc.keyring.checks.examination import examine
from tokensvc.keyring.checks.finding import Finding, Severity
from tokensvc.keyring.model import KeyState, Ring
from tokensvc.keyring.restoration import Restoration

PENDING, PUBLISHED, ACTIVE, RETIRING, RETIRED = KeyState
SERIOUS, WARNING, NOTE = Severity
KEY_ARN = "arn:aws:ivs:us-west-2:123456789012:playback-key/in-ivs-"
CLOCK_HINT = (
    "Synchronize the clock of this machine by NTP, for example with the Amazon Time Sync Service."
)
DELETE = f"aws ivs delete-playback-key-pair --region us-west-2 --arn {KEY_ARN}"
FOREIGN_SLOTS = "\n".join(
    f"{KEY_ARN}{name} (name: tokensvc-{name}; IVS reports no age) is a foreign key pair, not made"
    f" by tokensvc. If nothing signs with it, delete it: {DELETE}{name}"
    for name in "xyz"
)


def restored_at(at: float | None) -> Ring:
    """The healthy ring, which was restored from a backup; the time of that may be recorded."""
    return dataclasses.replace(HEALTHY_RING, restoration=Restoration("ann@desk", at))


TABLE: dict[str, tuple[Sequence[Finding], Finding]] = {
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
    "the active key pair is missing in IVS": (
        examine(evidence(HEALTHY_RING, *held("b"))),
        in_region(
            SERIOUS,
            "missing_in_ivs",
            "a",
            f"a ({KEY_ARN}a), the active key pair of us-west-2, was deleted from IVS, so IVS"
            " refuses its tokens.",
            "Run `tokensvc keys revoke a` to switch to another key at once. If there is a newer"
            " copy of this state, use that instead.",
        ),
    ),
    "the active key pair is missing in an IVS that holds nothing": (
        examine(evidence(HEALTHY_RING)),
        in_region(
            SERIOUS,
            "missing_in_ivs",
            "a",
            "IVS holds no key pair in us-west-2 in the account of these AWS credentials, also not"
            f" the active a ({KEY_ARN}a).",
            "Check with `aws sts get-caller-identity` that they belong to account 123456789012. If"
            " they do, every key pair was deleted from IVS: run `tokensvc keys revoke a` to switch"
            " to another key at once.",
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
                another_key_at("b"),
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
    "a key pair without a record after a restore": (
        examine(evidence(restored_at(NOW - 5), *held("a", "b"), *held("c", deployment=DEPLOYMENT))),
        in_region(
            SERIOUS,
            "unrecorded",
            f"{KEY_ARN}c",
            f"{KEY_ARN}c (tokensvc-c) is tagged by this deployment, but this state has no record of"
            " it. The state is an old copy.",
            "If there is a newer backup, restore that. Otherwise leave this key pair, which may"
            " have signed since the backup, until 2027-01-15T09:02:15Z. Then delete it:"
            f" `{DELETE}c`, and run `tokensvc keys reconcile`.",
        ),
    ),
    "a key pair without a record before the time of a restore is recorded": (
        examine(evidence(restored_at(None), *held("a", "b"), *held("c", deployment=DEPLOYMENT))),
        in_region(
            SERIOUS,
            "unrecorded",
            f"{KEY_ARN}c",
            f"{KEY_ARN}c (tokensvc-c) is tagged by this deployment, but this state has no record of"
            " it. The state is an old copy.",
            "If there is a newer backup, restore that. Otherwise leave this key pair, which may"
            " have signed since the backup, for now: `tokensvc keys reconcile` records the time of"
            " the restore, and the time until which the key pair must stay follows from that.",
        ),
    ),
    "an old copy, whose active key pair is missing in IVS": (
        examine(evidence(HEALTHY_RING, *held("b"), *held("c", deployment=DEPLOYMENT))),
        in_region(
            SERIOUS,
            "unrecorded",
            f"{KEY_ARN}c",
            f"{KEY_ARN}c (tokensvc-c) is tagged by this deployment, but this state has no record of"
            f" it. The state is an old copy. IVS holds a ({KEY_ARN}a), the active key pair of this"
            " copy, no longer and refuses its tokens.",
            "Replace this state with the newest copy. If there is none, run"
            " `tokensvc keys revoke a` to switch to another key at once. If that is lost and"
            " nothing signs with this key pair, delete it:"
            f" `{DELETE}c`. Then run `tokensvc keys reconcile`.",
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
                another_key_at("a"),
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
    "evidence that could not be gathered": (
        examine(healthy(held=IvsUnavailable("IVS throttles.", hint="Try again."))),
        in_region(SERIOUS, "ivs_unavailable", "", "IVS throttles.", "Try again."),
    ),
}


@pytest.mark.parametrize(("findings", "expected"), TABLE.values(), ids=TABLE.keys())
def test_every_sentence(findings: Sequence[Finding], expected: Finding) -> None:
    """Severity, code, region, subject, reason and hint, all exact."""
    assert [found for found in findings if found.code == expected.code] == [expected]
