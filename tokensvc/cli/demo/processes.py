"""The demo's servers as child processes: started on ports that are surely ours, and ended."""

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
_LONGEST_START_SECONDS = 60.0
_LONGEST_STOP_SECONDS = 10.0
_SHOWN_LOG_LINES = 15


class DemoFailed(TokensvcError):
    """Raised when the demo can't go on."""

    code = "demo_failed"
    title = "The demo can't go on"


@dataclass(frozen=True, slots=True)
class Server:
    """A running gunicorn: what it is called, where it answers and where its log is."""

    name: str
    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def require_alive(self) -> None:
        """Return when it runs.

        Raises:
            DemoFailed: when it has ended.
        """
        status = self.process.poll()
        if status is not None:
            last = self.log.read_text(errors="replace").splitlines()[-_SHOWN_LOG_LINES:]
            raise DemoFailed(
                "\n".join(
                    [f"{self.name} has ended (exit status {status}). Its last lines:", *last]
                ),
                hint=f"All of them are in {self.log}. Start again with `make run`.",
            )

    def wait_until_ready(self, path: str, clock: Clock) -> None:
        """Return when `path` answers 200.

        Raises:
            DemoFailed: when it ends first, or takes too long.
        """
        give_up_at = clock.monotonic() + _LONGEST_START_SECONDS
        while _status_of(self.url, path) != HTTPStatus.OK:
            self.require_alive()
            if clock.monotonic() > give_up_at:
                raise DemoFailed(
                    f"{self.name} is not ready after {_LONGEST_START_SECONDS:.0f} s.",
                    hint=f"Its log {self.log} and {self.url}{path} say why.",
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
    """A gunicorn with those arguments that answers on the listener; ended with the block.

    Its output goes to the file `log`. The listener is its own from now on.
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
            # Out of the terminal's group: Ctrl-C reaches the demo alone, which ends its servers.
            process_group=0,
        )
    try:
        yield Server(name, f"http://{HOST}:{port}", process, log)
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        process.stdin.close()  # By itself this asks it to end.
    process.terminate()
    try:
        process.wait(_LONGEST_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _status_of(url: str, path: str) -> int | None:
    """The HTTP status that it answers with; None while nothing answers."""
    # Straight to loopback, whatever proxy the environment names.
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except OSError:
        return None
    finally:
        connection.close()
