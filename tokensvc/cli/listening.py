"""Ports on loopback that are surely ours: bound before the server that is to listen on them."""

from __future__ import annotations

import errno
import socket

from tokensvc.clock import Clock
from tokensvc.errors import TokensvcError

HOST = "127.0.0.1"
_POLL_SECONDS = 0.1
# A server that was killed leaves its port within this time: its workers end with it.
_PORT_IS_FREED_SECONDS = 4.0


class PortUnusable(TokensvcError):
    """Raised when a server can't have the port that it was given."""

    code = "port_unusable"
    title = "The port can't be used"


def listen(port: int, another: str, clock: Clock) -> socket.socket:
    """A socket bound to that port on loopback, or to any free one for port 0.

    `another` is what a person types to choose another port, `{}` standing for its number.

    Raises:
        PortUnusable: when another program has the port.
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
                hint="End what listens there, or choose another port: " + another.format(port + 10),
            ) from exc
        return listener
