"""Reserve a port on loopback by binding it before the server that uses it starts."""

from __future__ import annotations

import errno
import socket

from demo.launcher.failure import DemoFailed
from tokensvc.clock import Clock

HOST = "127.0.0.1"
_MAX_PORT = 65_535
_POLL_SECONDS = 0.1
# The workers of a killed server end, and free its port, within this time.
_PORT_IS_FREED_SECONDS = 4.0


def listen(port: int, variable: str, clock: Clock) -> socket.socket:
    """Return a socket bound to that port on loopback, or to any free port for port 0.

    Args:
        port: the port.
        variable: the environment variable with which `make run` uses another port.
        clock: the time.

    Raises:
        DemoFailed: another program uses the port, or the port is not allowed.
    """
    give_up_at = clock.monotonic() + _PORT_IS_FREED_SECONDS
    while True:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError as exc:
            listener.close()
            if exc.errno == errno.EADDRINUSE and clock.monotonic() < give_up_at:
                clock.sleep(_POLL_SECONDS)
                continue
            other_port = port + 10 if port + 10 <= _MAX_PORT else port - 10
            raise DemoFailed(
                f"Port {port} on {HOST} can't be used ({exc.strerror}).",
                hint="Stop the program that uses the port, or choose another port: "
                f"`{variable}={other_port} make run`.",
            ) from exc
        return listener
