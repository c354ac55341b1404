"""The last decisions of a process in memory, for the operator's page."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from typing import Final

from tokensvc.audit import Audit, AuditEvent
from tokensvc.clock import Clock
from tokensvc.errors import AuditUnavailable

KEPT: Final = 100
"""How many decisions are kept."""


class RecentDecisions:
    """Keeps what another audit has recorded: the last decisions, and how many had each code.

    Refused sign-ins are decisions too; what moderators do is not.

    Attributes:
        since: since when it counts, Unix seconds.
    """

    def __init__(self, audit: Audit, clock: Clock) -> None:
        self._audit = audit
        self._latest: deque[AuditEvent] = deque(maxlen=KEPT)
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()
        self.since = clock.now()

    @property
    def failure(self) -> AuditUnavailable | None:
        """Why the last decision was not recorded, None if it was."""
        return self._audit.failure

    def write(self, event: AuditEvent) -> None:
        """Record the decision and keep it. What could not be recorded is only counted."""
        try:
            self._audit.write(event)
        except (OSError, AuditUnavailable):
            if event.is_decision:
                with self._lock:
                    self._counts[AuditUnavailable.code] += 1
            raise
        if event.is_decision:
            with self._lock:
                self._latest.append(event)
                self._counts[event.code] += 1

    def latest(self) -> Sequence[AuditEvent]:
        """The last decisions, the newest first."""
        with self._lock:
            return tuple(reversed(self._latest))

    def counts(self) -> Mapping[str, int]:
        """How many decisions had each code; the code of a granted request is empty."""
        with self._lock:
            return dict(self._counts)
