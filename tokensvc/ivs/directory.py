"""A cache of channel descriptions: few requests wait for IVS, and most survive an outage of IVS.

The rules:

1. A cached answer is fresh for `fresh_seconds`, minus a random share of at most `jitter`, so that
   channels that were looked up together are not refreshed together.
2. At most one lookup for a channel is in flight. The first thread that needs a fresh answer runs
   the lookup. Other threads get the cached answer at once; without one, they wait for the lookup.
3. When IVS fails, the cached answer is used until it is `usable_while_failing_seconds` old. A
   process without a cached answer uses the one stored in the state, which all processes share.
4. The answer that a channel does not exist is cached for `negative_seconds`, and replaces a good
   answer.
5. A failed lookup is not retried for `negative_seconds`.
6. Ages count from the time when the lookup was sent, by the monotonic clock.
7. `warm` looks up several channels in one call. When the call fails, or has no answer for a
   channel, nothing is cached for it: `get` looks up each such channel separately. After a failure,
   no call for several channels is made for `negative_seconds`.
8. No lookup waits for the state to be written: a background writer stores the answers. The stored
   answer is read only after IVS has failed, within a bounded time (see `kept_answers`).

API callers can see the errors raised here, so their text is safe to show. IVS's own reason is
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
from tokensvc.ivs.channels import channel_not_found
from tokensvc.ivs.kept_answers import KeptAnswers
from tokensvc.ivs.limits import MAX_CHANNELS_PER_CALL
from tokensvc.ivs.model import Channel
from tokensvc.waiting import may_wait

Fetch = Callable[[ChannelArn], Channel]
"""Looks up one channel: raises `ChannelNotFound`, `IvsUnavailable` or `IvsRefused`."""

FetchBatch = Callable[[Sequence[ChannelArn]], Mapping[ChannelArn, Channel | ChannelNotFound]]
"""Looks up at most `MAX_CHANNELS_PER_CALL` channels of one region. Channels without an answer are
left out. Raises `NotFound`, `IvsUnavailable` or `IvsRefused` when the whole call fails."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DirectoryTerms:
    """How long answers are used and how many are cached; `jitter` is a share of `fresh_seconds`."""

    fresh_seconds: float = 300.0
    usable_while_failing_seconds: float = 86_400.0
    negative_seconds: float = 10.0
    capacity: int = 10_000
    jitter: float = 0.1

    @property
    def usable_seconds(self) -> float:
        """The age at which a good answer expires."""
        return max(self.fresh_seconds, self.usable_while_failing_seconds)


@dataclass(frozen=True, slots=True)
class _CacheEntry:
    """What is cached for one channel; times are monotonic seconds.

    Attributes:
        arn: the channel's ARN.
        channel: the last good answer, if any.
        is_absent: whether IVS's last answer was that the channel does not exist.
        expires_at: the last time at which the good answer may be used.
        refresh_at: the earliest time of the next lookup.
    """

    arn: ChannelArn
    channel: Channel | None = None
    is_absent: bool = False
    expires_at: float = -math.inf
    refresh_at: float = -math.inf

    def unexpired_channel(self, now: float) -> Channel | None:
        return self.channel if now <= self.expires_at else None

    def answer_at(self, now: float) -> Channel:
        """Return the channel, or raise the error that this entry stands for."""
        if channel := self.unexpired_channel(now):
            return channel
        if self.is_absent:
            raise channel_not_found(self.arn)
        raise IvsUnavailable(
            "This channel can't be looked up in Amazon IVS now, and no cached answer is available.",
            hint="Try again in a few seconds. If the error persists, the log of tokensvc has the"
            " reason.",
        )


_InFlightLookup = Future[_CacheEntry | None]
"""A lookup in flight; the result is None when there is no answer for the channel."""


