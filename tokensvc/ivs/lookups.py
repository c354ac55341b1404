"""Looks up channels in the background: first among the stored answers, then in IVS.

1. What is queued for a region is read from the state first, up to `MAX_READ` channels at once. A
   stored answer is taken if it is fresh, and newer than the one that this process knows.
2. The others are asked for in IVS, in a turn of this process (see `shared_turns`). They share
   calls: what has been queued meanwhile is in the next call. A single channel is asked for with
   GetChannel, so that it does not need the permission for BatchGetChannel.
3. Channels for which a request may wait come first, and before those of a caller with many.
4. When IVS refuses a call for several channels, or has no answer for one of them, each such channel
   is asked for separately; when the call fails, some are. After a refused or failed call, no other
   one for several channels is made in that region for `negative_seconds`.
5. Answers are stored before the turn ends, so that whoever has the next turn finds them. While the
   state fails, they are stored later.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from tokensvc.arns import ChannelArn, Region
from tokensvc.breaker import OPEN_SECONDS
from tokensvc.clock import Clock
from tokensvc.errors import ChannelNotFound, IvsRefused, IvsUnavailable, NotFound
from tokensvc.ivs.breaker import Breakers, CallsPaused
from tokensvc.ivs.cache_entry import DirectoryTerms
from tokensvc.ivs.caller_shares import CallerShares
from tokensvc.ivs.errors import Throttled
from tokensvc.ivs.kept_answers import KeptAnswers
from tokensvc.ivs.limits import MAX_CHANNELS_PER_CALL
from tokensvc.ivs.lookup_queue import RegionQueues, Wanted
from tokensvc.ivs.lookup_threads import LookupThreads
from tokensvc.ivs.model import Channel
from tokensvc.ivs.turns import Need, Turn, Turns
from tokensvc.spans import first_of, within

Fetch = Callable[[ChannelArn], Channel]
"""Looks up one channel: raises `ChannelNotFound`, `IvsUnavailable` or `IvsRefused`."""

FetchBatch = Callable[[Sequence[ChannelArn]], Mapping[ChannelArn, Channel | ChannelNotFound]]
"""Looks up at most `MAX_CHANNELS_PER_CALL` channels of one region. Channels without an answer are
left out. Raises `NotFound`, `IvsUnavailable` or `IvsRefused` when the whole call fails."""

MAX_READ: Final = 100
"""How many stored answers are read at once."""

MAX_ASKING: Final = 3
"""How many threads of a region may be busy with IVS. One more reads stored answers meanwhile."""

MAX_ASKED_AGAIN: Final = 8
"""How many channels of a call without an answer are asked for separately: as many as four calls a
second can find while a request waits."""

MAX_QUEUED: Final = 10_000
"""How many channels of a region may be queued."""

MAX_AHEAD_SECONDS: Final = 10.0
"""An answer that was stored by a clock which is ahead by more does not count as fresh: the most by
which two clocks differ (`rotation.clock_skew_seconds` by default)."""

SAME_ANSWER_SECONDS: Final = 1.0
"""Two answers whose times differ by less are the same one."""

CLOSE_SECONDS: Final = 1.0
"""How long `close` waits for the turns of this process to end, so that no other one waits for them
to lapse."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Answered:
    """IVS's answer, and when it was asked, in monotonic seconds."""

    answer: Channel | ChannelNotFound
    sent_at: float


@dataclass(frozen=True, slots=True)
class Unanswered:
    """The lookup failed, and is not to be repeated for that time."""

    pause_seconds: float


@dataclass(frozen=True, slots=True)
class Broken:
    """A bug. The exception is to be raised where the answer is waited for."""

    exception: Exception


Outcome = Answered | Unanswered | Broken


