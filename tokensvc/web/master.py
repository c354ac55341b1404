"""gunicorn hooks: what the master and its workers know in common.

A configuration of gunicorn that uses our worker class needs all three.
"""

from __future__ import annotations

import mmap
import os
import signal
import struct
from typing import Any

_AGE = struct.Struct("q")
_HAS_STARTED = _AGE.size
_SIZE = _AGE.size + 1
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)


class SharedFacts:
    """Two facts in memory that the master's children share with it instead of copying it."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _SIZE)

    def replace_workers(self, up_to_age: int) -> None:
        """Record in the master that new workers replace all workers of at most this age.

        gunicorn numbers its workers: the age of a worker is higher than that of earlier ones.
        """
        self._memory[: _AGE.size] = _AGE.pack(up_to_age)

    def is_replaced(self, age: int) -> bool:
        """Whether new workers replace the worker of this age, so that the service goes on."""
        (replaced,) = _AGE.unpack(self._memory[: _AGE.size])
        return bool(age <= replaced)

    def record_start(self) -> None:
        """Record in a worker that it has started the service."""
        self._memory[_HAS_STARTED] = 1

    @property
    def has_started(self) -> bool:
        """Whether any worker has ever started the service."""
        return bool(self._memory[_HAS_STARTED])


def on_starting(server: Any) -> None:
    """In the master, before the first fork."""
    server.facts = SharedFacts()
    os.register_at_fork(
        before=_block_stop_signals,
        after_in_parent=_unblock_stop_signals,
        after_in_child=_end_at_stop_signals,
    )


def on_reload(server: Any) -> None:
    """In the master at SIGHUP, before it starts new workers and stops the old ones."""
    server.facts.replace_workers(up_to_age=server.worker_age)


def pre_fork(server: Any, worker: Any) -> None:
    """In the master, before each fork."""
    worker.facts = server.facts


def _block_stop_signals() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)


def _unblock_stop_signals() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP_SIGNALS)


def _end_at_stop_signals() -> None:
    """In a new worker: until it handles signals itself, a signal to stop ends it.

    The master's handlers, which it has inherited, would only queue the signal in its copy of the
    queue, and it would serve until it is killed.
    """
    for number in _STOP_SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    _unblock_stop_signals()
