"""Run gunicorn, and stop it when its standard input is closed.

The demo holds the other end of that pipe. When the demo ends, even by `kill -9`, the operating
system closes the pipe, so that no server keeps running.
"""

from __future__ import annotations

import os
import runpy
import signal
import threading

STANDARD_INPUT = 0


def _stop_with_parent() -> None:
    # Read the descriptor: a thread that waits in sys.stdin would hold its lock at exit.
    while os.read(STANDARD_INPUT, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    threading.Thread(target=_stop_with_parent, daemon=True).start()
    runpy.run_module("gunicorn", run_name="__main__", alter_sys=True)
