"""Audits refusals that any client can cause, at a rate that does not let one fill the log."""

from __future__ import annotations

import threading
from typing import Final

from tokensvc.audit import Audit, AuditEvent
from tokensvc.clock import Moment
from tokensvc.errors import Unauthenticated

BURST_LINES: Final = 20
LINES_PER_SECOND: Final = 1.0


class RefusedSignIns:
    """One audit line for each refused sign-in, shared by all threads of a process.

    After `BURST_LINES` there are `LINES_PER_SECOND`. A line says how many before it were omitted.
    """

    def __init__(self, audit: Audit) -> None:
        self._audit = audit
        self._lock = threading.Lock()
        self._lines_left: float = BURST_LINES
        self._counted_at: float | None = None
        self._omitted = 0

    def record(
        self,
        moment: Moment,
        *,
        client_address: str | None = None,
        request_id: str,
        code: str = Unauthenticated.code,
        rule: str | None = None,
        key_id: str | None = None,
    ) -> None:
        """Write a line, or count a refusal that gets none.

        `key_id` is that of a caller that is at its rate limit, or of an API key that is valid and
        not confirmed since a restore. `code` is that of the refusal, and
        `rule` the rule that a token breaks.

        Raises:
            OSError, AuditUnavailable: the line could not be written.
            MustWait: the line must be written where waiting is possible; nothing was counted.
        """
        omitted = self._admit(moment.monotonic)
        if omitted is None:
            return
        self._audit.write(
            AuditEvent(
                at=moment.now,
                decision="refused",
                code=code,
                rule=rule,
                caller_id=key_id,
                client_address=client_address,
                omitted=omitted,
                request_id=request_id,
            )
        )
        # Not before: a write that must wait is called again.
        with self._lock:
            self._lines_left -= 1
            self._omitted -= omitted

    def _admit(self, now: float) -> int | None:
        """How many sign-ins were omitted before this one; None if it is omitted itself."""
        with self._lock:
            elapsed = 0.0 if self._counted_at is None else max(0.0, now - self._counted_at)
            self._counted_at = now
            self._lines_left = min(BURST_LINES, self._lines_left + elapsed * LINES_PER_SECOND)
            if self._lines_left < 1:
                self._omitted += 1
                return None
            return self._omitted
