"""The threads for requests that must wait, with a short queue in front of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

MAX_QUEUE_AGE_SECONDS: Final = 0.25
"""When the oldest queued request has waited for this time, no other request is queued."""

MAX_QUEUED_PER_THREAD: Final = 16
"""Bounds the memory of a burst: a request is kept with its whole body."""

T = TypeVar("T")


class PoolIsFull(Exception):
    """Raised instead of queueing a request behind one that has waited too long."""


class WaitingPool:
    """Runs requests in threads, for the event loop of one worker."""

    def __init__(self, threads: int) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="request")
        self._free = asyncio.Semaphore(threads)
        self._max_queued = threads * MAX_QUEUED_PER_THREAD
        self._queued: dict[object, float] = {}  # When each began to wait, the oldest first.

    def close(self) -> None:
        """Run no other request; does not wait for the running ones."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    async def run(self, step: Callable[[], T]) -> T:
        """The result of the step, which runs in a thread.

        Raises:
            PoolIsFull: the step was not run.
        """
        if self._is_full():
            raise PoolIsFull
        place = object()
        self._queued[place] = time.monotonic()
        try:
            await self._free.acquire()
        finally:
            del self._queued[place]
        running = asyncio.get_running_loop().run_in_executor(self._executor, step)
        # The thread is free when the step ends, which may be after its client has left.
        running.add_done_callback(lambda _: self._free.release())
        return await asyncio.shield(running)

    def _is_full(self) -> bool:
        if not self._queued:
            return False
        oldest = next(iter(self._queued.values()))
        is_late = time.monotonic() - oldest > MAX_QUEUE_AGE_SECONDS
        return is_late or len(self._queued) >= self._max_queued
