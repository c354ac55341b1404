"""Turns: the processes of a fleet look up the channels of a region one after another.

IVS allows an account five GetChannel and five BatchGetChannel calls a second in a region, however
many processes it has. So a process takes a turn before it calls. The turn of a region is a record
in the state, and these are its rules:

1. A process takes the turn by replacing the record, on the condition that it is still the one that
   it has read (`State.put_if`). Of several processes one wins; the others try again.
2. In a turn, calls begin at least `CALL_SECONDS` apart, for `TURN_SECONDS` at most. Then the holder
   stores its answers, and ends the turn by replacing the record again. The record says how long
   the next call must still wait. So the fleet makes at most four calls a second.
3. Whoever has the turn knows every answer of the turns before, so that no channel is looked up
   twice. It reads the stored answers again if another process had the turn since it last read.
4. A turn that is not ended, because its holder has died or IVS hangs, lapses `LAPSE_SECONDS` after
   another process has seen it. The holder makes no call after `TURN_SECONDS`.
5. No two clocks are compared: a process counts from when it has first seen a record, by its own
   monotonic clock, which is later than the record was written. Only a record that has expired, by
   more than clocks differ, is taken at once.
6. After a call that IVS throttled (429), no process calls for a second, and for twice as long after
   each further one, up to `LONGEST_REST_SECONDS`.
7. A turn for refreshes alone, for which no request waits, begins `REFRESH_SECONDS` after the last
   turn of any process. Meanwhile more channels become due, which share a call.
8. A turn for channels that are each one of many of their caller (see `caller_shares`) begins
   `MANY_SECONDS` later than it could. So a process in which another caller waits takes it first.
9. While the state can't be used, each process finds its own pace, up to four calls a second: a call
   that IVS throttled slows it down to one in `ALONE_SECONDS`, the share in a fleet of 16, and
   further ones to less. It tries the state again after `PAUSE_SECONDS`.
"""

from __future__ import annotations

import logging
import math
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from tokensvc.arns import Region
from tokensvc.clock import Clock
from tokensvc.errors import TokensvcError
from tokensvc.ivs.limits import CHANNEL_CALLS_PER_SECOND
from tokensvc.ivs.turns import Need, Turn
from tokensvc.state.base import Record, State

KIND: Final = "channel-lookups"
SCHEMA_VERSION: Final = 1

CALL_SECONDS: Final = 1 / (CHANNEL_CALLS_PER_SECOND - 1)
"""One call a second is left for commands, and for other programs of the account."""

TURN_SECONDS: Final = 4 * CALL_SECONDS
LAPSE_SECONDS: Final = 2.0
REFRESH_SECONDS: Final = 2.0
MANY_SECONDS: Final = 0.4
ALONE_SECONDS: Final = 4.0
FASTER_SHARE: Final = 0.9
PAUSE_SECONDS: Final = 5.0
LONGEST_REST_SECONDS: Final = 32.0

_SKEW_SECONDS: Final = 10.0
"""The most by which two clocks differ (`rotation.clock_skew_seconds` by default)."""

_LONGEST_POLL_SECONDS: Final = 0.15

_log = logging.getLogger(__name__)


