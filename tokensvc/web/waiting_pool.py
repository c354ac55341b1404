"""The threads for requests that must wait, with a short queue in front of them.

Each caller may have one of every two threads, and has a queue of its own: however many requests of
one caller wait, a request of another one finds a thread. Requests without a known caller count as
those of one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final, TypeVar

CALLER_ID: Final = "tokensvc.caller_id"
"""The environ key with the ID of the caller of a request, as soon as it is known."""

MAX_QUEUE_AGE_SECONDS: Final = 0.25
"""When the oldest queued request of a caller has waited for this time, no other one of that caller
is queued; when it has waited for a thread that no caller leaves free, none of any."""

MAX_QUEUED_PER_THREAD: Final = 16
"""Bounds the memory of a burst of one caller: a request is kept with its whole body."""

MAX_CALLERS_AT_ONCE: Final = 2
"""How many callers may have all their threads, and as many queued requests as one may have."""

T = TypeVar("T")


class PoolIsFull(Exception):
    """Raised instead of queueing a request behind one that has waited too long."""


@dataclass(slots=True)
class _Share:
    """The threads of one caller, and its queue.

    Attributes:
        free: the threads that it may still take.
        queued: when each of its queued requests began to wait, the oldest first.
        running: how many threads it has.
    """

    free: asyncio.Semaphore
    queued: dict[object, float] = field(default_factory=dict)
    running: int = 0


class WaitingPool:
    """Runs requests in threads, for the event loop of one worker."""

    def __init__(self, threads: int) -> None:
        """No thread yet.

        Args:
            threads: how many threads one caller may have. There are twice as many.
        """
        self._threads = threads
        all_threads = threads * MAX_CALLERS_AT_ONCE
        self._executor = ThreadPoolExecutor(all_threads, thread_name_prefix="request")
        self._free = asyncio.Semaphore(all_threads)
        self._shares: dict[str | None, _Share] = {}
        # Those that have a place in the share of their caller and wait for a thread.
        self._queued: dict[object, float] = {}

    def close(self) -> None:
        """Run no other request; does not wait for the running ones."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    async def run(self, step: Callable[[], T], caller_id: str | None = None) -> T:
        """The result of the step, which runs in a thread.

        Args:
            step: a request of that caller.
            caller_id: the caller; None if it is not known.

        Raises:
            PoolIsFull: the step was not run.
        """
        share = self._shares.get(caller_id)
        if share is None:
            share = self._shares[caller_id] = _Share(asyncio.Semaphore(self._threads))
        if self._is_full(share):
            raise PoolIsFull
        try:
            await self._queue(share)
        except BaseException:
            self._forget_if_idle(caller_id, share)
            raise
        running = asyncio.get_running_loop().run_in_executor(self._executor, step)

        def free(_: object) -> None:
            share.running -= 1
            share.free.release()
            self._free.release()
            self._forget_if_idle(caller_id, share)

        # The thread is free when the step ends, which may be after its client has left.
        running.add_done_callback(free)
        return await asyncio.shield(running)

    async def _queue(self, share: _Share) -> None:
        """Wait for a place in the share, then for a thread, and take both."""
        place = object()
        begun_at = share.queued[place] = time.monotonic()
        try:
            await share.free.acquire()
            self._queued[place] = begun_at
            try:
                await self._free.acquire()
            except BaseException:
                share.free.release()
                raise
            finally:
                del self._queued[place]
        finally:
            del share.queued[place]
        share.running += 1

    def _is_full(self, share: _Share) -> bool:
        most = self._threads * MAX_QUEUED_PER_THREAD
        queued = sum(len(each.queued) for each in self._shares.values())
        return (
            len(share.queued) >= most
            or queued >= most * MAX_CALLERS_AT_ONCE
            or _is_late(share.queued.values())
            or _is_late(self._queued.values())
        )

    def _forget_if_idle(self, caller_id: str | None, share: _Share) -> None:
        if not share.running and not share.queued:
            self._shares.pop(caller_id, None)


def _is_late(begun_at: Iterable[float]) -> bool:
    """Whether the first of these requests has waited too long."""
    oldest = next(iter(begun_at), None)
    return oldest is not None and time.monotonic() - oldest > MAX_QUEUE_AGE_SECONDS
