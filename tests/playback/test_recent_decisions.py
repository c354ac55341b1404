"""The last decisions in memory: what the audit has recorded, and no more than is kept."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from tests.support.clock import EXAMPLE_NOW, ManualClock
from tests.support.deployment import MemoryAudit
from tests.support.recording_meter import RecordingMeter
from tokensvc.audit import AuditEvent, MeteredAudit
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


NO_DECISIONS = {
    "what a moderator does": AuditEvent(at=EXAMPLE_NOW, decision="banned"),
    "a probe": AuditEvent(at=EXAMPLE_NOW, decision="refused", code="audit_unavailable"),
}


@pytest.mark.parametrize("event", NO_DECISIONS.values(), ids=NO_DECISIONS)
@pytest.mark.parametrize("fails", [False, True])
def test_what_is_no_decision_is_not_counted(event: AuditEvent, *, fails: bool) -> None:
    """Whether or not it can be recorded: a load balancer probes every few seconds."""
    audit, meter = MemoryAudit(fails=fails), RecordingMeter()
    recent = RecentDecisions(MeteredAudit(audit, meter), ManualClock())
    with pytest.raises(OSError, match="No space left") if fails else nullcontext():
        recent.write(event)
    assert len(audit.events) == (0 if fails else 1)
    assert recent.latest() == ()
    assert recent.counts() == {}
    assert meter.codes == []
