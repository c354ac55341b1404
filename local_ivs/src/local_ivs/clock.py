"""Clocks: Local IVS reads the time only from the clock that it is given."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from local_ivs.database import Database

SCHEMA = """
CREATE TABLE IF NOT EXISTS clock (
    id INTEGER PRIMARY KEY CHECK (id = 1), -- there is one clock
    offset_seconds REAL NOT NULL
) STRICT;
"""


class Clock(Protocol):
    """A source of the current time."""

    def now(self) -> float:
        """The time in Unix seconds, UTC."""


class SystemClock:
    """The machine's own clock."""

    def now(self) -> float:
        """The time in Unix seconds, UTC."""
        return time.time()


class MovableClock:
    """A clock with an offset from another clock; the offset is stored and survives restarts."""

    def __init__(self, clock: Clock, database: Database) -> None:
        self._clock = clock
        self._database = database
        database.ensure(SCHEMA)

    def now(self) -> float:
        """The time in Unix seconds, UTC, including the offset."""
        return self._clock.now() + self.offset_seconds()

    def offset_seconds(self) -> float:
        """The offset in seconds: positive is ahead, negative is behind."""
        with self._database.reading() as connection:
            row = connection.execute("SELECT offset_seconds FROM clock").fetchone()
        return 0.0 if row is None else float(row["offset_seconds"])

    def move(self, offset_seconds: float) -> None:
        """Set the offset from the underlying clock: positive is ahead, negative is behind."""
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO clock (id, offset_seconds) VALUES (1, ?)"
                " ON CONFLICT (id) DO UPDATE SET offset_seconds = excluded.offset_seconds",
                (offset_seconds,),
            )
