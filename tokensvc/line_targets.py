"""Where lines are written without blocking: the file, pipe, socket or terminal of a descriptor.

Each line is written whole or not at all, so that lines of several processes do not mix.
"""

from __future__ import annotations

import fcntl
import os
import select
import socket
import stat
from typing import Final, Protocol

MAX_LINE_BYTES: Final = 4_096
"""PIPE_BUF of Linux: a pipe takes a line of this length whole or not at all."""

_LOCK_ATTEMPTS: Final = 100


class LineTarget(Protocol):
    """Takes lines of at most `MAX_LINE_BYTES`."""

    def write(self, line: bytes) -> None:
        """Write the whole line. Raises BlockingIOError where that would block, or OSError."""
        ...

    def wait(self, seconds: float) -> None:
        """Return once a line can be written. Raises TimeoutError."""
        ...

    def close(self) -> None:
        """Close what was opened; the descriptor itself stays open."""
        ...


def line_target(descriptor: int) -> LineTarget:
    """The target behind the descriptor.

    Raises:
        OSError: the descriptor is not open.
    """
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISSOCK(mode):
        return _Socket(descriptor)
    return _File(descriptor) if stat.S_ISREG(mode) else _Pipe(descriptor)


class _File:
    """A regular file, which other processes may write to through the same file description.

    It is not opened again: two descriptions have two positions, so that a log on the same file
    would overwrite the audit.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = os.dup(descriptor)

    def write(self, line: bytes) -> None:
        self._lock_file()
        try:
            written = os.write(self._descriptor, line)
            if written != len(line):
                self._remove_part(written)
                raise OSError(f"The disk took only {written} of {len(line)} bytes.")
        finally:
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN)

    def _lock_file(self) -> None:
        # Other processes hold the lock for one write only, so that a few attempts suffice.
        for _ in range(_LOCK_ATTEMPTS):
            try:
                fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.sched_yield()
            else:
                return
        raise BlockingIOError

    def _remove_part(self, size: int) -> None:
        end = os.lseek(self._descriptor, 0, os.SEEK_CUR)
        if os.fstat(self._descriptor).st_size == end:
            os.ftruncate(self._descriptor, end - size)
            os.lseek(self._descriptor, end - size, os.SEEK_SET)

    def wait(self, seconds: float) -> None:  # noqa: ARG002 # The lock is held for one write.
        fcntl.lockf(self._descriptor, fcntl.LOCK_EX)
        fcntl.lockf(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        os.close(self._descriptor)


class _Pipe:
    """A pipe or a terminal, with a non-blocking file description of its own.

    The descriptor itself stays blocking, because other processes use it. Where it can't be opened
    again, as in a container whose standard output belongs to another user, a copy is used.
    """

    def __init__(self, descriptor: int) -> None:
        flags = os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
        self._is_copy = False
        try:
            self._descriptor = os.open(f"/proc/self/fd/{descriptor}", flags)
        except OSError:
            self._is_copy = True
            self._descriptor = os.dup(descriptor)

    def write(self, line: bytes) -> None:
        if self._is_copy and not self._is_writable(0.0):  # Writing would block.
            raise BlockingIOError
        written = os.write(self._descriptor, line)
        if written != len(line):  # Only a terminal takes a part of a line.
            raise OSError(f"The terminal took only {written} of {len(line)} bytes.")

    def wait(self, seconds: float) -> None:
        if not self._is_writable(seconds):
            raise TimeoutError(f"The reader has not read for {seconds:g} s.")

    def _is_writable(self, seconds: float) -> bool:
        poll = select.poll()
        poll.register(self._descriptor, select.POLLOUT)
        return bool(poll.poll(seconds * 1_000))

    def close(self) -> None:
        os.close(self._descriptor)


class _Socket:
    """A socket, as under systemd. It can't be opened again, so each call says not to wait.

    The part of a line that a stream socket did not take is sent before the next line.
    """

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=os.dup(descriptor))
        self._rest = b""

    def write(self, line: bytes) -> None:
        if self._rest:
            self._rest = self._rest[self._send(self._rest) :]
            if self._rest:
                raise BlockingIOError
        self._rest = line[self._send(line) :]
        if self._rest:
            raise OSError("The reader took only a part of the line.")

    def _send(self, data: bytes) -> int:
        return self._socket.send(data, socket.MSG_DONTWAIT)

    def wait(self, seconds: float) -> None:
        poll = select.poll()
        poll.register(self._socket, select.POLLOUT)
        if not poll.poll(seconds * 1_000):
            raise TimeoutError(f"The reader has not read for {seconds:g} s.")

    def close(self) -> None:
        self._socket.close()
