"""Faults on request: what a test wants to go wrong with an operation, so many times.

A fault waits in the state until a call of its operation takes it. The call has been accepted by
then: one that is malformed, unsigned or too soon takes none.
"""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from tokensvc.localivs.errors import AnswerLostError, ApiError, ControlError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokensvc.localivs.database import Database

SCHEMA = """
CREATE TABLE IF NOT EXISTS faults (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    operation TEXT NOT NULL, -- a name of the model, or * for any
    kind TEXT NOT NULL,
    error TEXT NOT NULL, -- an AWS error name; empty unless the kind is error
    seconds REAL NOT NULL,
    times INTEGER NOT NULL -- how many calls are still to meet it
) STRICT;
"""

ANY_OPERATION = "*"
LONGEST_SECONDS = 300.0
MOST_TIMES = 1_000_000


class FaultKind(StrEnum):
    """What goes wrong."""

    SLOW = "slow"  # The call begins after `seconds`.
    ERROR = "error"  # The call is answered with `error` after `seconds`, and has no effect.
    DROP = "drop"  # The connection is closed after `seconds`; the call has no effect.
    LOSE_ANSWER = "lose_answer"  # The call has its effect; `seconds` later the connection closes.


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One thing to go wrong.

    Attributes:
        operation: The operation's name, or `*` for any.
        kind: What goes wrong.
        error: The AWS error name that the call is answered with, for kind `error`; else empty.
        seconds: How long the call waits.
        times: How many calls meet it.
    """

    operation: str
    kind: FaultKind
    error: str = ""
    seconds: float = 0.0
    times: int = 1

    def __post_init__(self) -> None:
        """Refuse what means nothing.

        Raises:
            ControlError: names the rule.
        """
        if self.kind is FaultKind.ERROR and self.error not in api_errors():
            raise ControlError(f"error must be one of {', '.join(sorted(api_errors()))}.")
        if self.kind is not FaultKind.ERROR and self.error:
            raise ControlError("error is for the kind error only.")
        if not 0 <= self.seconds <= LONGEST_SECONDS:
            raise ControlError(f"seconds must be from 0 to {LONGEST_SECONDS:g}.")
        if not 1 <= self.times <= MOST_TIMES:
            raise ControlError(f"times must be from 1 to {MOST_TIMES}.")


def api_errors() -> dict[str, type[ApiError]]:
    """Every error that the API can answer with, by its AWS name."""
    found: dict[str, type[ApiError]] = {}
    waiting = [ApiError]
    while waiting:
        each = waiting.pop()
        # A branch that has no name of its own bears the root's, which stays the root's.
        found.setdefault(each.error_type, each)
        waiting += each.__subclasses__()
    return found


class Faults:
    """The faults that wait, oldest first."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.ensure(SCHEMA)

    def plan(self, fault: Fault) -> None:
        """Let the next calls of the operation meet this fault, after those planned before."""
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO faults (operation, kind, error, seconds, times)"
                " VALUES (?, ?, ?, ?, ?)",
                (fault.operation, fault.kind, fault.error, fault.seconds, fault.times),
            )

    def waiting(self) -> tuple[Fault, ...]:
        """The faults that no call has used up yet."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT operation, kind, error, seconds, times FROM faults ORDER BY id"
            ).fetchall()
        return tuple(Fault(**{**row, "kind": FaultKind(row["kind"])}) for row in rows)

    def clear(self) -> None:
        """Forget every fault."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM faults")

    @contextmanager
    def around(self, operation: str) -> Iterator[None]:
        """Let what runs inside meet the operation's next fault, if one waits.

        Raises:
            ApiError: the fault says so.
            AnswerLostError: the connection is to be closed without an answer.
        """
        fault = self._take(operation)
        if fault is None:
            yield
            return
        if fault.kind is FaultKind.LOSE_ANSWER:
            with suppress(ApiError):  # A refusal is an answer, and lost like any other.
                yield
        time.sleep(fault.seconds)
        match fault.kind:
            case FaultKind.SLOW:
                yield
            case FaultKind.ERROR:
                raise api_errors()[fault.error](f"A fault that was planned for {operation}")
            case FaultKind.DROP | FaultKind.LOSE_ANSWER:
                raise AnswerLostError(f"{operation} got no answer, as planned.")

    def _take(self, operation: str) -> Fault | None:
        mine = (operation, ANY_OPERATION)
        with self._database.reading() as connection:
            # Most calls meet no fault: they are spared the write lock.
            if not connection.execute(
                "SELECT 1 FROM faults WHERE operation IN (?, ?)", mine
            ).fetchone():
                return None
        with self._database.transaction() as connection:
            row = connection.execute(
                "UPDATE faults SET times = times - 1 WHERE id ="
                " (SELECT min(id) FROM faults WHERE operation IN (?, ?))"
                " RETURNING operation, kind, error, seconds, times + 1 AS times",
                mine,
            ).fetchone()
            connection.execute("DELETE FROM faults WHERE times = 0")
        return None if row is None else Fault(**{**row, "kind": FaultKind(row["kind"])})
