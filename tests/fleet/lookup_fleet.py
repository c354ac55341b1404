"""A simulated fleet that looks up channels: real directories and turns, in virtual time.

Each thread of a worker is an actor. It parks whenever it waits: for the state, for IVS, for its
turn. The simulation then advances the time to the next moment at which one of them continues.
"""

from __future__ import annotations

import heapq
import itertools
import json
import logging
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from random import Random
from typing import Final

from tests.fleet.cooperative_threads import Actor, Crashed, yield_point
from tests.fleet.links import Condition, Link
from tests.fleet.memory_state import MemoryState, MemoryStore
from tests.fleet.virtual_time import SkewedClock, VirtualTime
from tests.support.clock import EXAMPLE_NOW
from tokensvc.arns import ChannelArn, Region
from tokensvc.errors import ChannelNotFound, IvsUnavailable, RateLimited
from tokensvc.ivs.cache_entry import DirectoryTerms
from tokensvc.ivs.caller_shares import CallerShares
from tokensvc.ivs.directory import ChannelDirectory
from tokensvc.ivs.errors import AccessDenied, Throttled
from tokensvc.ivs.kept_answers import KIND, KeptAnswers
from tokensvc.ivs.limits import CHANNEL_CALLS_PER_SECOND
from tokensvc.ivs.lookup_threads import LookupThreads
from tokensvc.ivs.model import Channel
from tokensvc.ivs.shared_turns import KIND as TURNS
from tokensvc.ivs.shared_turns import SharedTurns
from tokensvc.rates import OneProcess
from tokensvc.state.base import Record
from tokensvc.state.record_writer import RecordWriter
from tokensvc.waiting import MustWait, no_waiting

STATE_SECONDS: Final = 0.010
"""How long a call to the state takes, as one to DynamoDB."""

IVS_SECONDS: Final = 0.080
"""How long a call to IVS takes."""

REGION: Final = Region("us-west-2")


def channels(count: int) -> list[ChannelArn]:
    """That many channels of the region."""
    return [ChannelArn(REGION, "123456789012", f"channel{number:05}") for number in range(count)]


class Simulation:
    """Runs actors in the order in which they wake."""

    def __init__(self) -> None:
        self.time = VirtualTime(EXAMPLE_NOW)
        self._parked: list[tuple[float, int, Actor]] = []
        self._numbers = itertools.count()

    def spawn(self, work: Callable[[], None]) -> Actor:
        """Begin that work now."""
        actor = Actor(work)
        self._park(actor, 0.0)
        return actor

    def sleep(self, seconds: float) -> None:
        """Let the running actor wait. Outside actors no time passes."""
        actor = threading.current_thread()
        if isinstance(actor, Actor):
            if actor._is_killed:  # It is in a `finally`, which a killed process does not run.
                raise Crashed
            self._park(actor, max(seconds, 0.0))
            yield_point(must_park=True)

    def advance(self, seconds: float) -> None:
        """Run the actors that wake within that time."""
        until = self.time.now + seconds
        while self._parked and self._parked[0][0] <= until:
            wakes_at, _, actor = heapq.heappop(self._parked)
            self.time.now = wakes_at
            if not actor.is_finished:
                actor.resume(0)
        self.time.now = until

    def close(self) -> None:
        """End every actor where it is."""
        for _, _, actor in self._parked:
            if actor.ident is not None:
                actor.kill()

    def _park(self, actor: Actor, seconds: float) -> None:
        heapq.heappush(self._parked, (self.time.now + seconds, next(self._numbers), actor))


class _Link(Link):
    """A link whose calls take time."""

    def __init__(self, simulation: Simulation) -> None:
        super().__init__()
        self._simulation = simulation

    def _pass_link(self) -> None:
        self._simulation.sleep(STATE_SECONDS / 2)


