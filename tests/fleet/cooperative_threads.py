"""Cooperative threads: run real code in a chosen, repeatable interleaving.

Only one actor (a thread) runs at a time. It runs until it has passed the given number of yield
points and parks at the next one. The driver therefore decides every interleaving, and the same
decisions give the same run.
"""

from __future__ import annotations

import threading
from collections.abc import Callable


class Crashed(BaseException):
    """Raised at a yield point to kill the process there; the tested code must not catch it."""


class Actor(threading.Thread):
    """Runs `work` in parts; `is_finished` once it has returned or was killed."""

    def __init__(self, work: Callable[[], None]) -> None:
        super().__init__(daemon=True)
        self._work = work
        self._points_left = 0
        self._is_killed = False
        self._failure: BaseException | None = None
        self._turn = threading.Lock()
        self._turn.acquire()
        self._parked = threading.Lock()
        self._parked.acquire()
        self.is_finished = False

    def resume(self, points: int) -> None:
        """Run past that many yield points, or to the end. Errors of the work are raised here."""
        self._points_left = points
        if self.ident is None:
            self.start()
        else:
            self._turn.release()
        self._parked.acquire()
        if self.is_finished:
            self.join()
        if self._failure is not None:
            raise self._failure

    def kill(self) -> None:
        """End where it is parked, as by SIGKILL: the rest of the work is not done."""
        self._is_killed = True
        if not self.is_finished:
            self.resume(0)

    def run(self) -> None:
        """The body of the thread."""
        try:
            self._work()
        except Crashed:
            pass
        except BaseException as failure:  # noqa: BLE001 # Raised again in the driver's thread.
            self._failure = failure
        self.is_finished = True
        self._parked.release()

    def reach_point(self, *, must_park: bool) -> None:
        """Pass this yield point, or park at it until the driver resumes the actor."""
        if self._points_left > 0 and not must_park:
            self._points_left -= 1
        else:
            self._parked.release()
            self._turn.acquire()
        if self._is_killed:
            raise Crashed


def yield_point(*, must_park: bool = False) -> None:
    """Let the driver park the running actor here, or always park it; no effect outside actors."""
    actor = threading.current_thread()
    if isinstance(actor, Actor):
        actor.reach_point(must_park=must_park)


class CooperativeLock:
    """A lock between actors: an actor that waits for it parks, so that the holder can continue."""

    def __init__(self) -> None:
        self._is_held = False

    def __enter__(self) -> None:
        while self._is_held:
            yield_point(must_park=True)
        self._is_held = True

    def __exit__(self, *_: object) -> None:
        self._is_held = False
