"""Planned faults: a test makes the next calls of an operation slow, fail or get no response.

A fault stays pending in the state until a call of its operation triggers it. Requests that are
malformed, unsigned or throttled trigger no fault.
"""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from local_ivs.errors import ApiError, ControlError, NoResponseError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local_ivs.database import Database

SCHEMA = """
CREATE TABLE IF NOT EXISTS faults (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    operation TEXT NOT NULL, -- an operation of the model, or * for any
    kind TEXT NOT NULL,
    error TEXT NOT NULL, -- an AWS error name; empty unless the kind is error
    seconds REAL NOT NULL,
    times INTEGER NOT NULL -- how many more calls the fault applies to
) STRICT;
"""

ANY_OPERATION = "*"
MAX_SECONDS = 300.0
MAX_TIMES = 1_000_000


class FaultKind(StrEnum):
    """What happens to a call."""

    SLOW = "slow"  # The call starts after `seconds`.
    ERROR = "error"  # The call returns `error` after `seconds`, and has no effect.
    DROP = "drop"  # The connection is closed after `seconds`; the call has no effect.
    LOSE_RESPONSE = "lose_response"  # The call has its effect, but the connection closes.


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A planned fault.

    Attributes:
        operation: The operation's name, or `*` for any.
        kind: What happens to the call.
        error: The AWS error name to return, for kind `error`; otherwise empty.
        seconds: The delay.
        times: How many calls the fault applies to.
    """

    operation: str
    kind: FaultKind
    error: str = ""
    seconds: float = 0.0
    times: int = 1

    def __post_init__(self) -> None:
        """Validate the members.

        Raises:
            ControlError: a member is invalid; the message names it.
        """
        if self.kind is FaultKind.ERROR and self.error not in api_errors():
            raise ControlError(f"error must be one of {', '.join(sorted(api_errors()))}.")
        if self.kind is not FaultKind.ERROR and self.error:
            raise ControlError("error is allowed only with kind error.")
        if not 0 <= self.seconds <= MAX_SECONDS:
            raise ControlError(f"seconds must be from 0 to {MAX_SECONDS:g}.")
        if not 1 <= self.times <= MAX_TIMES:
            raise ControlError(f"times must be from 1 to {MAX_TIMES}.")


def api_errors() -> dict[str, type[ApiError]]:
    """Every error that the API can return, by its AWS name."""
    found: dict[str, type[ApiError]] = {}
    remaining = [ApiError]
    while remaining:
        each = remaining.pop()
        # UnmodeledError inherits the name of ApiError; the first class found has the name.
        found.setdefault(each.error_type, each)
        remaining += each.__subclasses__()
    return found


class Faults:
    """The pending faults, oldest first."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.ensure(SCHEMA)

    def plan(self, fault: Fault) -> None:
        """Apply this fault to the next calls of its operation, after the faults planned earlier."""
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO faults (operation, kind, error, seconds, times)"
                " VALUES (?, ?, ?, ?, ?)",
                (fault.operation, fault.kind, fault.error, fault.seconds, fault.times),
            )

    def pending(self) -> tuple[Fault, ...]:
        """The faults that still apply to future calls."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT operation, kind, error, seconds, times FROM faults ORDER BY id"
            ).fetchall()
        return tuple(Fault(**{**row, "kind": FaultKind(row["kind"])}) for row in rows)

    def clear(self) -> None:
        """Delete every pending fault."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM faults")

    @contextmanager
    def apply_next(self, operation: str) -> Iterator[None]:
        """Apply the operation's next pending fault, if there is one, to the `with` block.

        Raises:
            ApiError: the fault's error.
            NoResponseError: the connection must be closed without a response.
        """
        fault = self._take(operation)
        if fault is None:
            yield
            return
        if fault.kind is FaultKind.LOSE_RESPONSE:
            with suppress(ApiError):  # An error response is lost like any other response.
                yield
        time.sleep(fault.seconds)
        match fault.kind:
            case FaultKind.SLOW:
                yield
            case FaultKind.ERROR:
                raise api_errors()[fault.error](f"Planned fault for {operation}")
            case FaultKind.DROP | FaultKind.LOSE_RESPONSE:
                raise NoResponseError(f"Planned fault for {operation}: no response")

    def _take(self, operation: str) -> Fault | None:
        names = (operation, ANY_OPERATION)
        with self._database.reading() as connection:
            # Most calls have no fault and don't need the write lock.
            if not connection.execute(
                "SELECT 1 FROM faults WHERE operation IN (?, ?)", names
            ).fetchone():
                return None
        with self._database.transaction() as connection:
            row = connection.execute(
                "UPDATE faults SET times = times - 1 WHERE id ="
                " (SELECT min(id) FROM faults WHERE operation IN (?, ?))"
                " RETURNING operation, kind, error, seconds, times + 1 AS times",
                names,
            ).fetchone()
            connection.execute("DELETE FROM faults WHERE times = 0")
        return None if row is None else Fault(**{**row, "kind": FaultKind(row["kind"])})