class _Lock:
    """A lock between actors."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._is_held = False

    def __enter__(self) -> None:
        while self._is_held:
            self._simulation.sleep(STATE_SECONDS)
        self._is_held = True

    def __exit__(self, *_: object) -> None:
        self._is_held = False


class _Threads(LookupThreads):
    """Threads that are actors of the simulation."""

    simulation: Simulation
    actors: list[Actor]

    def _start(self, region: Region) -> None:
        self.actors.append(self.simulation.spawn(lambda: self._run(region)))


class SimulatedIvs:
    """An IVS that allows five calls of an operation in any second, and throttles the others.

    Attributes:
        calls: when each call came, and for how many channels: for one it is GetChannel.
        throttled: how many of them were throttled.
        refuses: whether it throttles every call, as while other programs use the account's rate.
        hangs: whether a call gets no answer, which it notices after ten seconds.
        denies_batches: whether the permission for BatchGetChannel is missing.
        lookups: how often each channel was asked for.
        call_seconds: how long a call takes.
    """

    def __init__(self, simulation: Simulation) -> None:
        self.calls: list[tuple[float, int]] = []
        self.throttled = 0
        self.refuses = False
        self.hangs = False
        self.denies_batches = False
        self.call_seconds = IVS_SECONDS
        self.lookups: Counter[ChannelArn] = Counter()
        self._simulation = simulation
        self._recent: dict[str, deque[float]] = {}

    def get_channel(self, arn: ChannelArn) -> Channel:
        """GetChannel."""
        self._admit("GetChannel", [arn])
        return _channel(arn)

    def get_channels(
        self, arns: Sequence[ChannelArn]
    ) -> Mapping[ChannelArn, Channel | ChannelNotFound]:
        """BatchGetChannel."""
        self._admit("BatchGetChannel", arns)
        if self.denies_batches:
            raise AccessDenied("Denied.")
        return {arn: _channel(arn) for arn in arns}

    def most_in_a_second(self) -> int:
        """The largest number of calls of one operation within any second."""
        return max(
            (
                sum(begin <= at < begin + 1 for at in times[index : index + 50])
                for is_single in (True, False)
                for times in [[at for at, count in self.calls if (count == 1) == is_single]]
                for index, begin in enumerate(times)
            ),
            default=0,
        )

    def calls_since(self, begin: float) -> int:
        """How many calls came since then."""
        return sum(at >= begin for at, _ in self.calls)

    def _admit(self, operation: str, arns: Sequence[ChannelArn]) -> None:
        now = self._simulation.time.now
        self.calls.append((now, len(arns)))
        if self.hangs:
            self._simulation.sleep(10)
            raise IvsUnavailable("No answer.")
        self._simulation.sleep(self.call_seconds)
        recent = self._recent.setdefault(operation, deque())
        while recent and recent[0] <= now - 1:
            recent.popleft()
        if self.refuses or len(recent) >= CHANNEL_CALLS_PER_SECOND:
            self.throttled += 1
            raise Throttled("Too many calls.")
        recent.append(now)
        self.lookups.update(arns)


def _channel(arn: ChannelArn) -> Channel:
    return Channel(arn, "", is_private=True, playback_url="https://e.net/x.m3u8")


class Worker:
    """A worker: its directory and its links.

    Attributes:
        directory: its channel directory.
        link: its link to the state.
        clock: its clock.
    """

    def __init__(
        self,
        simulation: Simulation,
        store: MemoryStore,
        ivs: SimulatedIvs,
        terms: DirectoryTerms,
        seed: int,
        fleet: OneProcess | None = None,
    ) -> None:
        self.link = _Link(simulation)
        self.clock = SkewedClock(simulation.time)
        state = MemoryState(store, self.link)
        writer = RecordWriter(state, KIND, capacity=terms.capacity)
        writer._flush_lock = _Lock(simulation)  # type: ignore[assignment] # It is held during I/O.
        random = Random(seed)  # noqa: S311 # To be repeatable.
        self._turns = SharedTurns(state, self.clock, random, simulation.sleep)
        self.directory = ChannelDirectory(
            ivs.get_channel,
            ivs.get_channels,
            self.clock,
            terms,
            random,
            KeptAnswers(state, self.clock, writer),
            self._turns,
            shares=None if fleet is None else CallerShares.of(20, fleet, self.clock),
        )
        lookups = self.directory._lookups
        self._threads = _Threads(lookups._work)
        self._threads.simulation, self._threads.actors = simulation, []
        lookups._threads = self._threads

    def request(self, arn: ChannelArn, caller_id: str | None = None) -> bool:
        """Request the channel, without waiting. Returns whether it was known."""
        try:
            with no_waiting():
                self.directory.get(arn, caller_id)
        except (MustWait, IvsUnavailable, RateLimited):
            return False
        return True

    def request_all(self, arns: Sequence[ChannelArn]) -> None:
        """Request these channels in a batch, without waiting."""
        with suppress(MustWait), no_waiting():
            self.directory.warm(arns)

    def wrote(self, record: Record) -> bool:
        """Whether it has written that record of a turn."""
        return self._turns._own.get(REGION) == record.body

    def known_channel(self, arn: ChannelArn) -> Channel | None:
        """What it knows about that channel."""
        entry = self.directory._cache.get(arn)
        return None if entry is None else entry.channel

    @property
    def known(self) -> int:
        """How many channels it knows."""
        return sum(entry.channel is not None for entry in self.directory._cache.values())

    def knows(self, count: int) -> bool:
        """Whether it knows that many channels."""
        return len(self.directory._cache) >= count and self.known >= count

    def crash(self) -> None:
        """End its threads where they are."""
        for actor in self._threads.actors:
            if not actor.is_finished and actor.ident is not None:
                actor.kill()
        self._threads.close()


class LookupFleet:
    """Workers on one state and one IVS."""

    def __init__(
        self,
        workers: int,
        terms: DirectoryTerms | None = None,
        seed: int = 1,
        *,
        has_shares: bool = False,
    ) -> None:
        self._counted = OneProcess(workers) if has_shares else None
        self.simulation = Simulation()
        self.store = MemoryStore()
        self.ivs = SimulatedIvs(self.simulation)
        self.random = Random(seed)  # noqa: S311 # To be repeatable.
        self._terms = terms or DirectoryTerms()
        self._seeds = itertools.count(seed)
        self.workers = [self._new_worker() for _ in range(workers)]

    def close(self) -> None:
        """End every thread."""
        self.simulation.close()

    def replace(self, which: int) -> None:
        """Kill a worker, and start another one in its place."""
        self.workers[which].crash()
        self.workers[which] = self._new_worker()

    def _new_worker(self) -> Worker:
        seed = next(self._seeds)
        return Worker(self.simulation, self.store, self.ivs, self._terms, seed, fleet=self._counted)

    @property
    def now(self) -> float:
        """The true time."""
        return self.simulation.time.now

    def holder(self) -> Worker | None:
        """The worker that has the turn."""
        record = self.store.kinds.get(TURNS, {}).get(REGION)
        if record is None or not json.loads(record.body)["is_held"]:
            return None
        return next((worker for worker in self.workers if worker.wrote(record)), None)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.simulation.advance(seconds)

    def meet(self, arns: Sequence[ChannelArn]) -> None:
        """Let every worker get requests for all of these channels, in an order of its own."""
        for worker in self.workers:
            own = self.random.sample(arns, len(arns))
            for start in range(0, len(own), 20):
                worker.request_all(own[start : start + 20])

    def meet_until_known(self, arns: Sequence[ChannelArn], at_most: float) -> None:
        """Let every worker get requests for these channels again and again, until it knows them."""
        give_up_at = self.now + at_most
        while not all(worker.request(arn) for worker in self.workers for arn in arns):
            assert self.now < give_up_at, [worker.known for worker in self.workers]
            self.meet(arns)
            self.advance(1)

    def seconds_until_known(self, count: int, at_most: float) -> float:
        """Let time pass until every worker that lives knows that many channels."""
        began_at = self.now
        while not all(worker.knows(count) for worker in self.workers):
            assert self.now - began_at < at_most, [worker.known for worker in self.workers]
            self.advance(0.5)
        return self.now - began_at

    def serve(self, arns: Sequence[ChannelArn], seconds: float, every_seconds: float) -> int:
        """Let every worker get a request for each channel about that often.

        Returns how many requests were for a channel that was not known.
        """
        unknown = 0
        for _ in range(round(seconds)):
            for worker in self.workers:
                count = round(len(arns) / every_seconds)
                unknown += sum(
                    not worker.request(arn) for arn in self.random.choices(arns, k=count)
                )
            self.advance(1)
        return unknown


@contextmanager
def lookup_fleet(
    workers: int, terms: DirectoryTerms | None = None, *, has_shares: bool = False
) -> Iterator[LookupFleet]:
    """A fleet, which ends with the block. Its logs are not kept: it would write one a channel."""
    fleet = LookupFleet(workers, terms, has_shares=has_shares)
    logger = logging.getLogger("tokensvc")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield fleet
    finally:
        fleet.close()
        logger.setLevel(level)


__all__ = ["Condition", "LookupFleet", "Worker", "channels", "lookup_fleet"]
