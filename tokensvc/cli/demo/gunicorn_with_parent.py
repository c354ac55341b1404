"""gunicorn, for as long as whoever started it lives: it ends when its standard input does.

The demo holds the other end of that pipe. However the demo ends, `kill -9` included, the system
closes it, and no process stays behind.
"""

from __future__ import annotations

import os
import runpy
import signal
import threading

STANDARD_INPUT = 0


def _end_with_parent() -> None:
    # By descriptor: a thread that waits in Python's own stdin would hold its lock at the exit.
    while os.read(STANDARD_INPUT, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    runpy.run_module("gunicorn", run_name="__main__", alter_sys=True)
