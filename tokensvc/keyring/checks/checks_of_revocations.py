"""The check that pending revocations of viewers' sessions are carried out."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from tokensvc.errors import TokensvcError
from tokensvc.keyring.checks.finding import Finding, FindingCode, Severity

OVERDUE_SECONDS: Final = 60
"""What waits for less is on its way: IVS allows 40 viewers a second."""


@dataclass(frozen=True, slots=True)
class OverdueRevocations:
    """What has waited for longer than `OVERDUE_SECONDS`.

    Attributes:
        bans: how many kicks and bans.
        due_ends: how many sessions whose time has come.
        is_running: whether a process carries out revocations now.
    """

    bans: int = 0
    due_ends: int = 0
    is_running: bool = False


def none_overdue() -> OverdueRevocations:
    """Nothing is overdue."""
    return OverdueRevocations()


def find_overdue_revocations(
    overdue: OverdueRevocations | TokensvcError, reported: Collection[Finding] = ()
) -> Sequence[Finding]:
    """A finding if something is overdue, or if the state can't be read.

    What one of the `reported` findings says already is left out, such as that the state is away.
    """
    if isinstance(overdue, TokensvcError):
        if any(finding.code == overdue.code for finding in reported):
            return ()
        return (Finding(Severity.WARNING, overdue.code, None, "", overdue.detail, overdue.hint),)
    if not overdue.bans and not overdue.due_ends:
        return ()
    process = (
        "A process carries out revocations, and can't carry out these."
        if overdue.is_running
        else "No process carries out revocations."
    )
    hint = (
        "Read the output of that process, `tokensvc viewers end-due --watch`: it says what fails."
        if overdue.is_running
        else "Run `tokensvc viewers end-due`, which says what fails. Run it with --watch as a"
        " service."
    )
    return (
        Finding(
            Severity.WARNING,
            FindingCode.REVOCATIONS_OVERDUE,
            None,
            "",
            f"Viewers may still watch who must not: for more than {OVERDUE_SECONDS} s, Amazon IVS"
            f" has not confirmed {overdue.bans} kicks and bans and {overdue.due_ends} sessions"
            f" whose time has come. {process}",
            hint,
        ),
    )
