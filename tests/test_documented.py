"""What programs rely on is documented: members of audit lines, codes of findings and events.

Error codes, commands, settings and metrics have tests of their own: `test_docs.py`, and
`cli/test_reference.py`, `settings/test_reference.py` and `deploy/test_monitoring.py` beside it.
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from tokensvc.audit import AuditEvent
from tokensvc.keyring.changes import Decision
from tokensvc.keyring.checks.finding import FindingCode, Severity
from tokensvc.keyring.reporting.notifications import NotificationType
from tokensvc.keyring.steps import Action, WaitReason

DOCS = Path(__file__).parents[1] / "docs"


def rows(page: str, cells: int) -> list[tuple[str, ...]]:
    """The rows of the tables of that page: the name in the first cell, and the other cells."""
    pattern = r"^\| `(\w+)` \|" + r" ([^|\n]*) \|" * (cells - 1) + "$"
    return re.findall(pattern, (DOCS / page).read_text(), re.MULTILINE)


def test_each_member_of_an_audit_line_is_documented() -> None:
    """In the order in which the line has them."""
    event = AuditEvent(at=0.0, decision="granted")
    assert [member for member, _ in rows("audit.md", 2)] == list(event.members())
    assert {field.name for field in dataclasses.fields(event)} == set(event.members())


def test_each_decision_of_an_audit_line_is_documented() -> None:
    """And no other."""
    (text,) = (text for member, text in rows("audit.md", 2) if member == "decision")
    assert set(re.findall(r"`(\w+)`", text)) == set(
        get_args(get_type_hints(AuditEvent)["decision"])
    )


def test_each_finding_of_the_doctor_is_documented() -> None:
    """In their order, each with the severities that it may have."""
    found = rows("doctor.md", 3)
    assert [code for code, _, _ in found] == [code.value for code in FindingCode]
    for _, severities, _ in found:
        assert set(severities.split(" or ")) <= {severity.value for severity in Severity}


@pytest.mark.parametrize("names", [Action, Decision, WaitReason, NotificationType])
def test_each_step_and_event_of_the_keys_is_documented(
    names: type[Action | Decision | WaitReason | NotificationType],
) -> None:
    """On the page about rotation."""
    page = (DOCS / "rotation.md").read_text()
    assert [name.value for name in names if f"`{name.value}`" not in page] == []
