"""Keeps calls that may wait off the event loop of a web worker.

The worker runs an event loop and calls the application inline, because the usual request waits for
nothing. It does so within `no_waiting()`. Code that may wait (for AWS, the state or another thread)
calls `may_wait()` first, which raises `MustWait` there; the front catches it and runs the same
request again. Everywhere else, such as in a command, under a plain WSGI server or in a program with
an event loop of its own, nothing is raised and the call waits.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar, Token
from typing import Any

_waiting_is_forbidden: ContextVar[bool] = ContextVar("waiting_is_forbidden", default=False)


class MustWait(BaseException):
    """Raised instead of waiting within `no_waiting()`.

    It is not an `Exception`, so that no error handler and no audit takes it for a result.

    Attributes:
        until: what the request waits for; empty if the waiting itself needs a thread.
        seconds: how long the request waits for it at most.
    """

    def __init__(self, until: Collection[Future[Any]] = (), seconds: float = 0.0) -> None:
        super().__init__()
        self.until = until
        self.seconds = seconds


class no_waiting:  # noqa: N801 # It is used like a function: `with no_waiting():`.
    """Forbids waiting in the block, in this thread; a thread that it starts may wait."""

    __slots__ = ("_token",)
    _token: Token[bool]

    def __enter__(self) -> None:
        self._token = _waiting_is_forbidden.set(True)

    def __exit__(self, *_: object) -> None:
        _waiting_is_forbidden.reset(self._token)


def at_once(calls: Sequence[Callable[[], None]]) -> None:
    """Make these calls, each in a thread of its own: while the state hangs, they wait together.

    An exception of a call is raised when all have ended.
    """
    with ThreadPoolExecutor(len(calls)) as pool:
        for call in [pool.submit(call) for call in calls]:
            call.result()


def may_wait(until: Collection[Future[Any]] = (), seconds: float = 0.0) -> None:
    """Return if this code may wait.

    Call it before the first side effect of a request, because the request may run again.

    Args:
        until: what this code is about to wait for, if other threads complete it. A loop can wait
            for it without a thread.
        seconds: how long this code is about to wait for it.

    Raises:
        MustWait: within `no_waiting()`.
    """
    if _waiting_is_forbidden.get():
        raise MustWait(until, seconds)
