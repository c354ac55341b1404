"""Accepts connections faster than the event loop does.

uvloop accepts one connection between the turns of all requests that it has read. While a worker is
busy, new connections would wait for seconds.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

ACCEPT_SECONDS: Final = 0.02
"""How often the connections that wait are accepted."""

MAX_ACCEPTED: Final = 64
"""How many are accepted then: each needs a descriptor, even if it is refused."""


async def accept_until(
    closed: asyncio.Event,
    listeners: Sequence[socket.socket],
    protocol: Callable[[], asyncio.Protocol],
) -> None:
    """Serve the connections that wait with that protocol, until the listeners are closed."""
    while not closed.is_set():
        for listener in listeners:
            await serve(islice(accepted(listener), MAX_ACCEPTED), protocol)
        await asyncio.sleep(ACCEPT_SECONDS)


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
