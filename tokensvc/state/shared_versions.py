"""The versions of all documents, read at once for every watcher of a process.

A worker watches several documents. In DynamoDB one read covers all their versions, and costs as
much as the read of one.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass

from tokensvc.clock import Clock, Moment
from tokensvc.errors import TokensvcError
from tokensvc.state.base import NEW, State, Version

SHARED_PART = 0.2
"""The part of its interval by which a watcher takes an earlier read, whose age counts."""


@dataclass(frozen=True, slots=True)
class VersionsRead:
    """A read of all versions.

    Attributes:
        sent: when it was sent.
        versions: the versions by the names of the documents; empty if it failed.
        error: why it failed; None if it succeeded.
    """

    sent: Moment
    versions: Mapping[str, Version]
    error: TokensvcError | None

    def version(self, name: str) -> Version:
        """The version of that document, `NEW` when it was never saved.

        Raises:
            TokensvcError: the error of the read.
        """
        if self.error is not None:
            raise self.error
        return self.versions.get(name, NEW)


class SharedVersions:
    """Reads the versions in a state for all watchers of a process; thread-safe."""

    def __init__(self, state: State, clock: Clock) -> None:
        self._state = state
        self._clock = clock
        self._latest: VersionsRead | None = None
        self._lock = threading.Lock()

    def read(self, *, sent_after: float) -> VersionsRead:
        """The latest read if it was sent after that time of the monotonic clock, or one sent now.

        Threads that call this during a read share it. So they don't wait for a time-out each, one
        after another, when the state is down.
        """
        with self._lock:
            if self._latest is None or self._latest.sent.monotonic <= sent_after:
                self._latest = self._read_now()
            return self._latest

    def _read_now(self) -> VersionsRead:
        sent = Moment.of(self._clock)
        try:
            return VersionsRead(sent, self._state.versions(), None)
        except TokensvcError as exc:
            return VersionsRead(sent, {}, exc)