class Lookups:
    """The lookups of a process, for all its threads."""

    def __init__(  # noqa: PLR0913 # One for each part of a lookup.
        self,
        fetch: Fetch,
        fetch_batch: FetchBatch,
        clock: Clock,
        terms: DirectoryTerms,
        stored: KeptAnswers | None,
        turns: Turns,
        finish: Callable[[ChannelArn, Outcome], None],
        *,
        shares: CallerShares | None = None,
    ) -> None:
        """Nothing is looked up yet.

        Args:
            fetch: looks up one channel, within a bounded time.
            fetch_batch: looks up several channels, within a bounded time.
            clock: the time.
            terms: how long answers are used.
            stored: the answers that all processes share; None for this process alone.
            turns: gives the turns in which IVS is called.
            finish: called with the outcome of each lookup, once, in a thread of the lookups.
            shares: gets back the count of a lookup whose answer was stored.
        """
        self._fetch = fetch
        self._fetch_batch = fetch_batch
        self._clock = clock
        self._terms = terms
        self._stored = stored
        self._turns = turns
        self._finish = finish
        self._shares = shares
        self._queues: dict[Region, RegionQueues] = {}
        self._no_batch_until: dict[Region, float] = {}
        self._breakers = Breakers(clock)
        self._threads = LookupThreads(self._work)
        self._is_closed = False
        self._turns_to_end = 0  # Turns that have not ended and wait for no answer of IVS.
        self._lock = threading.Condition()

    def start(self, region: Region, wanted: Sequence[Wanted]) -> bool:
        """Begin to look up these channels of one region. Returns False if that is not possible."""
        if not self._breakers.admits(region):
            return False
        # A trial does not wait for a thread: its request would wait for calls that hang.
        may_wait = not self._breakers.is_open(region)
        with self._lock:
            queues = self._queues.setdefault(region, RegionQueues())
            if len(queues) >= MAX_QUEUED or not self._threads.run(region, may_wait=may_wait):
                return False
            (queues.unasked if self._stored is None else queues.unread).add(wanted)
        return True

    def close(self) -> None:
        """Start no lookup from now on. Waits for turns to end, not for calls to IVS."""
        with self._lock:
            self._is_closed = True
        self._turns.close()
        self._threads.close()
        with self._lock:
            self._lock.wait_for(lambda: self._turns_to_end == 0, CLOSE_SECONDS)

    def _work(self, region: Region) -> None:
        """Do what is queued for the region, as far as this thread can."""
        while job := self._next_job(region):
            job()

    def _next_job(self, region: Region) -> Callable[[], None] | None:
        with self._lock:
            queues = self._queues[region]
            if self._is_closed:
                return None
            if wanted := queues.unread.take(MAX_READ):
                return partial(self._read, region, wanted)
            if queues.has_unasked and not queues.waits_for_turn and queues.asking < MAX_ASKING:
                queues.asking += 1
                queues.waits_for_turn = True
                return partial(self._ask, region)
            return None

    def _read(self, region: Region, wanted: Sequence[Wanted]) -> None:
        missing = self._without_stored(wanted)
        with self._lock:
            self._queues[region].unasked.add(missing)

    def _without_stored(self, wanted: Sequence[Wanted]) -> Sequence[Wanted]:
        """Finish the lookups for which there is a stored answer, and return the others."""
        if self._stored is None:
            return wanted
        try:
            with within(first_of(each.span for each in wanted)):
                answers = self._stored.load_many([each.arn for each in wanted])
        except Exception as exc:  # noqa: BLE001 - a bug, which is raised where it is waited for.
            _log.exception("The stored answers can't be read")
            self._fail([each.arn for each in wanted], exc)
            return ()
        missing = []
        now = self._clock.monotonic()
        for each in wanted:
            channel, usable_seconds = answers.get(each.arn, (None, 0.0))
            sent_at = now + usable_seconds - self._terms.usable_seconds
            is_fresh = now - self._terms.fresh_seconds < sent_at <= now + MAX_AHEAD_SECONDS
            if channel and is_fresh and sent_at > each.known_since + SAME_ANSWER_SECONDS:
                if self._shares is not None and each.caller_id is not None:
                    self._shares.give_back(each.caller_id)
                self._finish(each.arn, Answered(channel, min(sent_at, now)))
            else:
                missing.append(each)
        return missing

    def _ask(self, region: Region) -> None:
        """Ask IVS for what is queued, in one turn."""
        queues = self._queues[region]
        try:
            turn = self._turns.take(region, queues.need)
        except Exception as exc:  # noqa: BLE001 - a bug, which is raised where it is waited for.
            _log.exception("The turn to look up channels can't be taken")
            self._fail([each.arn for each in self._take_all(queues)], exc)
            turn = None
        with self._lock:
            queues.waits_for_turn = False
            self._turns_to_end += 1
        try:
            if turn is not None:
                self._use(turn, region)
        finally:
            with self._lock:
                queues.asking -= 1
                self._turns_to_end -= 1
                self._lock.notify_all()

    def _take_all(self, queues: RegionQueues) -> Sequence[Wanted]:
        with self._lock:
            return [*queues.unasked.take(MAX_QUEUED), *queues.singles.take(MAX_QUEUED)]

    def _use(self, turn: Turn, region: Region) -> None:
        """Make the calls of the turn, store their answers, and end it."""
        is_throttled = False
        try:
            is_throttled = self._ask_in(turn, region)
            if turn.is_shared and self._stored is not None:
                self._stored.flush()
        finally:
            turn.end(is_throttled=is_throttled)

    def _ask_in(self, turn: Turn, region: Region) -> bool:
        """Make calls until the turn is over or nothing is queued. Returns whether IVS throttles."""
        queues = self._queues[region]
        needed = queues.need()
        while True:
            batch = self._next_batch(turn, region)
            single = self._next_single(turn, queues)
            if not batch and not single:
                return False
            if self._is_closed or not turn.next_call():
                with self._lock:
                    queues.unasked.put_back(batch)
                    queues.singles.put_back(single)
                return False
            # IVS counts the calls of both operations separately.
            throttled = [self._call(region, each) for each in (batch, single) if each]
            if any(throttled):
                return True
            if turn.is_shared and needed is Need.URGENT and queues.need() is Need.ONE_OF_MANY:
                return False  # Another process may have urgent ones.

    def _next_batch(self, turn: Turn, region: Region) -> Sequence[Wanted]:
        """The channels of the next call for several: none, or two at least."""
        queues = self._queues[region]
        is_allowed = self._clock.monotonic() >= self._no_batch_until.get(region, -math.inf)
        count = MAX_CHANNELS_PER_CALL if is_allowed else 1
        batch: list[Wanted] = []
        while len(batch) < count:
            with self._lock:
                wanted = queues.unasked.take(MAX_READ if turn.may_be_outdated else count)
            if not wanted:
                break
            batch += self._missing(turn, wanted)
        with self._lock:
            queues.unasked.put_back(batch[count:])
            if len(batch) == 1 or count == 1:
                queues.singles.put_back(batch[:1])
                return ()
        return batch[:count]

    def _next_single(self, turn: Turn, queues: RegionQueues) -> Sequence[Wanted]:
        """The channel of the next call for one, if any."""
        while True:
            with self._lock:
                wanted = queues.singles.take(1)
            if not wanted or (missing := self._missing(turn, wanted)):
                return wanted and missing

    def _missing(self, turn: Turn, wanted: Sequence[Wanted]) -> Sequence[Wanted]:
        return self._without_stored(wanted) if turn.may_be_outdated else wanted

    def _call(self, region: Region, wanted: Sequence[Wanted]) -> bool:
        """Ask IVS for these channels. Returns whether it throttles."""
        arns = [each.arn for each in wanted]
        sent_at = self._clock.monotonic()
        try:
            with within(first_of(each.span for each in wanted)):
                answers = self._answers(region, arns)
        except CallsPaused:
            self._give_up(arns, OPEN_SECONDS)
        except Throttled:
            self._give_up(arns, self._terms.negative_seconds)
            return True
        except (NotFound, IvsUnavailable, IvsRefused) as exc:
            self._note_failure(region, wanted, exc)
        except Exception as exc:  # noqa: BLE001 - a bug, which is raised where it is waited for.
            _log.exception("The lookup of %s failed", ", ".join(map(str, arns)))
            self._fail(arns, exc)
        else:
            for arn, answer in answers.items():
                self._store(answer, arn, sent_at)
                self._finish(arn, Answered(answer, sent_at))
            self._ask_separately(region, [each for each in wanted if each.arn not in answers])
        return False

    def _note_failure(
        self, region: Region, wanted: Sequence[Wanted], exc: NotFound | IvsUnavailable | IvsRefused
    ) -> None:
        arns = [each.arn for each in wanted]
        if len(arns) == 1:
            _log.warning("The lookup of channel %s failed: %s", arns[0], exc)
            self._give_up(arns, self._terms.negative_seconds)
            return
        _log.warning(
            "A call for %d channels failed, so that some are looked up one by one: %s",
            len(arns),
            exc,
        )
        self._no_batch_until[region] = self._clock.monotonic() + self._terms.negative_seconds
        if not isinstance(exc, IvsUnavailable):
            self._ask_separately(region, wanted)
            return
        urgent = [each for each in wanted if each.is_urgent][:MAX_ASKED_AGAIN]
        self._ask_separately(region, urgent)
        others = set(wanted).difference(urgent)
        self._give_up([each.arn for each in others], self._terms.negative_seconds)

    def _answers(
        self, region: Region, arns: Sequence[ChannelArn]
    ) -> Mapping[ChannelArn, Channel | ChannelNotFound]:
        with self._lock:
            self._turns_to_end -= 1
        try:
            if len(arns) > 1:
                return self._breakers.call(region, partial(self._fetch_batch, arns))
            return {arns[0]: self._breakers.call(region, partial(self._fetch, arns[0]))}
        except ChannelNotFound as exc:
            return {arns[0]: exc}
        finally:
            with self._lock:
                self._turns_to_end += 1

    def _ask_separately(self, region: Region, wanted: Sequence[Wanted]) -> None:
        with self._lock:
            self._queues[region].singles.add(wanted)

    def _store(self, answer: Channel | ChannelNotFound, arn: ChannelArn, sent_at: float) -> None:
        if self._stored is None:
            return
        if isinstance(answer, ChannelNotFound):
            self._stored.delete(arn)
        else:
            usable_until = sent_at + self._terms.usable_seconds
            self._stored.save(answer, usable_until - self._clock.monotonic())

    def _give_up(self, arns: Sequence[ChannelArn], pause_seconds: float) -> None:
        for arn in arns:
            self._finish(arn, Unanswered(pause_seconds))

    def _fail(self, arns: Sequence[ChannelArn], exc: Exception) -> None:
        for arn in arns:
            self._finish(arn, Broken(exc))