class _RecordBody(BaseModel):
    """The body of a record; its ID is the region.

    Attributes:
        schema_version: of this body.
        nonce: a random text of this write.
        is_held: whether a process has the turn.
        rest_seconds: how long the next call must wait, when the turn has ended.
        throttled: how many turns in a row ended because IVS throttled a call.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    schema_version: int
    nonce: str
    is_held: bool
    rest_seconds: float
    throttled: int


@dataclass(frozen=True, slots=True)
class _Seen:
    """A record that was read or written.

    Attributes:
        record: the record; None if there is none.
        body: what it says; None if it has expired, or is not one of this release.
        first_at: when this process has first seen it, in monotonic seconds.
    """

    record: Record | None = None
    body: _RecordBody | None = None
    first_at: float = -math.inf

    def free_at(self, need: Need) -> float:
        """When the next turn may begin, by the monotonic clock."""
        if self.body is None:
            return -math.inf
        seconds = LAPSE_SECONDS if self.body.is_held else self.body.rest_seconds
        if need is Need.ONE_OF_MANY:
            seconds += MANY_SECONDS
        return self.first_at + max(seconds, REFRESH_SECONDS if need is Need.REFRESH else 0.0)


class SharedTurns:
    """The turns of all regions, in the state that all processes share."""

    def __init__(
        self,
        state: State,
        clock: Clock,
        random: Random,
        pause: Callable[[float], object] | None = None,
    ) -> None:
        """Nothing is read before the first turn is taken.

        Args:
            state: where the turns are.
            clock: the time.
            random: spreads the attempts of the processes in time.
            pause: waits for that many seconds; by default also until `close`.
        """
        self._state = state
        self.clock = clock
        self._random = random
        self._closing = threading.Event()
        self._pause = pause or self._closing.wait
        self._seen: dict[Region, _Seen] = {}
        self._own: dict[Region, str] = {}
        self._no_state_until = -math.inf
        self._not_before: dict[Region, float] = {}
        self._alone: dict[Region, _TurnAlone] = {}

    def take(self, region: Region, need: Callable[[], Need]) -> Turn | None:
        """Wait for the turn of that region. None if there is no need any more, or after `close`."""
        while not self._closing.is_set() and (now_needed := need()) is not Need.NOTHING:
            attempt = self._attempt(region, now_needed)
            if not isinstance(attempt, float):
                return attempt
            has_changed = partial(_differs, need, now_needed)
            self.wait_until(self.clock.monotonic() + attempt, unless=has_changed)
        return None

    def close(self) -> None:
        """Give no turn from now on."""
        self._closing.set()

    def wait_until(self, moment: float, unless: Callable[[], bool] = lambda: False) -> None:
        """Wait until that monotonic time, or until `close`, or until `unless` is true."""
        while (left := moment - self.clock.monotonic()) > 0:
            if self._closing.is_set() or unless():
                return
            self._pause(min(left, _LONGEST_POLL_SECONDS))

    def let_others_go_first(self, region: Region) -> None:
        """Take no turn of that region before other processes had the time to see that it is free.

        This process knows at once, so it would win each time.
        """
        self._not_before[region] = self.clock.monotonic() + CALL_SECONDS + _LONGEST_POLL_SECONDS

    def _attempt(self, region: Region, need: Need) -> Turn | float:
        """Take the turn if it is free now, else return how long to wait before the next attempt."""
        now = self.clock.monotonic()
        if now < self._no_state_until:
            return self._attempt_alone(region, need, now)
        # An urgent turn may become free at any time. For a refresh, it is not looked at before.
        poll = self._random.uniform(_LONGEST_POLL_SECONDS / 3, _LONGEST_POLL_SECONDS)
        if now < self._not_before.get(region, -math.inf) or self._is_held_here(region, now):
            return poll
        try:
            seen = self._look(region)
            wait_seconds = seen.free_at(need) - now
            if wait_seconds > 0:
                return wait_seconds if need is Need.REFRESH else min(wait_seconds, poll)
            return self._take(region, seen) or 0.0
        except TokensvcError as exc:
            _log.warning("Channels are looked up without a turn in the state: %s", exc)
            self._no_state_until = self.clock.monotonic() + PAUSE_SECONDS
            return self._attempt_alone(region, need, now)

    def _is_held_here(self, region: Region, now: float) -> bool:
        """Whether another thread of this process has the turn, which is known without a read."""
        seen = self._seen.get(region, _Seen())
        is_held = seen.body is not None and seen.body.is_held and self._is_own(region, seen)
        return is_held and now < seen.first_at + LAPSE_SECONDS

    def _is_own(self, region: Region, seen: _Seen) -> bool:
        return seen.record is not None and seen.record.body == self._own.get(region)

    def _look(self, region: Region) -> _Seen:
        record = self._state.record(KIND, region)
        seen = self._seen.get(region, _Seen())
        if record != seen.record or seen.body is None:
            seen = _Seen(record, self._body_of(record), self.clock.monotonic())
            self._seen[region] = seen
        return seen

    def _body_of(self, record: Record | None) -> _RecordBody | None:
        if record is None or record.expires_at <= self.clock.now():
            return None
        try:
            body = _RecordBody.model_validate_json(record.body)
        except ValidationError:
            return None
        return body if body.schema_version == SCHEMA_VERSION else None

    def _take(self, region: Region, seen: _Seen) -> Turn | None:
        throttled = seen.body.throttled if seen.body else 0
        # Where there is no record, no process had a turn for an hour.
        may_be_outdated = seen.record is not None and not self._is_own(region, seen)
        taken = self.write(region, seen.record, is_held=True, throttled=throttled)
        if taken is None:
            return None
        return _TurnInState(self, region, taken, throttled, may_be_outdated=may_be_outdated)

    def write(
        self,
        region: Region,
        replaced: Record | None,
        *,
        is_held: bool,
        throttled: int,
        rest_seconds: float = 0.0,
    ) -> _Seen | None:
        """Replace the record. Returns the new one, or None if the stored one is another.

        Raises:
            StateUnavailable: when the state can't be written now.
        """
        body = _RecordBody(
            schema_version=SCHEMA_VERSION,
            nonce=secrets.token_hex(8),
            is_held=is_held,
            rest_seconds=rest_seconds,
            throttled=throttled,
        )
        lifetime = max(LAPSE_SECONDS, rest_seconds) + _SKEW_SECONDS
        # Counted from before the write, so that the holder never counts from later than the others.
        sent_at = self.clock.monotonic()
        record = Record(region, body.model_dump_json(), self.clock.now() + lifetime)
        if not self._state.put_if(KIND, record, replacing=replaced):
            return None
        seen = self._seen[region] = _Seen(record, body, sent_at)
        self._own[region] = record.body
        return seen

    def _attempt_alone(self, region: Region, need: Need, now: float) -> Turn | float:
        turn = self._alone.setdefault(region, _TurnAlone(self.clock))
        free_at = turn.free_at + (REFRESH_SECONDS if need is Need.REFRESH else 0.0)
        if now < free_at:
            return free_at - now
        turn.begin()
        return turn


class _TurnInState:
    """A turn that was taken in the state."""

    is_shared = True

    def __init__(
        self,
        turns: SharedTurns,
        region: Region,
        seen: _Seen,
        throttled: int,
        *,
        may_be_outdated: bool,
    ) -> None:
        self.may_be_outdated = may_be_outdated
        self._turns = turns
        self._region = region
        self._seen = seen
        self._throttled = throttled
        self._sent_at = -math.inf

    def next_call(self) -> bool:
        """Wait until `CALL_SECONDS` after the call before. False when the turn is over."""
        self._turns.wait_until(self._sent_at + CALL_SECONDS)
        now = self._turns.clock.monotonic()
        if now - self._seen.first_at >= TURN_SECONDS:
            self._turns.let_others_go_first(self._region)
            return False
        self._sent_at = now
        return True

    def end(self, *, is_throttled: bool) -> None:
        """End the turn, unless it has lapsed and another process has it."""
        now = self._turns.clock.monotonic()
        rest_seconds = max(0.0, self._sent_at + CALL_SECONDS - now)
        throttled = 0 if self._sent_at > -math.inf else self._throttled
        if is_throttled:
            rest_seconds = min(2.0**self._throttled, LONGEST_REST_SECONDS)
            throttled = self._throttled + 1
            _log.warning(
                "Amazon IVS in %s throttles the lookups of channels. No process of this deployment"
                " looks one up for %g seconds.",
                self._region,
                rest_seconds,
            )
        try:
            self._turns.write(
                self._region,
                self._seen.record,
                is_held=False,
                throttled=throttled,
                rest_seconds=rest_seconds,
            )
        except TokensvcError as exc:
            _log.info("A turn to look up channels was not ended, and lapses: %s", exc)


class _TurnAlone:
    """The turns of one region while the state can't be used: each has one call."""

    is_shared = False
    may_be_outdated = False

    def __init__(self, clock: Clock) -> None:
        self.free_at = -math.inf
        self._clock = clock
        self._calls_left = 0
        self._pace_seconds = CALL_SECONDS

    def begin(self) -> None:
        """Begin the next turn."""
        self._calls_left = 1
        self.free_at = self._clock.monotonic() + self._pace_seconds

    def next_call(self) -> bool:
        """Whether the call of this turn is still to be made."""
        self._calls_left -= 1
        return self._calls_left == 0

    def end(self, *, is_throttled: bool) -> None:
        """Find the pace: slower after a call that IVS throttled, and a little faster after others.

        The calls of all processes count, but how many there are is not known.
        """
        pace_seconds = self._pace_seconds
        if is_throttled:
            self._pace_seconds = max(min(2 * pace_seconds, LONGEST_REST_SECONDS), ALONE_SECONDS)
            self.free_at = self._clock.monotonic() + self._pace_seconds
        else:
            self._pace_seconds = max(FASTER_SHARE * pace_seconds, CALL_SECONDS)


def _differs(need: Callable[[], Need], before: Need) -> bool:
    return need() is not before
