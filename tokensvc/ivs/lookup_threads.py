"""The threads that look up channels: few, and never all of them for one region.

A thread starts when a region has something to look up and ends when it has nothing left, so that no
thread exists before a fork. They are daemon threads, so that a process ends although IVS hangs.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import Final

from tokensvc.arns import Region

MAX_THREADS: Final = 8
MAX_THREADS_PER_REGION: Final = 4
"""One region in which IVS hangs leaves threads for the others."""


class LookupThreads:
    """Runs the lookups of each region in the background."""

    def __init__(self, work: Callable[[Region], None]) -> None:
        """No thread yet.

        Args:
            work: looks up what is queued for a region, until nothing is left that this thread can
                do; called in the threads, and must not raise.
        """
        self._work = work
        self._running: Counter[Region] = Counter()
        self._waiting: dict[Region, None] = {}  # In the order in which they get a thread.
        self._is_closed = False
        self._lock = threading.Lock()

    def run(self, region: Region, *, may_wait: bool) -> bool:
        """Let a thread work for the region. Returns False if that is not possible; never waits.

        Args:
            region: the region, which has something new to look up.
            may_wait: whether that may wait until a thread is free for the region.
        """
        with self._lock:
            if self._is_closed:
                return False
            if not self._is_free(region):
                if may_wait:
                    self._waiting[region] = None
                return may_wait
            self._running[region] += 1
        try:
            self._start(region)
        except RuntimeError:  # The system has no thread left, or Python is shutting down.
            with self._lock:
                self._running[region] -= 1
            return False
        return True

    def close(self) -> None:
        """Start no thread from now on. The running ones continue."""
        with self._lock:
            self._is_closed = True
            self._waiting.clear()

    def _is_free(self, region: Region) -> bool:
        return (
            self._running.total() < MAX_THREADS and self._running[region] < MAX_THREADS_PER_REGION
        )

    def _start(self, region: Region) -> None:
        threading.Thread(
            target=self._run, args=(region,), name="look up channels", daemon=True
        ).start()

    def _run(self, region: Region) -> None:
        following: Region | None = region
        while following is not None:
            region = following
            self._work(region)
            following = self._following(region)

    def _following(self, ended: Region) -> Region | None:
        """Take the next region for which a thread is free, after a thread ended its work."""
        with self._lock:
            self._running[ended] -= 1
            for following in self._waiting:
                if self._is_free(following):
                    del self._waiting[following]
                    self._running[following] += 1
                    return following
        return None
