"""Processes that carry out revocations, in virtual time, over one state and one simulated IVS."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TypeVar

from tests.fleet.links import Link
from tests.fleet.memory_state import MemoryState, MemoryStore
from tests.support.clock import ManualClock
from tokensvc.access.bans.log import BanLog
from tokensvc.access.bans.model import Ban, BanTerms, Target
from tokensvc.access.bans.view import BanView
from tokensvc.access.bans.writing import BanWriter
from tokensvc.arns import ChannelArn, Region
from tokensvc.errors import TokensvcError
from tokensvc.ivs.errors import Throttled
from tokensvc.ivs.viewer_sessions import NotRevoked, Revocation, Viewer
from tokensvc.playback.revocation.due_ends import DueEnd, DueEnds
from tokensvc.playback.revocation.events import LoopEvent
from tokensvc.playback.revocation.lease import RevocationLease
from tokensvc.playback.revocation.loop import RevocationLoop

T = TypeVar("T")
OREGON, IRELAND = Region("us-west-2"), Region("eu-west-1")
TERMS = BanTerms(clock_skew_seconds=10, access_max_age_seconds=120)


def channel(name: str, region: Region = OREGON) -> ChannelArn:
    """A channel with that ID."""
    return ChannelArn(region, "123456789012", name)


@dataclass
class SimulatedIvs:
    """IVS with its rate, and with faults that a test plans.

    Attributes:
        clock: the time.
        channels: the channels of each region, live ones first.
        lines: the highest version that is revoked, by viewer.
        calls: when each call was made, by region, and what it revoked.
        down: regions whose calls fail with this error.
        parts: the error code of each part that fails, by viewer.
    """

    clock: ManualClock
    channels: dict[Region, list[ChannelArn]] = field(default_factory=dict)
    lines: dict[Viewer, int] = field(default_factory=dict)
    calls: dict[Region, list[tuple[float, Sequence[Revocation]]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    down: dict[Region, TokensvcError] = field(default_factory=dict)
    parts: dict[Viewer, str] = field(default_factory=dict)

    def revoke(self, region: Region, batch: Sequence[Revocation]) -> Sequence[NotRevoked]:
        """BatchStartViewerSessionRevocation: at most 20 viewers, and two calls a second."""
        self._require_up(region)
        now = self.clock.monotonic()
        if len([at for at, _ in self.calls[region] if at > now - 0.999]) >= 2:
            raise Throttled("Too many calls.")
        assert 1 <= len(batch) <= 20
        self.calls[region].append((now, batch))
        failures = []
        for one in batch:
            if code := self.parts.get(one.viewer):
                failures.append(NotRevoked(one.viewer, code))
            else:
                line = max(one.versions_up_to, self.lines.get(one.viewer, 0))
                self.lines[one.viewer] = line
        return failures

    def list_channels(self, region: Region) -> Sequence[ChannelArn]:
        """The channels of the region."""
        self._require_up(region)
        return self.channels.get(region, [])

    def sent(self, viewer_id: str) -> list[int]:
        """The versions of every revocation of that viewer that was sent, in all regions."""
        return [
            one.versions_up_to
            for calls in self.calls.values()
            for _, batch in calls
            for one in batch
            if one.viewer.viewer_id == viewer_id
        ]

    def _require_up(self, region: Region) -> None:
        if region in self.down:
            raise self.down[region]


@dataclass(frozen=True)
class _Calls:
    ivs: SimulatedIvs

    def revoke(self, region: Region, batch: Sequence[Revocation]) -> Sequence[NotRevoked]:
        return self.ivs.revoke(region, batch)

    def channels(self, region: Region) -> Sequence[ChannelArn]:
        return self.ivs.list_channels(region)


class Process:
    """A process that runs the loop. It does something only in `step`."""

    def __init__(self, world: RevocationWorld, own: Container[str] = ()) -> None:
        self.link = Link()
        self.events: list[LoopEvent] = []
        state = MemoryState(world.store, self.link)
        bans = BanView(state, world.clock, refresh_seconds=5.0)
        self.loop = RevocationLoop(
            regions=(OREGON, IRELAND),
            bans=bans,
            writer=BanWriter(BanLog(state, world.clock), world.clock, TERMS, bans.refresh),
            due_ends=DueEnds(state),
            lease=RevocationLease(state, world.clock),
            ivs=_Calls(world.ivs),
            clock=world.clock,
            submit=at_once,
            on_event=self.events.append,
            own=own,
        )
        self._world = world
        self.again_at = 0.0

    def step(self) -> None:
        """Take a step if it is time."""
        if self._world.clock.monotonic() >= self.again_at:
            self.again_at = self._world.clock.monotonic() + self.loop.step()

    def events_of(self, kind: type[LoopEvent]) -> list[LoopEvent]:
        """The events of that kind so far."""
        return [event for event in self.events if isinstance(event, kind)]


class RevocationWorld:
    """What all processes share, and what viewers' requests write."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store = MemoryStore()
        self.ivs = SimulatedIvs(self.clock)
        state = MemoryState(self.store)
        self.due_ends = DueEnds(state)
        self.bans = BanView(state, self.clock, refresh_seconds=5.0)
        self.writer = BanWriter(BanLog(state, self.clock), self.clock, TERMS, self.bans.refresh)

    @property
    def now(self) -> int:
        """The time, Unix seconds."""
        return int(self.clock.now())

    def mint(
        self, viewer_id: str, seconds: int, *, version: int | None = None, on: str = "one"
    ) -> DueEnd:
        """A playback URL until so many seconds from now, which may go on with a session."""
        viewer = Viewer(channel(on), viewer_id)
        return self.due_ends.store(
            DueEnd(viewer, version or self.now, self.clock.now(), self.now + seconds)
        )

    def kick(self, viewer_id: str, arn: ChannelArn | None) -> Ban:
        """Kick the viewer from that channel, or from all."""
        return self.writer.kick(Target((viewer_id,), arn), by="moderator")

    def pending_bans(self) -> set[str]:
        """The IDs of the bans that IVS has not confirmed."""
        return {ban.ban_id for ban in self.bans.refresh().bans if ban.unconfirmed}

    def progress(self) -> dict[str, str]:
        """The progress of each due end, by viewer ID."""
        stored = (one.due_end for one in self.due_ends.all())
        return {one.viewer.viewer_id: one.progress for one in stored}

    def run(
        self,
        processes: Iterable[Process],
        seconds: float,
        until: Callable[[], bool] = lambda: False,
    ) -> float:
        """Let time pass until each process's next step. Returns how much has passed."""
        began = self.clock.monotonic()
        running = list(processes)
        while self.clock.monotonic() - began < seconds and not until():
            for process in running:
                process.step()
            soonest = min(process.again_at for process in running)
            self.clock.advance(min(max(0.001, soonest - self.clock.monotonic()), 0.1))
        return self.clock.monotonic() - began


def at_once(call: Callable[[], T]) -> Future[T]:
    """Run a call in this thread."""
    future: Future[T] = Future()
    try:
        future.set_result(call())
    except TokensvcError as exc:
        future.set_exception(exc)
    return future
