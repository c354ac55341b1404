"""Refused sign-ins: what is counted when a line can't be written at once."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from tokensvc.access.refused_sign_ins import RefusedSignIns
from tokensvc.audit import AuditEvent
from tokensvc.clock import Moment
from tokensvc.errors import AuditUnavailable
from tokensvc.waiting import MustWait

START = Moment(1_800_000_000.0, 100.0)


@dataclass
class FaultyAudit:
    """An audit log that raises `fault`, while there is one, and then writes."""

    fault: BaseException | None = None
    events: list[AuditEvent] = field(default_factory=list)

    failure = None

    def write(self, event: AuditEvent) -> None:
        """Append the event to `events`, or raise the fault."""
        if self.fault is not None:
            raise self.fault
        self.events.append(event)


def record(sign_ins: RefusedSignIns, moment: Moment = START) -> None:
    """Record one refused sign-in."""
    sign_ins.record(moment, client_address="198.51.100.7", request_id="request-1")


@pytest.mark.parametrize("fault", [MustWait(), AuditUnavailable("No reader.")])
def test_a_line_that_was_not_written_counts_for_nothing(fault: BaseException) -> None:
    """On an event loop the request comes again: all 20 lines are still there, none is omitted."""
    audit = FaultyAudit(fault)
    sign_ins = RefusedSignIns(audit)
    for _ in range(25):
        with pytest.raises(type(fault)):
            record(sign_ins)
    audit.fault = None
    for _ in range(25):
        record(sign_ins)
    assert [event.omitted for event in audit.events] == 20 * [0]


def test_what_was_omitted_before_a_fault_is_in_the_next_line() -> None:
    """No count is lost because its line could not be written."""
    audit = FaultyAudit()
    sign_ins = RefusedSignIns(audit)
    for _ in range(23):
        record(sign_ins)
    later = Moment(START.now + 10, START.monotonic + 10)
    audit.fault = AuditUnavailable("No reader.")
    with pytest.raises(AuditUnavailable):
        record(sign_ins, later)
    audit.fault = None
    record(sign_ins, later)
    assert [event.omitted for event in audit.events[20:]] == [3]


def test_a_clock_that_goes_back_gives_no_lines() -> None:
    """Neither does one that stands still."""
    audit = FaultyAudit()
    sign_ins = RefusedSignIns(audit)
    for seconds in (100.0, 50.0, 0.0):
        for _ in range(15):
            record(sign_ins, Moment(START.now, seconds))
    assert len(audit.events) == 20
