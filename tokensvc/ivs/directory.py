"""What IVS says about channels, remembered: a request seldom waits for IVS, and IVS may fail.

The rules:

1. An answer is fresh for `fresh_seconds`, less a random share of at most `jitter`, so that channels
   learned together are not asked for together again.
2. One look-up at most is under way for a channel. The asker that finds an answer no longer fresh
   looks up; others get the last good answer at once, or wait for that look-up when there is none.
3. When IVS fails, the last good answer serves until it is `usable_while_failing_seconds` old; where
   this process has none, the one that is kept for all of them.
4. That there is no such channel is remembered for `negative_seconds`, in place of a good answer.
5. A failed look-up is not tried again for `negative_seconds`.
6. Ages run from when the look-up was sent, by the monotonic clock.
7. Channels that will be asked for next are looked up together (`warm`). Where that fails, or says
   nothing of a channel, nothing is learned: each is looked up alone by whoever asks for it. After
   a failure no channels are looked up together for `negative_seconds`.

Whoever asks here may be a caller of the API, so the errors are in safe words; IVS's own reason is
logged for the operator.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from itertools import groupby
from random import Random

from cachetools import LRUCache

from tokensvc.arns import ChannelArn
from tokensvc.clock import Clock
from tokensvc.errors import ChannelNotFound, IvsRefused, IvsUnavailable, NotFound
from tokensvc.ivs.channels import MOST_IN_A_CALL, channel_not_found
from tokensvc.ivs.kept_answers import KeptAnswers
from tokensvc.ivs.model import Channel

Fetch = Callable[[ChannelArn], Channel]
"""Looks one channel up: raises `ChannelNotFound`, `IvsUnavailable` or `IvsRefused`."""

FetchTogether = Callable[[Sequence[ChannelArn]], Mapping[ChannelArn, Channel | ChannelNotFound]]
"""Looks up to `MOST_IN_A_CALL` channels of one region up, and leaves out those that it learned
nothing of: raises `NotFound`, `IvsUnavailable` or `IvsRefused` when the whole call fails."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DirectoryTerms:
    """How long answers serve and how many are kept; `jitter` is a share of `fresh_seconds`."""

    fresh_seconds: float = 300.0
    usable_while_failing_seconds: float = 86_400.0
    negative_seconds: float = 10.0
    capacity: int = 10_000
    jitter: float = 0.1

    @property
    def usable_seconds(self) -> float:
        """How long an answer serves at most."""
        return max(self.fresh_seconds, self.usable_while_failing_seconds)


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

    def answered_at(self, now: float) -> Channel:
        """The channel, or the refusal that this memory stands for."""
        if channel := self.usable_at(now):
            return channel
        if self.is_absent:
            raise channel_not_found(self.arn)
        raise IvsUnavailable(
            "Amazon IVS can't be asked about this channel just now.", hint="Try again soon."
        )


_Flight = Future[_Memory | None]
"""A look-up that is under way; None when nothing was learned."""


