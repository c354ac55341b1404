"""The lease: of several processes that carry out revocations, one calls Amazon IVS.

IVS allows an account two calls a second in a region, however many processes it has. The lease keeps
them from making each call twice. No rule depends on it: every call may be made again, and every
change of the state is made on a condition.

1. A process takes the lease by replacing its record, on the condition that it is still the one that
   it has read (`State.put_if`). It renews it every `RENEW_SECONDS` in the same way.
2. A lease that is not renewed, because its holder has died, lapses `LAPSE_SECONDS` after another
   process has first seen it. No two clocks are compared.
3. The record says how its holder gets on, for those who watch it (`watching`).
4. A holder that was paused for longer finds another record when it renews, and waits from then on.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from tokensvc.clock import Clock
from tokensvc.state.base import Record, State

KIND: Final = "revocation-lease"
RENEW_SECONDS: Final = 2.0
LAPSE_SECONDS: Final = 10.0

_RECORD_ID: Final = "holder"
_KEPT_SECONDS: Final = 3_600.0


class RevocationReport(BaseModel):
    """How the holder of the lease gets on.

    Attributes:
        due_ends: how many due ends have come and are not carried out.
        oldest_end_at: when the first of them came, Unix seconds; None if there is none.
        done: how many kicks, bans and due ends it has carried out since it began.
        failed: how many viewers IVS has refused since then, and how many calls have failed.
    """

    model_config = ConfigDict(frozen=True, strict=True)  # A newer release may add members.

    due_ends: int = 0
    oldest_end_at: int | None = None
    done: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that holds the lease.

    Attributes:
        renewed_at: when it has renewed the lease last, by its clock, Unix seconds.
        report: how it gets on; None before it has read the due ends.
    """

    renewed_at: float
    report: RevocationReport | None


def holder(state: State) -> Holder | None:
    """The process that has the lease, and has not released it; None if no process has it.

    Raises:
        StateUnavailable: when the state can't be read now.
    """
    record = state.record(KIND, _RECORD_ID)
    if record is None:
        return None
    try:
        text = _Text.model_validate_json(record.body)
    except ValidationError:  # Of a newer release.
        return Holder(record.expires_at - _KEPT_SECONDS, None)
    return Holder(record.expires_at - _KEPT_SECONDS, text.report) if text.is_held else None


def _no_report() -> None:
    """The report of a process that has none."""


class RevocationLease:
    """The lease, as one process sees it. Not for several threads."""

    def __init__(self, state: State, clock: Clock) -> None:
        self._state = state
        self._clock = clock
        self._own: Record | None = None
        self._renewed_at = -math.inf
        self._seen: Record | None = None
        self._first_seen_at = math.inf

    def hold(self, report: Callable[[], RevocationReport | None] = _no_report) -> bool:
        """Take or renew the lease. False if another process has it.

        Args:
            report: how this process gets on, asked when the lease is renewed.

        Raises:
            StateUnavailable: when the state can't be used now.
        """
        now = self._clock.monotonic()
        if self._own is not None:
            if now - self._renewed_at < RENEW_SECONDS:
                return True
            return self._put(now, replacing=self._own, is_held=True, report=report())
        found = self._state.record(KIND, _RECORD_ID)
        if found != self._seen or self._first_seen_at == math.inf:
            self._seen, self._first_seen_at = found, now
        if _is_held(found) and now - self._first_seen_at < LAPSE_SECONDS:
            return False
        return self._put(now, replacing=found, is_held=True, report=report())

    def release(self) -> None:
        """Let another process take the lease at once, if this one has it.

        Raises:
            StateUnavailable: when the state can't be used now; the lease lapses.
        """
        if self._own is not None:
            now = self._clock.monotonic()
            self._put(now, replacing=self._own, is_held=False, report=None)
            self._own = None

    def _put(
        self,
        now: float,
        *,
        replacing: Record | None,
        is_held: bool,
        report: RevocationReport | None,
    ) -> bool:
        text = _Text(nonce=secrets.token_hex(8), is_held=is_held, report=report)
        body = text.model_dump_json()
        record = Record(_RECORD_ID, body, self._clock.now() + _KEPT_SECONDS)
        is_put = self._state.put_if(KIND, record, replacing=replacing)
        self._own = record if is_put else None
        self._renewed_at = now
        return is_put


class _Text(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True)  # A newer release may add members.

    nonce: str
    is_held: bool
    report: RevocationReport | None = None


def _is_held(record: Record | None) -> bool:
    if record is None:
        return False
    try:
        return _Text.model_validate_json(record.body).is_held
    except ValidationError:
        return True  # Of a newer release: it lapses like any other.
