"""Start and stop the demo's servers as child processes, on sockets that are already bound."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from tokensvc.cli.listening import HOST
from tokensvc.clock import Clock
from tokensvc.errors import TokensvcError

_POLL_SECONDS = 0.1
_MAX_START_SECONDS = 60.0
_MAX_STOP_SECONDS = 10.0
_SHOWN_LOG_LINES = 15


class DemoFailed(TokensvcError):
    """The demo can't start or continue."""

    code = "demo_failed"
    title = "The demo failed"


@dataclass(frozen=True, slots=True)
class Server:
    """A running gunicorn: its name, base URL, process and log file."""

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
    arguments: Sequence[str],
    *,
    listener: socket.socket,
    environment: Mapping[str, str],
    log: Path,
) -> Iterator[Server]:
    """Run gunicorn with these arguments on the listener, and stop it when the block ends.

    Its output is appended to the file `log`. The listener is closed in this process.
    """
    port = listener.getsockname()[1]
    bind = ("--bind", f"fd://{listener.fileno()}", "--graceful-timeout", "2")
    with listener, log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603 # Our own interpreter and arguments, no shell.
            (sys.executable, "-m", "tokensvc.cli.demo.gunicorn_with_parent", *arguments, *bind),
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            pass_fds=(listener.fileno(),),
            # Not in the terminal's process group: Ctrl-C reaches the demo only, and the demo stops
            # its servers.
            process_group=0,
        )
    try:
        yield Server(name, f"http://{HOST}:{port}", process, log)
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        process.stdin.close()  # gunicorn_with_parent stops when its standard input is closed.
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
