"""A cache of channel descriptions: few requests wait for IVS, and most survive an outage of IVS.

The rules:

1. A cached answer is fresh for `fresh_seconds`, minus a random share of at most `jitter`, so that
   channels that were looked up together are not refreshed together.
2. At most one lookup for a channel is in flight. It runs in the background (`lookups`), and all
   processes of a fleet share the answers. While the cached answer may still be used, no request
   waits for the lookup: it gets the cached answer at once. Without one, it waits until the lookup
   is `LONGEST_WAIT_SECONDS` old; then it goes on as after a failed lookup. The lookup continues,
   and its answer serves later requests.
3. When IVS fails, the cached answer is used until it is `usable_while_failing_seconds` old. A
   process without a cached answer uses the one stored in the state, which all processes share.
4. The answer that a channel does not exist is cached for `negative_seconds`, and replaces a good
   answer.
5. A failed lookup is not retried for `negative_seconds`.
6. Ages count from the time when the lookup was sent, by the monotonic clock.
7. `warm` looks up several channels together, within the same time.
8. No request waits for the state to be written: answers are stored after it has got them. A stored
   answer that is no longer fresh is used only after IVS has failed (see `kept_answers`).
9. A region in which IVS hangs or fails affects no other region. Its lookups use at most a share of
   the threads. After several failures in a row its lookups are paused (see `breaker`), and a
   request that needs one goes on at once as after a failed lookup.
10. The lookup of a channel without a usable answer counts for the caller that requested it (see
   `caller_shares`). One that has used up its share is refused, and nothing is looked up or cached.

API callers can see the errors raised here, so their text is safe to show. IVS's own reason is
logged for the operator.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from dataclasses import dataclass, replace
from itertools import groupby
from random import Random
from typing import Final

from cachetools import Cache, LRUCache

from tokensvc.arns import ChannelArn, Region
from tokensvc.breaker import OPEN_SECONDS
from tokensvc.clock import Clock
from tokensvc.errors import ChannelNotFound, RateLimited
from tokensvc.ivs.answer_uses import AnswerUses
from tokensvc.ivs.cache_entry import (
    CacheEntry,
    DirectoryTerms,
    KnownChannel,
    known_channel,
)
from tokensvc.ivs.caller_shares import CallerShares
from tokensvc.ivs.kept_answers import KeptAnswers
from tokensvc.ivs.lookup_queue import Wanted
from tokensvc.ivs.lookups import (
    Answered,
    Broken,
    Fetch,
    FetchBatch,
    Lookups,
    Outcome,
    Unanswered,
)
from tokensvc.ivs.model import Channel
from tokensvc.ivs.turns import Need, Turns, Unlimited
from tokensvc.waiting import may_wait

LONGEST_WAIT_SECONDS: Final = 2.0
"""How old a lookup is when requests stop waiting for it."""

_NOT_POSSIBLE: Final = "lookups in its region are paused, or too many are waiting"
_TOO_SLOW: Final = "there is no answer of Amazon IVS yet"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Lookup:
    """A lookup in flight, for one channel.

    Attributes:
        answer: what is cached after the lookup.
        give_up_at: when requests stop waiting for it, in monotonic seconds.
    """

    answer: Future[CacheEntry]
    give_up_at: float


class ChannelDirectory:
    """Channels by ARN, for all threads of a process."""

    def __init__(  # noqa: PLR0913 # One for each part of a lookup.
        self,
        fetch: Fetch,
        fetch_batch: FetchBatch,
        clock: Clock,
        terms: DirectoryTerms,
        random: Random,
        stored: KeptAnswers | None = None,
        turns: Turns | None = None,
        *,
        shares: CallerShares | None = None,
    ) -> None:
        """An empty cache.

        Args:
            fetch: looks up one channel, within a bounded time.
            fetch_batch: looks up several channels, within a bounded time.
            clock: the time.
            terms: how long answers are used and how many are cached.
            random: the jitter.
            stored: the answers that all processes share; None for a cache of this process alone.
            turns: gives the turns in which IVS is called; None if its rates need not be kept.
            shares: limits the lookups of each caller; None for no limit.
        """
        self._clock = clock
        self._shares = shares
        self._terms = terms
        self._random = random
        self._stored = stored
        self._cache: LRUCache[ChannelArn, CacheEntry] = LRUCache(terms.capacity)
        self._in_flight: dict[ChannelArn, _Lookup] = {}
        self._lookups = Lookups(
            fetch,
            fetch_batch,
            clock,
            terms,
            stored,
            turns or Unlimited(),
            self._finish,
            shares=shares,
        )
        self._uses = AnswerUses()
        self._fresh_seconds = terms.fresh_seconds
        self._usable_seconds = terms.usable_seconds
        self._lock = threading.Lock()

    def close(self) -> None:
        """Start no lookup from now on; does not wait for calls to IVS."""
        self._lookups.close()

    def get(self, arn: ChannelArn, caller_id: str | None = None) -> Channel:
        """Return the channel; the answer is stale only during a refresh, or while IVS fails.

        Args:
            arn: the channel.
            caller_id: the caller that has requested it; None if its lookup counts for no caller.

        Raises:
            ChannelNotFound: when the channel does not exist in IVS.
            RateLimited: when no usable answer is known, and the caller has used up its share.
            IvsUnavailable: when the lookup fails or takes too long, and no cached answer may be
                used.
        """
        now = self._clock.monotonic()
        with self._lock:
            entry = self._entry(arn)
            age_seconds = now + self._usable_seconds - entry.expires_at
            if age_seconds <= self._fresh_seconds:
                self._uses.fresh += 1
            else:
                self._uses.note(entry, now, age_seconds)
            if now < entry.refresh_at:
                return entry.answer_at(now)
            lookup = self._in_flight.get(arn)
            if lookup is None:
                try:
                    wanted = self._wanted(entry, caller_id, now)
                except RateLimited:
                    self._uses.limited += 1
                    raise
                lookup = self._start(arn.region, [wanted]).get(arn)
        cached = entry.unexpired_channel(now)
        if cached is not None:
            return cached
        if lookup is None:
            return self._give_up(entry, OPEN_SECONDS, _NOT_POSSIBLE).answer_at(now)
        self._wait_for([lookup])
        if not lookup.answer.done():
            return self._give_up(entry, self._terms.negative_seconds, _TOO_SLOW).answer_at(now)
        # Expiry is checked at the time of the call: a slow lookup must not expire its own answer.
        return lookup.answer.result().answer_at(now)

    def known(self, arns: Iterable[ChannelArn]) -> Sequence[KnownChannel]:
        """What is cached about those of these channels about which something is cached.

        Looks up nothing, and does not count as a use of what is cached.
        """
        with self._lock:
            entries = [Cache.__getitem__(self._cache, arn) for arn in arns if arn in self._cache]
        now = self._clock.monotonic()
        return [known_channel(entry, self._terms, now) for entry in entries]

    @property
    def size(self) -> int:
        """About how many channels something is cached."""
        return len(self._cache)

    def take_uses(self) -> AnswerUses:
        """What requests have found since the last call."""
        with self._lock:
            uses, self._uses = self._uses, AnswerUses()
        return uses

    def warm(self, arns: Iterable[ChannelArn], caller_id: str | None = None) -> None:
        """Look up the channels that `get` would have to look up, in as few calls as IVS allows.

        Waits only for channels without a usable answer, and not longer than `get` does, which then
        has nothing to wait for. Does not raise when IVS fails: `get` raises the errors.
        """
        now = self._clock.monotonic()
        with self._lock:
            due = [entry for entry in map(self._entry, set(arns)) if now >= entry.refresh_at]
            unknown = {entry.arn: entry for entry in due if not entry.unexpired_channel(now)}
            self._uses.unknown += len(unknown)
            not_in_flight = []
            for entry in due:
                if entry.arn not in self._in_flight:
                    try:
                        not_in_flight.append(self._wanted(entry, caller_id, now))
                    except RateLimited:  # `get` raises it for each.
                        del unknown[entry.arn]
            not_in_flight.sort(key=lambda each: each.arn)
            for region, of_region in groupby(not_in_flight, lambda each: each.arn.region):
                self._start(region, list(of_region))
            lookups = {arn: lookup for arn in unknown if (lookup := self._in_flight.get(arn))}
        self._wait_for(lookups.values())
        for arn, entry in unknown.items():
            if arn not in lookups:
                self._give_up(entry, OPEN_SECONDS, _NOT_POSSIBLE)
            elif not lookups[arn].answer.done():
                self._give_up(entry, self._terms.negative_seconds, _TOO_SLOW)
            else:
                lookups[arn].answer.result()

    def _entry(self, arn: ChannelArn) -> CacheEntry:
        try:
            return self._cache[arn]
        except KeyError:
            return CacheEntry(arn)

    def _wait_for(self, lookups: Collection[_Lookup]) -> None:
        """Wait until these lookups have ended or are too old. Raises MustWait on an event loop."""
        running = [lookup for lookup in lookups if not lookup.answer.done()]
        give_up_at = max((lookup.give_up_at for lookup in running), default=-math.inf)
        seconds = give_up_at - self._clock.monotonic()
        if seconds > 0:
            answers = [lookup.answer for lookup in running]
            may_wait(answers, seconds)
            wait_for(answers, seconds)

    def _wanted(self, entry: CacheEntry, caller_id: str | None, now: float) -> Wanted:
        """What to look up. The lookup of an unknown channel is counted. Raises RateLimited."""
        known_since = entry.expires_at - self._usable_seconds
        if entry.unexpired_channel(now):
            return Wanted(entry.arn, Need.REFRESH, known_since)
        if self._shares is None or caller_id is None:
            return Wanted(entry.arn, Need.URGENT, known_since)
        return Wanted(entry.arn, self._shares.take(caller_id), known_since, caller_id)

    def _start(self, region: Region, wanted: Sequence[Wanted]) -> Mapping[ChannelArn, _Lookup]:
        """Start to look up these channels of one region; returns nothing if that is not possible.

        The caller holds the lock.
        """
        if not self._lookups.start(region, wanted):
            return {}
        give_up_at = self._clock.monotonic() + LONGEST_WAIT_SECONDS
        lookups = {each.arn: _Lookup(Future(), give_up_at) for each in wanted}
        self._in_flight |= lookups
        return lookups

    def _give_up(self, entry: CacheEntry, pause_seconds: float, reason: str) -> CacheEntry:
        """Cache the entry as after a failed lookup, unless another thread has changed it."""
        failed = self._failed(entry, pause_seconds)
        with self._lock:
            current = self._cache.get(entry.arn, entry)
            if current is not entry:
                return current
            self._cache[entry.arn] = failed
        _log.warning("Channel %s can't be looked up now: %s.", entry.arn, reason)
        return failed

    def _finish(self, arn: ChannelArn, outcome: Outcome) -> None:
        """Cache the outcome and pass it to the waiting threads; they get an exception too."""
        with self._lock:
            entry = self._entry(arn)
        match outcome:
            case Answered(answer, sent_at):
                entry = self._entry_for(arn, answer, sent_at)
            case Unanswered(pause_seconds):
                entry = self._failed(entry, pause_seconds)
            case Broken():
                refresh_at = self._clock.monotonic() + self._terms.negative_seconds
                entry = replace(entry, refresh_at=refresh_at)
        # In one step, so that no thread finds neither the lookup in flight nor its result.
        with self._lock:
            if entry.channel or not isinstance(outcome, Broken):
                self._cache[arn] = entry
            lookup = self._in_flight.pop(arn)
        if isinstance(outcome, Broken):
            lookup.answer.set_exception(outcome.exception)
        else:
            lookup.answer.set_result(entry)

    def _failed(self, entry: CacheEntry, pause_seconds: float) -> CacheEntry:
        """The entry after a lookup without an answer: no lookup until the pause has ended."""
        with self._lock:
            # A request that waited too long may have found a stored answer.
            entry = self._cache.get(entry.arn, entry)
        usable = self._with_stored_answer(entry)
        # Counted from now, not from when it was sent: a lookup that hung must not be retried at
        # once.
        pause_seconds = min(pause_seconds, self._terms.negative_seconds)
        refresh_at = self._clock.monotonic() + pause_seconds
        return replace(usable, is_absent=False, refresh_at=refresh_at)

    def _with_stored_answer(self, entry: CacheEntry) -> CacheEntry:
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
    ) -> CacheEntry:
        terms = self._terms
        if isinstance(answer, ChannelNotFound):
            return CacheEntry(arn, is_absent=True, refresh_at=sent_at + terms.negative_seconds)
        fresh_seconds = terms.fresh_seconds * (1 - terms.jitter * self._random.random())
        return CacheEntry(
            arn,
            answer,
            expires_at=sent_at + terms.usable_seconds,
            refresh_at=sent_at + fresh_seconds,
        )
