"""Watches whether due ends are carried out in time, for the metrics of the web workers.

The process that carries them out reports in the record of its lease, which costs a small read.
While there is no such process, the due ends are read and counted here, but not often.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tokensvc.clock import Clock
from tokensvc.playback.revocation.due_ends import DueEnds, StoredDueEnd, due
from tokensvc.playback.revocation.lease import Holder, RevocationReport, holder
from tokensvc.state.base import State

SILENT_SECONDS: Final = 30.0
"""Then the holder of the lease has died. Clocks may differ by ten seconds."""

COUNT_SECONDS: Final = 60.0
"""The interval in which due ends are counted here: reading all of them may be much."""


@dataclass(frozen=True, slots=True)
class RevocationStatus:
    """How the revocations get on.

    Attributes:
        is_running: whether a process carries them out.
        due_ends: how many due ends have come and are not carried out.
        late_seconds: how late the first of them is; 0 if there is none.
        done: how many kicks, bans and due ends that process has carried out since it began.
        failed: how many viewers IVS has refused since then, and how many calls have failed.
    """

    is_running: bool
    due_ends: int
    late_seconds: float
    done: int = 0
    failed: int = 0


def is_running(found: Holder | None, now: float) -> bool:
    """Whether that holder of the lease carries out revocations at that time, Unix seconds."""
    return found is not None and now - found.renewed_at < SILENT_SECONDS


class RevocationWatch:
    """Looks at the state when it is asked. Not for several threads."""

    def __init__(self, state: State, clock: Clock) -> None:
        self._state = state
        self._due_ends = DueEnds(state)
        self._clock = clock
        self._stored: Sequence[StoredDueEnd] = ()
        self._count_at = -math.inf

    def look(self) -> RevocationStatus:
        """How they get on now.

        Raises:
            StateUnavailable: when the state can't be read now.
            StateDamaged, SchemaUnsupported: when a due end can't be read.
        """
        now = self._clock.now()
        found = holder(self._state)
        report = found.report if found is not None and is_running(found, now) else None
        if report is None:
            report = self._counted(now)
        else:
            self._stored, self._count_at = (), -math.inf
        late_seconds = 0.0
        if report.oldest_end_at is not None:
            late_seconds = max(0.0, now - report.oldest_end_at)
        return RevocationStatus(
            is_running(found, now), report.due_ends, late_seconds, report.done, report.failed
        )

    def _counted(self, now: float) -> RevocationReport:
        if self._clock.monotonic() >= self._count_at:
            self._stored = self._due_ends.all(self._stored)
            self._count_at = self._clock.monotonic() + COUNT_SECONDS
        pending = due(self._stored, now)
        oldest = pending[0].due_end.ends_at if pending else None
        return RevocationReport(due_ends=len(pending), oldest_end_at=oldest)
