"""Start and stop the demo's servers as child processes, on sockets that are already bound."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from demo.launcher.failure import DemoFailed
from demo.launcher.ports import HOST
from tokensvc.clock import Clock

_POLL_SECONDS = 0.1
_MAX_START_SECONDS = 60.0
_MAX_STOP_SECONDS = 10.0
_SHOWN_LOG_LINES = 15
# The folder that contains the package `demo`.
_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Server:
    """A running server: its name, base URL ("" without a port), process and log file."""

    name: str
    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def require_alive(self) -> None:
        """Return if the server is running.

        Raises:
            DemoFailed: the server has stopped.
        """
        status = self.process.poll()
        if status is not None:
            lines = self.log.read_text(errors="replace").splitlines()[-_SHOWN_LOG_LINES:]
            raise DemoFailed(
                "\n".join(
                    [
                        f"{self.name} has stopped (exit status {status}). Last lines of its log:",
                        *lines,
                    ]
                ),
                hint=f"Read the whole log in {self.log}, then start again with `make run`.",
            )

    def wait_until_ready(self, path: str, clock: Clock) -> None:
        """Return when a GET of `path` returns 200.

        Raises:
            DemoFailed: the server has stopped, or is not ready in time.
        """
        give_up_at = clock.monotonic() + _MAX_START_SECONDS
        while _status_of(self.url, path) != HTTPStatus.OK:
            self.require_alive()
            if clock.monotonic() > give_up_at:
                raise DemoFailed(
                    f"{self.name} is not ready after {_MAX_START_SECONDS:.0f} s.",
                    hint=f"Look for the reason in {self.log} and at {self.url}{path}.",
                )
            clock.sleep(_POLL_SECONDS)


@contextmanager
def running(
    name: str,
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    log: Path,
    listener: socket.socket | None = None,
) -> Iterator[Server]:
    """Run a server's command, and stop it when the block ends.

    The command inherits the listener, if it has one, whose descriptor it finds in its arguments or
    environment. The listener is closed in this process. The command's output is appended to the
    file `log`.
    """
    url = "" if listener is None else f"http://{HOST}:{listener.getsockname()[1]}"
    with listener or nullcontext(), log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603 # Our own interpreter and commands, no shell.
            (sys.executable, "-m", "demo.launcher.stop_with_launcher", *command),
            cwd=_ROOT,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            pass_fds=() if listener is None else (listener.fileno(),),
            # Not in the terminal's process group: Ctrl-C reaches the launcher only, and the
            # launcher stops its servers.
            process_group=0,
        )
    try:
        yield Server(name, url, process, log)
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        process.stdin.close()  # The watcher of `stop_with_launcher` ends.
    process.terminate()
    try:
        process.wait(_MAX_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _status_of(url: str, path: str) -> int | None:
    """The HTTP status of a GET, or None while the server accepts no connection."""
    # http.client ignores proxy variables in the environment.
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except OSError:
        return None
    finally:
        connection.close()
