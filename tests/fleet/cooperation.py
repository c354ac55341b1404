"""Work that stops where it is told to: real code, run a stretch at a time, in an order of choice.

An actor is a thread of which only one runs at a time. It runs until it has passed as many *points*
as it was given and parks at the next one, so that whoever drives decides every interleaving, and
the same drive gives the same run.
"""

from __future__ import annotations

import threading
from collections.abc import Callable


class Crashed(BaseException):
    """Raised at an actor's point when its process dies there; not for the code under test."""


class Actor(threading.Thread):
    """Does `work` in stretches; `is_over` when it has returned or died."""

    def __init__(self, work: Callable[[], None]) -> None:
        super().__init__(daemon=True)
        self._work = work
        self._points_left = 0
        self._must_die = False
        self._failure: BaseException | None = None
        self._turn = threading.Lock()
        self._turn.acquire()
        self._parked = threading.Lock()
        self._parked.acquire()
        self.is_over = False

    def go_on(self, points: int) -> None:
        """Run past that many points, or to the end; what the work raises is raised here."""
        self._points_left = points
        if self.ident is None:
            self.start()
        else:
            self._turn.release()
        self._parked.acquire()
        if self.is_over:
            self.join()
        if self._failure is not None:
            raise self._failure

    def die(self) -> None:
        """Die where it is parked, as by SIGKILL: nothing more of the work is done."""
        self._must_die = True
        if not self.is_over:
            self.go_on(0)

    def run(self) -> None:
        """The thread's own body."""
        try:
            self._work()
        except Crashed:
            pass
        except BaseException as failure:  # noqa: BLE001 # Raised again in the driver's thread.
            self._failure = failure
        self.is_over = True
        self._parked.release()

    def pass_point(self, *, must_park: bool) -> None:
        """Pass this point, or park at it until there is another turn."""
        if self._points_left > 0 and not must_park:
            self._points_left -= 1
        else:
            self._parked.release()
            self._turn.acquire()
        if self._must_die:
            raise Crashed


def point(*, must_park: bool = False) -> None:
    """A place at which the actor that runs may be stopped, or must; nothing outside an actor."""
    actor = threading.current_thread()
    if isinstance(actor, Actor):
        actor.pass_point(must_park=must_park)


class CooperativeLock:
    """A lock between actors: who waits for it parks, so that its holder can go on."""

    def __init__(self) -> None:
        self._is_held = False

    def __enter__(self) -> None:
        while self._is_held:
            point()
        self._is_held = True

    def __exit__(self, *_: object) -> None:
        self._is_held = False
