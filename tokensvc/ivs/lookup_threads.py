"""The threads that look up channels: few, and never all of them for one region.

A thread starts with a lookup and ends when no lookup is queued, so that no thread exists before a
fork. They are daemon threads, so that a process ends although IVS hangs.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable
from typing import Final

from tokensvc.arns import Region

MAX_THREADS: Final = 8
MAX_THREADS_PER_REGION: Final = 4
"""One region in which IVS hangs leaves threads for the others."""

MAX_QUEUED_PER_REGION: Final = 100


class LookupThreads:
    """Runs lookups in the background."""

    def __init__(self) -> None:
        self._running: Counter[Region] = Counter()
        self._queue: deque[tuple[Region, Callable[[], None]]] = deque()
        self._is_closed = False
        self._lock = threading.Lock()

    def run(self, region: Region, look_up: Callable[[], None], *, may_queue: bool) -> bool:
        """Run the lookup in a thread. Returns False if that is not possible; never waits.

        Args:
            region: the region of the lookup.
            look_up: called in the thread; must not raise.
            may_queue: whether the lookup may be queued until a thread is free for its region.
        """
        with self._lock:
            if self._is_closed:
                return False
            if not self._is_free(region):
                queued = sum(each == region for each, _ in self._queue)
                if not may_queue or queued >= MAX_QUEUED_PER_REGION:
                    return False
                self._queue.append((region, look_up))
                return True
            self._running[region] += 1
        thread = threading.Thread(
            target=self._run, args=(region, look_up), name="look up channels", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:  # The system has no thread left, or Python is shutting down.
            with self._lock:
                self._running[region] -= 1
            return False
        return True

    def close(self) -> None:
        """Start no lookup from now on. The running ones continue, and the queued ones are lost."""
        with self._lock:
            self._is_closed = True
            self._queue.clear()

    def _is_free(self, region: Region) -> bool:
        return (
            self._running.total() < MAX_THREADS and self._running[region] < MAX_THREADS_PER_REGION
        )

    def _run(self, region: Region, look_up: Callable[[], None]) -> None:
        following: tuple[Region, Callable[[], None]] | None = region, look_up
        while following is not None:
            region, look_up = following
            look_up()
            following = self._following(region)

    def _following(self, ended: Region) -> tuple[Region, Callable[[], None]] | None:
        """Take the next lookup for which a thread is free, after one of that region ended."""
        with self._lock:
            self._running[ended] -= 1
            for following in self._queue:
                if self._is_free(following[0]):
                    self._queue.remove(following)
                    self._running[following[0]] += 1
                    return following
        return None
