"""The sentences of `tokensvc keys doctor` about runs, notifications and revocations, as a table."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.keyring.doctor_evidence import DAY, NOW, RECONCILE, healthy, in_region
from tokensvc.keyring.checks.checks_of_reports import find_failed_notifications
from tokensvc.keyring.checks.checks_of_revocations import (
    OverdueRevocations,
    find_overdue_revocations,
)
from tokensvc.keyring.checks.examination import examine
from tokensvc.keyring.checks.finding import Finding, Severity
from tokensvc.keyring.reporting.notifications import for_testing
from tokensvc.keyring.reporting.record import DeliveryFailure, ReconcileRecord, RegionRecord

WARNING = Severity.WARNING
TABLE: dict[str, tuple[Sequence[Finding], Finding]] = {
    "a schedule that is overdue": (
        examine(
            healthy(
                reconciled=RegionRecord(
                    attempted_at=NOW - 60,
                    by="jobs@host-1",
                    code="ivs_unavailable",
                    succeeded_at=NOW - 90_001,
                    scheduled_since=NOW - 30 * DAY,
                )
            )
        ),
        in_region(
            WARNING,
            "reconcile_overdue",
            "",
            "`tokensvc keys reconcile` succeeded last at 2027-01-14T06:59:59Z, and is overdue after"
            " 90000 s (rotation.reconcile_overdue_seconds). The last run, by jobs@host-1, ended at"
            " 2027-01-15T07:59:00Z with the error ivs_unavailable.",
            f"Start the schedule again, or run {RECONCILE}. If there is no schedule any more, set"
            " rotation.reconcile_overdue_seconds to 0.",
        ),
    ),
    "a webhook that accepts nothing": (
        find_failed_notifications(
            ReconcileRecord(
                pending=(for_testing(NOW, "ann@desk"),),
                delivery_failure=DeliveryFailure(
                    since=NOW - 60, at=NOW, detail="It answered with 401.", hint="Check it."
                ),
            )
        ),
        Finding(
            WARNING,
            "notification_failed",
            None,
            "",
            "The receiver has accepted no notification since 2027-01-15T07:59:00Z. Waiting: 1. It"
            " answered with 401.",
            "Check it. Test it with `tokensvc keys test-notification`. The next run of"
            " `tokensvc keys reconcile` sends what waits.",
        ),
    ),
    "revocations that nothing carries out": (
        find_overdue_revocations(OverdueRevocations(bans=2, due_ends=3)),
        Finding(
            WARNING,
            "revocations_overdue",
            None,
            "",
            "Viewers may still watch who must not: for more than 60 s, Amazon IVS has not confirmed"
            " 2 kicks and bans and 3 sessions whose time has come. No process carries out"
            " revocations.",
            "Run `tokensvc viewers end-due`, which says what fails. Run it with --watch as a"
            " service.",
        ),
    ),
    "revocations that a process can't carry out": (
        find_overdue_revocations(OverdueRevocations(bans=0, due_ends=3, is_running=True)),
        Finding(
            WARNING,
            "revocations_overdue",
            None,
            "",
            "Viewers may still watch who must not: for more than 60 s, Amazon IVS has not confirmed"
            " 0 kicks and bans and 3 sessions whose time has come. A process carries out"
            " revocations, and can't carry out these.",
            "Read the output of that process, `tokensvc viewers end-due --watch`: it says what"
            " fails.",
        ),
    ),
}


@pytest.mark.parametrize(("findings", "expected"), TABLE.values(), ids=TABLE.keys())
def test_every_sentence(findings: Sequence[Finding], expected: Finding) -> None:
    """Severity, code, region, subject, reason and hint, all exact."""
    assert [found for found in findings if found.code == expected.code] == [expected]


def test_a_recent_success_is_no_finding() -> None:
    """Exactly as long ago as the setting allows."""
    record = RegionRecord(
        attempted_at=NOW, by="jobs@host-1", code="", succeeded_at=NOW - 90_000, scheduled_since=0.0
    )
    assert examine(healthy(reconciled=record)) == ()
