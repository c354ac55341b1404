"""Keeps calls that may wait off the event loop.

The web worker runs an event loop and calls the application inline, because the usual request waits
for nothing. Code that may wait (for AWS, the state or another thread) calls `may_wait()` first. In
a thread with a running event loop that raises `MustWait`; the front catches it and runs the same
request again in a pool of threads. In any other thread, such as a plain WSGI server's, nothing is
raised and the call waits.
"""

from __future__ import annotations

import asyncio


class MustWait(BaseException):
    """Raised instead of waiting on an event loop.

    It is not an `Exception`, so that no error handler and no audit takes it for a result.
    """


def may_wait() -> None:
    """Return if this thread may wait.

    Call it before the first side effect of a request, because the request may run again.

    Raises:
        MustWait: an event loop is running in this thread.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise MustWait