class ChannelDirectory:
    """Channels by ARN, for all threads of a process."""

    def __init__(
        self,
        fetch: Fetch,
        fetch_together: FetchTogether,
        clock: Clock,
        terms: DirectoryTerms,
        random: Random,
        kept: KeptAnswers | None = None,
    ) -> None:
        """A directory that knows nothing yet.

        Args:
            fetch: looks one channel up, within a bounded time.
            fetch_together: looks several up, within a bounded time.
            clock: the time.
            terms: how long answers serve and how many are kept.
            random: the jitter.
            kept: the answers that all processes share; None for a directory on its own.
        """
        self._fetch = fetch
        self._fetch_together = fetch_together
        self._clock = clock
        self._terms = terms
        self._random = random
        self._kept = kept
        self._memories: LRUCache[ChannelArn, _Memory] = LRUCache(terms.capacity)
        self._flights: dict[ChannelArn, _Flight] = {}
        self._together_again_at = -math.inf
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
            return memory.answered_at(now)
        if is_ours:
            self._fly({arn: flight}, self._look_up(memory))
        learned = flight.result()
        if learned is None:
            return self.get(arn)  # It was to be looked up together with others, and was not.
        # As of when it was asked for: however long the look-up took, its answer is told.
        return learned.answered_at(now)

    def warm(self, arns: Iterable[ChannelArn]) -> None:
        """Look up those channels that `get` would have to look up, as many in a call as IVS takes.

        What IVS says, and that it fails, is told by `get`.
        """
        with self._lock:
            due = [arn for arn in set(arns) if self._is_due(arn)]
        for call in _calls(due):
            self._look_up_in_a_call(call)

    def _look_up_in_a_call(self, call: Sequence[ChannelArn]) -> None:
        with self._lock:
            # Looked at again: the calls before this one took their time.
            due = [arn for arn in call if self._is_due(arn)]
            if len(due) <= 1 or self._clock.monotonic() < self._together_again_at:
                return
            memories = [self._memories.get(arn, _Memory(arn)) for arn in due]
            flights: dict[ChannelArn, _Flight] = {arn: Future() for arn in due}
            self._flights |= flights
        self._fly(flights, self._look_up_together(memories))

    def _is_due(self, arn: ChannelArn) -> bool:
        memory = self._memories.get(arn, _Memory(arn))
        return arn not in self._flights and self._clock.monotonic() >= memory.ask_again_at

    def _fly(self, flights: Mapping[ChannelArn, _Flight], look_up: Iterator[_Memory]) -> None:
        """Remember what is learned, and tell all who wait; a fault of the look-up is told too."""
        waiting = dict(flights)
        try:
            for learned in look_up:
                self._land(learned.arn, learned)
                waiting.pop(learned.arn).set_result(learned)
        except BaseException as exc:
            for arn, flight in waiting.items():
                self._land(arn)
                flight.set_exception(exc)
            raise
        for arn, flight in waiting.items():
            self._land(arn)
            flight.set_result(None)

    def _land(self, arn: ChannelArn, learned: _Memory | None = None) -> None:
        # In one step, so that nobody finds neither the flight nor what it learned.
        with self._lock:
            if learned is not None:
                self._memories[arn] = learned
            del self._flights[arn]

    def _look_up(self, memory: _Memory) -> Iterator[_Memory]:
        asked_at = self._clock.monotonic()
        try:
            learned = self._learned(memory.arn, self._fetch(memory.arn), asked_at)
        except ChannelNotFound as exc:
            learned = self._learned(memory.arn, exc, asked_at)
        except (IvsUnavailable, IvsRefused) as exc:
            _log.warning("The channel %s could not be looked up: %s", memory.arn, exc)
            recalled = self._recalled(memory)
            # From now, not from when it was sent: a look-up that hung must not be tried at once.
            ask_again_at = self._clock.monotonic() + self._terms.negative_seconds
            yield replace(recalled, is_absent=False, ask_again_at=ask_again_at)
            return
        yield learned
        self._keep(learned)  # Once nobody waits for it any more.

    def _look_up_together(self, memories: Sequence[_Memory]) -> Iterator[_Memory]:
        asked_at = self._clock.monotonic()
        try:
            answers = self._fetch_together([memory.arn for memory in memories])
        except (NotFound, IvsUnavailable, IvsRefused) as exc:
            _log.warning("Channels are looked up one by one, as together they can't be: %s", exc)
            with self._lock:
                now = self._clock.monotonic()
                self._together_again_at = now + self._terms.negative_seconds
            return
        learned = [self._learned(arn, answer, asked_at) for arn, answer in answers.items()]
        yield from learned
        for memory in learned:
            self._keep(memory)

    def _keep(self, memory: _Memory) -> None:
        if self._kept is None:
            return
        if memory.channel is None:
            self._kept.drop(memory.arn)
        else:
            self._kept.keep(memory.channel, memory.usable_until - self._clock.monotonic())

    def _recalled(self, memory: _Memory) -> _Memory:
        """The memory, with the kept answer where it has none of its own that may serve."""
        now = self._clock.monotonic()
        if self._kept is None or memory.usable_at(now):
            return memory
        kept = self._kept.recall(memory.arn)
        if kept is None:
            return memory
        channel, usable_seconds = kept
        # A clock that was set back, or a setting that was lowered, must not stretch its life.
        usable_until = now + min(usable_seconds, self._terms.usable_seconds)
        return replace(memory, channel=channel, usable_until=usable_until)

    def _learned(
        self, arn: ChannelArn, answer: Channel | ChannelNotFound, asked_at: float
    ) -> _Memory:
        terms = self._terms
        if isinstance(answer, ChannelNotFound):
            return _Memory(arn, is_absent=True, ask_again_at=asked_at + terms.negative_seconds)
        fresh_seconds = terms.fresh_seconds * (1 - terms.jitter * self._random.random())
        return _Memory(
            arn,
            answer,
            usable_until=asked_at + terms.usable_seconds,
            ask_again_at=asked_at + fresh_seconds,
        )


def _calls(arns: Iterable[ChannelArn]) -> Iterator[Sequence[ChannelArn]]:
    """The channels as IVS takes them in one call: of one region, and not too many."""
    for _, of_region in groupby(sorted(arns), lambda arn: arn.region):
        left = list(of_region)
        while left:
            yield left[:MOST_IN_A_CALL]
            del left[:MOST_IN_A_CALL]
