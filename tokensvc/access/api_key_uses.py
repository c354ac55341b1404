"""When each API key was last used, to the day: which ones can be revoked.

A process writes the day of a key's first use in it, in the background. No request waits for that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from tokensvc.clock import rfc3339
from tokensvc.state.base import Record, State
from tokensvc.state.record_writer import RecordWriter

KIND: Final = "api-key-use"
KEPT_SECONDS: Final = 400 * 86_400.0
"""How long a use is kept: for keys that are used once a year."""

_DAY_SECONDS: Final = 86_400


class ApiKeyUses:
    """Records uses, for all threads of a process."""

    def __init__(self, writer: RecordWriter) -> None:
        self._writer = writer
        self._days: dict[str, int] = {}

    def note(self, key_id: str, now: float) -> None:
        """The key was used at that time, in Unix seconds. Waits for nothing."""
        day = int(now) // _DAY_SECONDS
        if self._days.get(key_id) == day:
            return
        self._days[key_id] = day
        body = _Use(day=rfc3339(now).partition("T")[0]).model_dump_json()
        self._writer.put(Record(key_id, body, now + KEPT_SECONDS))


def last_used(state: State) -> Mapping[str, str]:
    """The day of the last use of each API key that was used, by its ID: `2026-11-26`, UTC.

    Raises:
        StateUnavailable: when the state can't be read now.
    """
    days = {record.record_id: _day_in(record) for record in state.records(KIND)}
    return {key_id: day for key_id, day in days.items() if day}


class _Use(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True)  # A newer release may add members.

    day: str


def _day_in(record: Record) -> str:
    """The day, "" for a record that another release wrote in another form."""
    try:
        return _Use.model_validate_json(record.body).day
    except ValidationError:
        return ""
