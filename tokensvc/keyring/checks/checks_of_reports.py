"""The checks of the reconcile runs and of the notifications about them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from tokensvc.clock import rfc3339
from tokensvc.errors import TokensvcError
from tokensvc.keyring.checks.context import Context
from tokensvc.keyring.checks.finding import Finding, FindingCode, Severity
from tokensvc.keyring.reporting.record import ReconcileRecord


def reconcile_overdue(context: Context) -> Iterator[Finding]:
    """A finding if a schedule was used, and no run has succeeded for too long."""
    evidence = context.evidence
    record, allowed = evidence.reconciled, evidence.reconcile_overdue_seconds
    if record is None or record.overdue_seconds(evidence.now, allowed) is None:
        return
    last = "never" if record.succeeded_at is None else f"at {rfc3339(record.succeeded_at)}"
    error = f" with the error {record.code}" if record.code else ""
    yield context.finding(
        Severity.WARNING,
        FindingCode.RECONCILE_OVERDUE,
        "",
        f"`tokensvc keys reconcile` succeeded last {last}, and is overdue after {allowed} s"
        f" (rotation.reconcile_overdue_seconds). The last run, by {record.by}, ended at"
        f" {rfc3339(record.attempted_at)}{error}.",
        f"Start the schedule again, or run `{context.reconcile_command}`. If there is no schedule"
        " any more, set rotation.reconcile_overdue_seconds to 0.",
    )


def find_failed_notifications(
    record: ReconcileRecord | TokensvcError, reported: Collection[Finding] = ()
) -> Sequence[Finding]:
    """A finding if the receiver does not accept the notifications, or if the record can't be read.

    What one of the `reported` findings says already is left out, such as that the state is away.
    """
    if isinstance(record, TokensvcError):
        if any(finding.code == record.code for finding in reported):
            return ()
        return (Finding(Severity.WARNING, record.code, None, "", record.detail, record.hint),)
    failure = record.delivery_failure
    if failure is None:
        return ()
    return (
        Finding(
            Severity.WARNING,
            FindingCode.NOTIFICATION_FAILED,
            None,
            "",
            f"The receiver has accepted no notification since {rfc3339(failure.since)}. Waiting:"
            f" {len(record.pending)}. {failure.detail}",
            f"{failure.hint} Test it with `tokensvc keys test-notification`. The next run of"
            " `tokensvc keys reconcile` sends what waits.",
        ),
    )
