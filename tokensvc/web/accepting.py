"""Accepts connections faster than the event loop does, while the loop is busy.

uvloop accepts one connection between the turns of all requests that it has read. While a worker is
busy, new connections would wait for seconds. While it is not, one at a time is better, because then
the connections spread over the workers.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

PAUSE_SECONDS: Final = 0.02
"""The time between two looks at how late the loop is."""

MAX_LATE_SECONDS: Final = 0.01
"""A loop that is later is busy: all connections that wait are accepted at once."""

MAX_ACCEPTED: Final = 64
"""How many are accepted then: each needs a descriptor, even if it is refused."""


async def accept_until(
    closed: asyncio.Event,
    listeners: Sequence[socket.socket],
    protocol: Callable[[], asyncio.Protocol],
) -> None:
    """Serve the connections that wait with that protocol, until the listeners are closed."""
    while not closed.is_set():
        due_at = time.monotonic() + PAUSE_SECONDS
        await asyncio.sleep(PAUSE_SECONDS)
        if time.monotonic() - due_at > MAX_LATE_SECONDS:
            for listener in listeners:
                await serve(islice(accepted(listener), MAX_ACCEPTED), protocol)


async def serve(
    connections: Iterable[socket.socket], protocol: Callable[[], asyncio.Protocol]
) -> None:
    """Serve these connections, all at once: each one needs a round of the loop."""
    connect = asyncio.get_running_loop().connect_accepted_socket
    await asyncio.gather(*(connect(protocol, connection) for connection in connections))


def accepted(listener: socket.socket) -> Iterator[socket.socket]:
    """The connections that wait to be accepted."""
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:  # None is left, or no descriptor for it.
            return
        yield connection