class ChannelDirectory:
    """Channels by ARN, for all threads of a process."""

    def __init__(
        self,
        fetch: Fetch,
        fetch_batch: FetchBatch,
        clock: Clock,
        terms: DirectoryTerms,
        random: Random,
        stored: KeptAnswers | None = None,
    ) -> None:
        """An empty cache.

        Args:
            fetch: looks up one channel, within a bounded time.
            fetch_batch: looks up several channels, within a bounded time.
            clock: the time.
            terms: how long answers are used and how many are cached.
            random: the jitter.
            stored: the answers that all processes share; None for a cache of this process alone.
        """
        self._fetch = fetch
        self._fetch_batch = fetch_batch
        self._clock = clock
        self._terms = terms
        self._random = random
        self._stored = stored
        self._cache: LRUCache[ChannelArn, _CacheEntry] = LRUCache(terms.capacity)
        self._in_flight: dict[ChannelArn, _InFlightLookup] = {}
        self._no_batch_until = -math.inf
        self._lock = threading.Lock()

    def get(self, arn: ChannelArn) -> Channel:
        """Return the channel; the answer is stale only during a refresh, or while IVS fails.

        Raises:
            ChannelNotFound: when the channel does not exist in IVS.
            IvsUnavailable: when the lookup fails and no cached answer may be used.
        """
        now = self._clock.monotonic()
        with self._lock:
            entry = self._cache.get(arn, _CacheEntry(arn))
            lookup = self._in_flight.get(arn)
            is_our_lookup = lookup is None and now >= entry.refresh_at
            if is_our_lookup or (lookup is not None and not entry.unexpired_channel(now)):
                may_wait()
            if is_our_lookup:
                lookup = self._in_flight[arn] = Future()
        if lookup is None or (not is_our_lookup and entry.unexpired_channel(now)):
            return entry.answer_at(now)
        if is_our_lookup:
            self._run_lookups({arn: lookup}, self._look_up(entry))
        result = lookup.result()
        if result is None:
            return self.get(arn)  # The lookup was part of a batch that had no answer for it.
        # Expiry is checked at the time of the call: a slow lookup must not expire its own answer.
        return result.answer_at(now)

    def warm(self, arns: Iterable[ChannelArn]) -> None:
        """Look up the channels that `get` would have to look up, in as few calls as IVS allows.

        Does not raise when IVS fails: `get` returns the answers and raises the errors.
        """
        with self._lock:
            due = [arn for arn in set(arns) if self._is_due(arn)]
        for batch in _batches(due):
            self._warm_batch(batch)

    def _warm_batch(self, batch: Sequence[ChannelArn]) -> None:
        with self._lock:
            # Checked again, because the earlier batches took time.
            due = [arn for arn in batch if self._is_due(arn)]
            if len(due) <= 1 or self._clock.monotonic() < self._no_batch_until:
                return
            entries = [self._cache.get(arn, _CacheEntry(arn)) for arn in due]
            lookups: dict[ChannelArn, _InFlightLookup] = {arn: Future() for arn in due}
            self._in_flight |= lookups
        self._run_lookups(lookups, self._look_up_batch(entries))

    def _is_due(self, arn: ChannelArn) -> bool:
        entry = self._cache.get(arn, _CacheEntry(arn))
        return arn not in self._in_flight and self._clock.monotonic() >= entry.refresh_at

    def _run_lookups(
        self, lookups: Mapping[ChannelArn, _InFlightLookup], results: Iterator[_CacheEntry]
    ) -> None:
        """Cache each result and pass it to the waiting threads; they get an exception too."""
        waiting = dict(lookups)
        try:
            for entry in results:
                self._finish(entry.arn, entry)
                waiting.pop(entry.arn).set_result(entry)
        except BaseException as exc:
            for arn, lookup in waiting.items():
                self._finish(arn)
                lookup.set_exception(exc)
            raise
        for arn, lookup in waiting.items():
            self._finish(arn)
            lookup.set_result(None)

    def _finish(self, arn: ChannelArn, entry: _CacheEntry | None = None) -> None:
        # In one step, so that no thread finds neither the lookup in flight nor its result.
        with self._lock:
            if entry is not None:
                self._cache[arn] = entry
            del self._in_flight[arn]

    def _look_up(self, entry: _CacheEntry) -> Iterator[_CacheEntry]:
        sent_at = self._clock.monotonic()
        try:
            new_entry = self._entry_for(entry.arn, self._fetch(entry.arn), sent_at)
        except ChannelNotFound as exc:
            new_entry = self._entry_for(entry.arn, exc, sent_at)
        except (IvsUnavailable, IvsRefused) as exc:
            _log.warning("The lookup of channel %s failed: %s", entry.arn, exc)
            usable = self._with_stored_answer(entry)
            # Counted from now, not from sent_at: a lookup that hung must not be retried at once.
            refresh_at = self._clock.monotonic() + self._terms.negative_seconds
            yield replace(usable, is_absent=False, refresh_at=refresh_at)
            return
        yield new_entry
        self._store(new_entry)

    def _look_up_batch(self, entries: Sequence[_CacheEntry]) -> Iterator[_CacheEntry]:
        sent_at = self._clock.monotonic()
        try:
            answers = self._fetch_batch([entry.arn for entry in entries])
        except (NotFound, IvsUnavailable, IvsRefused) as exc:
            _log.warning(
                "Channels are looked up one by one, because their batch lookup failed: %s", exc
            )
            with self._lock:
                now = self._clock.monotonic()
                self._no_batch_until = now + self._terms.negative_seconds
            return
        new_entries = [self._entry_for(arn, answer, sent_at) for arn, answer in answers.items()]
        yield from new_entries
        for entry in new_entries:
            self._store(entry)

    def _store(self, entry: _CacheEntry) -> None:
        if self._stored is None:
            return
        if entry.channel is None:
            self._stored.delete(entry.arn)
        else:
            self._stored.save(entry.channel, entry.expires_at - self._clock.monotonic())

    def _with_stored_answer(self, entry: _CacheEntry) -> _CacheEntry:
        """Return the entry, with the stored answer if its own one is missing or expired."""
        now = self._clock.monotonic()
        if self._stored is None or entry.unexpired_channel(now):
            return entry
        stored = self._stored.load(entry.arn)
        if stored is None:
            return entry
        channel, usable_seconds = stored
        # The cap matters when the clock was set back or the setting was lowered since then.
        expires_at = now + min(usable_seconds, self._terms.usable_seconds)
        return replace(entry, channel=channel, expires_at=expires_at)

    def _entry_for(
        self, arn: ChannelArn, answer: Channel | ChannelNotFound, sent_at: float
    ) -> _CacheEntry:
        terms = self._terms
        if isinstance(answer, ChannelNotFound):
            return _CacheEntry(arn, is_absent=True, refresh_at=sent_at + terms.negative_seconds)
        fresh_seconds = terms.fresh_seconds * (1 - terms.jitter * self._random.random())
        return _CacheEntry(
            arn,
            answer,
            expires_at=sent_at + terms.usable_seconds,
            refresh_at=sent_at + fresh_seconds,
        )


def _batches(arns: Iterable[ChannelArn]) -> Iterator[Sequence[ChannelArn]]:
    """Split the channels into batches for one call each: of one region, within IVS's maximum."""
    for _, of_region in groupby(sorted(arns), lambda arn: arn.region):
        remaining = list(of_region)
        while remaining:
            yield remaining[:MAX_CHANNELS_PER_CALL]
            del remaining[:MAX_CHANNELS_PER_CALL]
