"""Pauses the calls to a service that fails or hangs, so that requests fail at once."""

from __future__ import annotations

import logging
from typing import Final

FAILURES_TO_OPEN: Final = 3
"""After this number of failed calls in a row, calls are paused."""

OVERDUE_SECONDS: Final = 1.5
"""A call that has no answer after this time counts as failed while it continues. Shorter than a
request waits, so that calls which hang pause the next ones before other requests wait too."""

OPEN_SECONDS: Final = 5.0
"""How long no call is made. Then one trial call shows whether the service answers again."""

_log = logging.getLogger(__name__)


class Breaker:
    """One breaker. It has no lock: the caller holds one. Times are monotonic seconds.

    It opens after `FAILURES_TO_OPEN` failures in a row. While it is open, one call is made every
    `OPEN_SECONDS`. Any answer of the service closes it.

    Args:
        service: the service and its region, for the log.
    """

    def __init__(self, service: str) -> None:
        self._service = service
        self._failures = 0
        self._sent_at: dict[object, float] = {}  # The calls that have no answer yet.
        self._next_trial_at: float | None = None  # None while the breaker is closed.

    def is_open(self, now: float) -> bool:
        """Whether calls are paused, except for trials."""
        overdue = sum(now - sent_at >= OVERDUE_SECONDS for sent_at in self._sent_at.values())
        if self._next_trial_at is None and self._failures + overdue >= FAILURES_TO_OPEN:
            self._next_trial_at = now + OPEN_SECONDS
            _log.warning(
                "%s fails or does not answer. Until it answers, tokensvc calls it at most every %g"
                " seconds.",
                self._service,
                OPEN_SECONDS,
            )
        return self._next_trial_at is not None

    def admits(self, now: float) -> bool:
        """Whether a call may be made now."""
        self.is_open(now)
        return self._next_trial_at is None or now >= self._next_trial_at

    def begin(self, now: float) -> object | None:
        """Return an object to pass to `end` if a call may be made now, else None."""
        if not self.admits(now):
            return None
        if self._next_trial_at is not None:
            self._next_trial_at = now + OPEN_SECONDS
        call = object()
        self._sent_at[call] = now
        return call

    def end(self, call: object, now: float, *, has_failed: bool) -> None:
        """Note that a call of `begin` has ended, with an answer of the service or without."""
        is_outdated = self._sent_at.pop(call, None) is None
        if has_failed and is_outdated:
            return
        if has_failed:
            self._failures += 1
            if self.is_open(now):
                self._next_trial_at = now + OPEN_SECONDS
            return
        if self._next_trial_at is not None:
            _log.info("%s answers again.", self._service)
        self._failures = 0
        self._next_trial_at = None
        # The calls that were sent before say nothing about it now, even if they fail later.
        self._sent_at.clear()
