"""The socket on which Local IVS listens: bound to a port, or inherited from a launcher."""

from __future__ import annotations

import errno
import ipaddress
import socket
from typing import Protocol

from local_ivs.errors import PortUnusableError

HOST = "127.0.0.1"
MAX_PORT = 65_535
POLL_SECONDS = 0.1
# The worker of a killed Local IVS ends, and frees its port, within this time.
PORT_IS_FREED_SECONDS = 4.0


class WaitingClock(Protocol):
    """Elapsed time; Python's module `time` is one."""

    def monotonic(self) -> float:
        """Seconds since a fixed time."""

    def sleep(self, seconds: float, /) -> None:
        """Return after that many seconds."""


def listen(port: int, clock: WaitingClock) -> socket.socket:
    """A socket bound to that port on loopback. Waits 4 s for the port if it is in use.

    Raises:
        PortUnusableError: another program uses the port.
    """
    give_up_at = clock.monotonic() + PORT_IS_FREED_SECONDS
    while True:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError as error:
            listener.close()
            if error.errno == errno.EADDRINUSE and clock.monotonic() < give_up_at:
                clock.sleep(POLL_SECONDS)
                continue
            other_port = port + 10 if port + 10 <= MAX_PORT else port - 10
            raise PortUnusableError(
                f"Port {port} on {HOST} can't be used ({error.strerror}). Stop the program that "
                f"uses the port, or choose another port: `local-ivs --port {other_port}`."
            ) from error
        return listener


def inherited(descriptor: int) -> socket.socket:
    """The socket that the parent process bound and passed as that file descriptor.

    Closing the returned object also closes the descriptor.

    Raises:
        ValueError: the descriptor isn't a TCP socket bound to a port of IPv4 loopback.
    """
    try:
        listener = socket.socket(fileno=descriptor)
    except OSError as error:
        raise ValueError(f"File descriptor {descriptor} is not a socket.") from error
    if not _is_bound_to_loopback(listener):
        listener.detach()  # The caller keeps the descriptor.
        raise ValueError(
            f"File descriptor {descriptor} is not a TCP socket that is bound to a port of {HOST}."
        )
    return listener


def _is_bound_to_loopback(listener: socket.socket) -> bool:
    if (listener.family, listener.type) != (socket.AF_INET, socket.SOCK_STREAM):
        return False
    host, port = listener.getsockname()
    return port != 0 and ipaddress.ip_address(host).is_loopback
