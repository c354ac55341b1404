"""How many processes serve requests now: the fleet that shares the rate limits.

Each process writes a record that expires, and counts those of all. Both happen in a thread of its
own, so that no request waits for the state.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
from collections.abc import Callable
from typing import Final

from pydantic import BaseModel, ConfigDict

from tokensvc.clock import Clock
from tokensvc.errors import TokensvcError
from tokensvc.state.base import Record, State

KIND: Final = "replica"
HEARTBEAT_SECONDS: Final = 10.0
MAX_LOOKS_PER_SECOND: Final = 4.0
"""Of all processes together. Each look reads the records of all, so in a fleet of more than 40 the
processes look less often than every `HEARTBEAT_SECONDS`."""

VALID_HEARTBEATS: Final = 4
"""How long a record counts. Clocks may differ by ten seconds, and a write or two may fail."""

MOST_FEWER: Final = 0.75
"""Of the count before: it falls by no more with each look, so that a state which has lost the
records does not multiply the limits at once. It rises at once."""

CLOSE_SECONDS: Final = 2.0

_log = logging.getLogger(__name__)


class _Body(BaseModel):
    """The body of a record: which process it is, for a person who reads the state."""

    model_config = ConfigDict(frozen=True, strict=True)  # A newer release may add members.

    worker: str


class Replicas:
    """The live processes of the fleet. Start it in the process that it counts, after any fork.

    Attributes:
        count: how many there are, this one included: at least `least`. It falls little by little.
    """

    def __init__(self, state: State, clock: Clock, *, least: int) -> None:
        """Nothing is written or read before `start`.

        Args:
            state: where the records are.
            clock: the time.
            least: how many processes serve on this machine, by its settings.
        """
        self.count = float(least)
        self._state = state
        self._clock = clock
        self._least = least
        self._record_id = secrets.token_hex(8)
        self._is_failing = False
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def heartbeat_seconds(self) -> float:
        """The time until the next look."""
        return max(HEARTBEAT_SECONDS, self.count / MAX_LOOKS_PER_SECOND)

    def start(self) -> None:
        """Write and count from a thread, until `close`."""
        self._thread = threading.Thread(target=self._run, name="count replicas", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop. The record of this process is removed, if the state can be written now."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join(CLOSE_SECONDS)

    def look(self) -> None:
        """Write the record of this process, and count those of all.

        Raises:
            StateUnavailable: the state can't be used now. The count stays.
        """
        body = _Body(worker=f"{socket.gethostname()} process {os.getpid()}").model_dump_json()
        expires_at = self._clock.now() + VALID_HEARTBEATS * self.heartbeat_seconds
        self._state.put_many(KIND, [Record(self._record_id, body, expires_at)])
        now = self._clock.now()
        live = sum(now < record.expires_at for record in self._state.records(KIND))
        self.count = float(max(live, self._least, MOST_FEWER * self.count))

    def _run(self) -> None:
        while True:
            self._try(self.look)
            if self._closing.wait(self.heartbeat_seconds):
                break
        self._try(self._remove)

    def _remove(self) -> None:
        self._state.remove_many(KIND, [self._record_id])

    def _try(self, step: Callable[[], None]) -> None:
        """Do that step. Each series of failures is logged once."""
        try:
            step()
        except TokensvcError as exc:
            if not self._is_failing:
                _log.warning(
                    "The live processes can't be counted, so rate limits stay divided by %g: %s",
                    self.count,
                    exc,
                )
            self._is_failing = True
        else:
            self._is_failing = False
