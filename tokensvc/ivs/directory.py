"""What IVS says about channels, remembered: a request seldom waits for IVS, and IVS may fail.

The rules:

1. An answer is fresh for `fresh_seconds`, less a random share of at most `jitter`, so that channels
   learned together are not asked for together again.
2. One look-up at most is under way for a channel. The asker that finds an answer no longer fresh
   looks up; others get the last good answer at once, or wait for that look-up when there is none.
3. When IVS fails, the last good answer serves until it is `usable_while_failing_seconds` old.
4. That there is no such channel is remembered for `negative_seconds`, in place of a good answer.
5. A failed look-up is not tried again for `negative_seconds`.
6. Ages run from when the look-up was sent, by the monotonic clock.

Whoever asks here may be a caller of the API, so the errors are in safe words; IVS's own reason is
logged for the operator.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from random import Random

from cachetools import LRUCache

from tokensvc.arns import ChannelArn
from tokensvc.clock import Clock
from tokensvc.errors import ChannelNotFound, IvsRefused, IvsUnavailable
from tokensvc.ivs.model import Channel

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DirectoryTerms:
    """How long answers serve and how many are kept; `jitter` is a share of `fresh_seconds`."""

    fresh_seconds: float = 300.0
    usable_while_failing_seconds: float = 86_400.0
    negative_seconds: float = 10.0
    capacity: int = 10_000
    jitter: float = 0.1


@dataclass(frozen=True, slots=True)
class _Memory:
    """What is remembered of one channel; moments are monotonic seconds.

    Attributes:
        arn: the channel's ARN.
        channel: the last good answer, if any.
        is_absent: whether IVS's last answer was that there is no such channel.
        usable_until: after this moment the good answer serves no more.
        ask_again_at: from this moment on IVS may be asked again.
    """

    arn: ChannelArn
    channel: Channel | None = None
    is_absent: bool = False
    usable_until: float = -math.inf
    ask_again_at: float = -math.inf

    def usable_at(self, now: float) -> Channel | None:
        return self.channel if now <= self.usable_until else None

    def told_at(self, now: float) -> Channel:
        """The channel, or the refusal that this memory stands for."""
        if channel := self.usable_at(now):
            return channel
        if self.is_absent:
            raise ChannelNotFound(
                f"Amazon IVS knows no channel {self.arn}.",
                way_out="Check the channel's ARN, its region and its account.",
            )
        raise IvsUnavailable(
            "Amazon IVS can't be asked about this channel just now.", way_out="Try again soon."
        )


class ChannelDirectory:
    """Channels by ARN, for all threads of a process."""

    def __init__(
        self,
        fetch: Callable[[ChannelArn], Channel],
        clock: Clock,
        terms: DirectoryTerms,
        random: Random,
    ) -> None:
        """A directory that knows nothing yet.

        Args:
            fetch: looks one channel up, within a bounded time; raises `ChannelNotFound`,
                `IvsUnavailable` or `IvsRefused`.
            clock: the time.
            terms: how long answers serve and how many are kept.
            random: the jitter.
        """
        self._fetch = fetch
        self._clock = clock
        self._terms = terms
        self._random = random
        self._memories: LRUCache[ChannelArn, _Memory] = LRUCache(terms.capacity)
        self._flights: dict[ChannelArn, Future[_Memory]] = {}
        self._lock = threading.Lock()

    def get(self, arn: ChannelArn) -> Channel:
        """The channel, as IVS described it at most `fresh_seconds` ago, or last while it fails.

        Raises:
            ChannelNotFound: when IVS knows no such channel.
            IvsUnavailable: when IVS can't be asked and no earlier answer may serve.
        """
        now = self._clock.monotonic()
        with self._lock:
            memory = self._memories.get(arn, _Memory(arn))
            flight = self._flights.get(arn)
            is_ours = flight is None and now >= memory.ask_again_at
            if is_ours:
                flight = self._flights[arn] = Future()
        if flight is None or (not is_ours and memory.usable_at(now)):
            return memory.told_at(now)
        if is_ours:
            self._fly(memory, flight)
        # As of when it was asked for: however long the look-up took, its answer is told.
        return flight.result().told_at(now)

    def _fly(self, memory: _Memory, flight: Future[_Memory]) -> None:
        """Look up, remember, and tell all who wait; a fault of `fetch` itself is told as well."""
        try:
            learned = self._look_up(memory)
        except BaseException as exc:
            with self._lock:
                del self._flights[memory.arn]
            flight.set_exception(exc)
            raise
        with self._lock:
            # In one step, so that nobody finds neither the flight nor what it learned.
            self._memories[memory.arn] = learned
            del self._flights[memory.arn]
        flight.set_result(learned)

    def _look_up(self, memory: _Memory) -> _Memory:
        asked_at = self._clock.monotonic()
        try:
            channel = self._fetch(memory.arn)
        except ChannelNotFound:
            return _Memory(
                memory.arn, is_absent=True, ask_again_at=asked_at + self._terms.negative_seconds
            )
        except (IvsUnavailable, IvsRefused) as exc:
            _log.warning("The channel %s could not be looked up: %s", memory.arn, exc)
            # From now, not from when it was sent: a look-up that hung must not be tried at once.
            return replace(
                memory,
                is_absent=False,
                ask_again_at=self._clock.monotonic() + self._terms.negative_seconds,
            )
        terms = self._terms
        fresh_seconds = terms.fresh_seconds * (1 - terms.jitter * self._random.random())
        return _Memory(
            memory.arn,
            channel,
            usable_until=asked_at + max(terms.fresh_seconds, terms.usable_while_failing_seconds),
            ask_again_at=asked_at + fresh_seconds,
        )
