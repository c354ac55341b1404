"""The last decisions in memory: what the audit has recorded, and no more than is kept."""

from __future__ import annotations

import pytest

from tests.support.clock import EXAMPLE_NOW, ManualClock
from tests.support.deployment import MemoryAudit
from tokensvc.audit import AuditEvent
from tokensvc.playback.recent_decisions import KEPT, RecentDecisions


def refused(number: int) -> AuditEvent:
    """A refusal, which the request ID names."""
    return AuditEvent(at=EXAMPLE_NOW, decision="refused", code="not_found", request_id=str(number))


def test_the_last_ones_are_kept_and_all_are_counted() -> None:
    """The newest first."""
    recent = RecentDecisions(MemoryAudit(), ManualClock())
    recent.write(AuditEvent(at=EXAMPLE_NOW, decision="granted"))
    for number in range(KEPT + 5):
        recent.write(refused(number))
    assert [event.request_id for event in recent.latest()[:2]] == ["104", "103"]
    assert len(recent.latest()) == 100
    assert recent.counts() == {"": 1, "not_found": 105}
    assert recent.since == EXAMPLE_NOW


def test_what_was_not_recorded_is_not_kept() -> None:
    """It was refused, whatever was decided: it counts as `audit_unavailable`."""
    recent = RecentDecisions(MemoryAudit(fails=True), ManualClock())
    with pytest.raises(OSError, match="No space left"):
        recent.write(AuditEvent(at=EXAMPLE_NOW, decision="granted"))
    assert recent.latest() == ()
    assert recent.counts() == {"audit_unavailable": 1}


def test_what_moderators_do_is_recorded_and_not_kept() -> None:
    """It is no decision about a playback URL."""
    audit = MemoryAudit()
    recent = RecentDecisions(audit, ManualClock())
    recent.write(AuditEvent(at=EXAMPLE_NOW, decision="banned"))
    assert len(audit.events) == 1
    assert recent.latest() == ()
    assert recent.counts() == {}
