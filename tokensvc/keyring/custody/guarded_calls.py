"""Calls of a custody in AWS that requests wait for: none is made while the service hangs or fails.

Otherwise each thread for requests would wait for its own time-out, and the requests of other
regions would wait for a thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from tokensvc.breaker import OPEN_SECONDS, Breaker
from tokensvc.clock import Clock
from tokensvc.errors import CustodyDenied, CustodyUnavailable
from tokensvc.keyring.custody.aws_calls import AwsCalls, Throttled
from tokensvc.waiting import may_wait

T = TypeVar("T")


class GuardedCalls:
    """The calls to one service in one region, for all threads of a process.

    Args:
        calls: translates the errors of the calls.
        clock: the clock.
    """

    def __init__(self, calls: AwsCalls, clock: Clock) -> None:
        self.calls = calls
        self._clock = clock
        self._breaker = Breaker(calls.where)
        self._lock = threading.Lock()

    def call(self, operation: str, resource: str, call: Callable[[], T]) -> T:
        """The result of `call`, which is one call of that operation about that resource.

        Raises:
            CustodyUnavailable: when calls are paused, or when this one got no answer.
            CustodyDamaged, CustodyDenied: the errors of `AwsCalls.translated`.
        """
        if not self._admits():
            raise self._paused(operation)
        may_wait()  # Before the call counts as begun: the request runs again in another thread.
        begun = self._begin()
        if begun is None:
            raise self._paused(operation)
        has_failed = False
        try:
            with self.calls.translated(operation, resource):
                return call()
        except CustodyUnavailable as exc:
            has_failed = not isinstance(exc, (CustodyDenied, Throttled))
            raise
        finally:
            with self._lock:
                self._breaker.end(begun, self._clock.monotonic(), has_failed=has_failed)

    @property
    def are_paused(self) -> bool:
        """Whether the last calls failed or hang, so that only one is made from time to time."""
        with self._lock:
            return self._breaker.is_open(self._clock.monotonic())

    def _admits(self) -> bool:
        with self._lock:
            return self._breaker.admits(self._clock.monotonic())

    def _begin(self) -> object | None:
        with self._lock:
            return self._breaker.begin(self._clock.monotonic())

    def _paused(self, operation: str) -> CustodyUnavailable:
        return CustodyUnavailable(
            f"{self.calls.where} fails or does not answer, so {operation} is not tried now.",
            hint=f"It is tried again every {OPEN_SECONDS:g} s. The log has its last error.",
        )
