"""Where code may wait, and where it must not."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support import event_loop
from tokensvc.waiting import MustWait, may_wait, no_waiting


def test_waiting_is_forbidden_in_the_block_only() -> None:
    """Also after an error in it."""
    may_wait()
    with no_waiting(), pytest.raises(MustWait):
        may_wait()
    with pytest.raises(RuntimeError), no_waiting():
        raise RuntimeError
    may_wait()


def test_a_thread_that_the_block_starts_may_wait() -> None:
    """The front runs a request again in a thread."""
    with no_waiting(), ThreadPoolExecutor(1) as pool:
        pool.submit(may_wait).result()


def test_a_program_with_an_event_loop_of_its_own_may_wait() -> None:
    """Such as a notebook, where a loop always runs in the main thread."""

    async def program() -> None:
        may_wait()

    event_loop.run(program())
