"""Run a command, and stop it when standard input is closed.

    python -m demo.launcher.stop_with_launcher COMMAND [ARGUMENT ...]

The launcher holds the other end of that pipe. When the launcher ends, even by `kill -9`, the
operating system closes the pipe, and the command gets SIGTERM. The launcher starts this program in
a process group of its own, whose ID is the process ID of the command.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys

_STANDARD_INPUT = 0
_MOST_DESCRIPTORS = 1 << 16


def _watch() -> None:
    """In a process of its own, because the command replaces this program."""
    # The command's sockets and log must be closed when the command ends.
    os.closerange(_STANDARD_INPUT + 1, _MOST_DESCRIPTORS)
    # As long as this process is in the group, no other process can get the group's ID.
    command = os.getpgrp()
    while os.read(_STANDARD_INPUT, 1):
        pass
    with contextlib.suppress(ProcessLookupError):
        os.kill(command, signal.SIGTERM)


def main() -> None:
    """Start the watcher, and replace this process by the command."""
    _, *command = sys.argv
    # Forked twice, so that the watcher is not a child process that the command must wait for.
    child = os.fork()
    if child == 0:
        if os.fork() == 0:
            _watch()
        os._exit(0)
    os.waitpid(child, 0)
    os.execv(command[0], command)  # noqa: S606 # The launcher's own commands, no shell.


if __name__ == "__main__":
    main()
