"""Run a coroutine in a thread of its own.

`asyncio.run` needs a thread without an event loop, and a test process that holds a browser has one
in its main thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")


def run(
    coroutine: Coroutine[Any, Any, T],
    runner: Callable[[Coroutine[Any, Any, T]], T] = asyncio.run,
) -> T:
    """The result of the coroutine, on the loop of the runner."""
    with ThreadPoolExecutor(1, thread_name_prefix="loop") as thread:
        return thread.submit(runner, coroutine).result()
