"""Keeps calls that may wait off the event loop of a web worker.

The worker runs an event loop and calls the application inline, because the usual request waits for
nothing. It does so within `no_waiting()`. Code that may wait (for AWS, the state or another thread)
calls `may_wait()` first, which raises `MustWait` there; the front catches it and runs the same
request again in a thread. Everywhere else, such as in a command, under a plain WSGI server or in a
program with an event loop of its own, nothing is raised and the call waits.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_waiting_is_forbidden: ContextVar[bool] = ContextVar("waiting_is_forbidden", default=False)


class MustWait(BaseException):
    """Raised instead of waiting within `no_waiting()`.

    It is not an `Exception`, so that no error handler and no audit takes it for a result.
    """


@contextmanager
def no_waiting() -> Iterator[None]:
    """Forbid waiting in the block, in this thread; a thread that it starts may wait."""
    token = _waiting_is_forbidden.set(True)
    try:
        yield
    finally:
        _waiting_is_forbidden.reset(token)


def may_wait() -> None:
    """Return if this code may wait.

    Call it before the first side effect of a request, because the request may run again.

    Raises:
        MustWait: within `no_waiting()`.
    """
    if _waiting_is_forbidden.get():
        raise MustWait
