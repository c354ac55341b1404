"""The lease: of several processes that carry out revocations, one calls Amazon IVS.

IVS allows an account two calls a second in a region, however many processes it has. The lease keeps
them from making each call twice. No rule depends on it: every call may be made again, and every
change of the state is made on a condition.

1. A process takes the lease by replacing its record, on the condition that it is still the one that
   it has read (`State.put_if`). It renews it every `RENEW_SECONDS` in the same way.
2. A lease that is not renewed, because its holder has died, lapses `LAPSE_SECONDS` after another
   process has first seen it. No two clocks are compared.
3. A holder that was paused for longer finds another record when it renews, and waits from then on.
"""

from __future__ import annotations

import math
import secrets
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from tokensvc.clock import Clock
from tokensvc.state.base import Record, State

KIND: Final = "revocation-lease"
RENEW_SECONDS: Final = 2.0
LAPSE_SECONDS: Final = 10.0

_RECORD_ID: Final = "holder"
_KEPT_SECONDS: Final = 3_600.0


class RevocationLease:
    """The lease, as one process sees it. Not for several threads."""

    def __init__(self, state: State, clock: Clock) -> None:
        self._state = state
        self._clock = clock
        self._own: Record | None = None
        self._renewed_at = -math.inf
        self._seen: Record | None = None
        self._first_seen_at = math.inf

    def hold(self) -> bool:
        """Take or renew the lease. False if another process has it.

        Raises:
            StateUnavailable: when the state can't be used now.
        """
        now = self._clock.monotonic()
        if self._own is not None:
            if now - self._renewed_at < RENEW_SECONDS:
                return True
            return self._put(now, replacing=self._own, is_held=True)
        found = self._state.record(KIND, _RECORD_ID)
        if found != self._seen or self._first_seen_at == math.inf:
            self._seen, self._first_seen_at = found, now
        if _is_held(found) and now - self._first_seen_at < LAPSE_SECONDS:
            return False
        return self._put(now, replacing=found, is_held=True)

    def release(self) -> None:
        """Let another process take the lease at once, if this one has it.

        Raises:
            StateUnavailable: when the state can't be used now; the lease lapses.
        """
        if self._own is not None:
            self._put(self._clock.monotonic(), replacing=self._own, is_held=False)
            self._own = None

    def _put(self, now: float, *, replacing: Record | None, is_held: bool) -> bool:
        body = _Text(nonce=secrets.token_hex(8), is_held=is_held).model_dump_json()
        record = Record(_RECORD_ID, body, self._clock.now() + _KEPT_SECONDS)
        is_put = self._state.put_if(KIND, record, replacing=replacing)
        self._own = record if is_put else None
        self._renewed_at = now
        return is_put


class _Text(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True)  # A newer release may add members.

    nonce: str
    is_held: bool


def _is_held(record: Record | None) -> bool:
    if record is None:
        return False
    try:
        return _Text.model_validate_json(record.body).is_held
    except ValidationError:
        return True  # Of a newer release: it lapses like any other.
