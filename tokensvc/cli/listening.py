"""Reserve a port on loopback by binding it before the server that uses it starts."""

from __future__ import annotations

import errno
import socket

from tokensvc.clock import Clock
from tokensvc.errors import TokensvcError

HOST = "127.0.0.1"
_POLL_SECONDS = 0.1
# The workers of a killed server end, and free its port, within this time.
_PORT_IS_FREED_SECONDS = 4.0


class PortUnusable(TokensvcError):
    """Raised when a server can't bind its port."""

    code = "port_unusable"
    title = "The port can't be used"


def listen(port: int, command: str, clock: Clock) -> socket.socket:
    """A socket bound to that port on loopback, or to any free port for port 0.

    `command` is the command that chooses another port, with `{}` for the port's number.

    Raises:
        PortUnusable: when another program uses the port.
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
            raise PortUnusable(
                f"Port {port} on {HOST} can't be used ({exc.strerror}).",
                hint="Stop the program that uses the port, or choose another port: "
                f"`{command.format(port + 10)}`.",
            ) from exc
        return listener
