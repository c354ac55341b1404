"""The clients of the benchmark of hostile connections end when they are cancelled."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import cast

from benchmarks.hostile_connections import one_byte_a_second
from tests.support import event_loop


class Writer:
    """A connection that takes everything."""

    def write(self, data: bytes) -> None:
        """Take it."""

    async def drain(self) -> None:
        """Return at once."""


def test_a_client_is_cancelled_although_its_connection_ends_at_the_same_time() -> None:
    """Otherwise it would connect again, and the benchmark would not end."""

    async def is_cancelled() -> bool:
        reader = asyncio.StreamReader()
        writer = cast("asyncio.StreamWriter", Writer())
        client = asyncio.create_task(one_byte_a_second(reader, writer))
        await asyncio.sleep(0.05)
        reader.feed_eof()
        client.cancel()
        with suppress(asyncio.CancelledError):
            await client
        return client.cancelled()

    assert event_loop.run(is_cancelled())
