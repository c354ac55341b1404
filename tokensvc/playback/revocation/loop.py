"""The loop that carries out pending kicks, bans and due ends at Amazon IVS, in all regions.

`tokensvc viewers end-due` and `viewers revoke` run it. It prints nothing: each event is reported as
a value to the function `on_event`.

Each pass reads what is pending, if it is time, and starts at most one call in each region that may
be called. A call is made in a thread, so that a region which hangs does not stop the others.
Everything else happens in the thread that runs the loop. Before a due end is carried out it is
marked as begun, and afterwards it is marked as done, each on the condition that no other process
has changed it. So the loop may stop anywhere, and another process goes on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

from tokensvc.access.bans.book import BanBook
from tokensvc.access.bans.model import Ban
from tokensvc.arns import ChannelArn, Region
from tokensvc.clock import Clock
from tokensvc.errors import TokensvcError
from tokensvc.ivs.viewer_sessions import NotRevoked, Revocation
from tokensvc.playback.revocation.due_ends import DueEnds, StoredDueEnd, due
from tokensvc.playback.revocation.events import (
    CallFailed,
    LeaseChanged,
    LoopEvent,
    Revoked,
    StateFailed,
)
from tokensvc.playback.revocation.lease import RevocationLease, RevocationReport
from tokensvc.playback.revocation.plan import RevocationPlan, Settled
from tokensvc.playback.revocation.region_queue import PAUSE_SECONDS

READ_BANS_SECONDS: Final = 1.0
READ_ENDS_SECONDS: Final = 2.0
READ_ENDS_WHILE_WAITING_SECONDS: Final = 10.0
REREAD_BANS_SECONDS: Final = 60.0

LONGEST_SHARE_OF_READS: Final = 0.1
"""Of many due ends, reading them takes long: at most this share of the time is spent on it."""

FRESH_BAN_SECONDS: Final = 4.0
"""A younger kick or ban is left to the request that made it, which calls IVS itself."""

LONGEST_WAIT_SECONDS: Final = 0.25
"""For an answer, before it is looked whether a signal has arrived."""

PAUSE_AFTER_ERROR_SECONDS: Final = 5.0
"""After an error of the state."""


class Bans(Protocol):
    """The bans, read from the state."""

    def refresh(self) -> BanBook:
        """The bans, read now. Raises StateUnavailable, StateDamaged."""
        ...

    def reread(self) -> None:
        """Read everything that is stored. Raises StateUnavailable, StateDamaged."""
        ...


class ConfirmBan(Protocol):
    """Records what IVS has confirmed."""

    def confirm(self, ban_id: str, channels_left: tuple[ChannelArn, ...] = ()) -> Ban:
        """Record that the sessions are revoked except on those channels. Raises TokensvcError."""
        ...


class Ivs(Protocol):
    """The calls to Amazon IVS. Each raises IvsUnavailable or IvsRefused when it fails."""

    def revoke(self, region: Region, batch: Sequence[Revocation]) -> Sequence[NotRevoked]:
        """Revoke those sessions; returns the viewers whose sessions are not revoked."""
        ...

    def channels(self, region: Region) -> Sequence[ChannelArn]:
        """The channels of a ban on all channels, in the order in which to revoke there."""
        ...


Submit = Callable[[Callable[[], "_Result"]], "Future[_Result]"]


@dataclass(frozen=True, slots=True)
class _Result:
    """The result of a call: the failures of a batch, or the channels of a region."""

    batch: Sequence[Revocation] = ()
    failures: Sequence[NotRevoked] = ()
    channels: Sequence[ChannelArn] | None = None


class RevocationLoop:
    """Carries out what is pending. Run it in one thread."""

    def __init__(  # noqa: PLR0913 # The parts that it brings together.
        self,
        *,
        regions: Sequence[Region],
        bans: Bans,
        writer: ConfirmBan,
        due_ends: DueEnds,
        lease: RevocationLease,
        ivs: Ivs,
        clock: Clock,
        submit: Submit,
        on_event: Callable[[LoopEvent], None],
        own: Container[str] = (),
    ) -> None:
        """A loop that has read nothing yet.

        Args:
            regions: the configured regions.
            bans: reads the bans.
            writer: records which bans are confirmed.
            due_ends: the due ends.
            lease: decides which process calls IVS.
            ivs: the calls.
            clock: the time.
            submit: runs a call, in a thread or at once.
            on_event: gets each event as it happens.
            own: the IDs of bans that no request carries out, so that they need not wait for one.
        """
        self._bans = bans
        self._writer = writer
        self._due_ends = due_ends
        self._lease = lease
        self._ivs = ivs
        self._clock = clock
        self._submit = submit
        self._on_event = on_event
        self._own = own
        self._plan = RevocationPlan(regions)
        self._stored_ends: Sequence[StoredDueEnd] = ()
        self._calls: dict[Region, Future[_Result]] = {}
        self._next_call_at: dict[Region, float] = {}
        self._read_bans_at = self._read_ends_at = self._reread_bans_at = -math.inf
        self._has_read_bans = self._has_read_ends = False
        self._is_held: bool | None = None
        self._done = self._failed = 0

    @property
    def plan(self) -> RevocationPlan:
        """What is pending, as it was read last."""
        return self._plan

    @property
    def is_done(self) -> bool:
        """Whether nothing that is due is left."""
        has_read = self._has_read_bans and self._has_read_ends
        return has_read and not self._calls and self._plan.is_empty

    @property
    def has_read_bans(self) -> bool:
        """Whether it has read the bans at least once."""
        return self._has_read_bans

    @property
    def is_stuck(self) -> bool:
        """Whether IVS refuses everything that is left, or fails again and again."""
        if self._calls or self._plan.is_empty:
            return False
        queues = self._plan.queues
        waiting = {region for region, queue in queues.items() if queue} | {*self._plan.unlisted()}
        return all(queues[region].is_stuck for region in waiting)

    def step(self) -> float:
        """Do what can be done now. Returns after how many seconds to call it again."""
        try:
            self._collect_answers()
            is_held = self._hold_lease()
            self._read(is_held=is_held)
            if is_held:
                self._start_calls()
        except TokensvcError as exc:
            self._on_event(StateFailed(exc))
            return PAUSE_AFTER_ERROR_SECONDS
        return self._pause_seconds(is_held=is_held)

    @property
    def is_calling(self) -> bool:
        """Whether IVS has not answered a call yet."""
        return bool(self._calls)

    def wait_for_answer(self, seconds: float) -> None:
        """Return when IVS has answered a call, or after that time."""
        wait(self._calls.values(), timeout=seconds, return_when=FIRST_COMPLETED)

    def close(self) -> None:
        """Wait for the calls that were started, note their answers, and let others go on.

        Raises:
            TokensvcError: when the state can't be written now. What is not noted is done again.
        """
        for call in self._calls.values():
            call.exception()
        self._collect_answers()
        for ban_id in self._plan.bans:
            if left := self._plan.newly_left(ban_id):
                self._writer.confirm(ban_id, left)
        self._lease.release()

    def _hold_lease(self) -> bool:
        is_held = self._lease.hold(self._report)
        if is_held != self._is_held:
            self._is_held = is_held
            self._read_ends_at = min(self._read_ends_at, self._clock.monotonic())
            self._on_event(LeaseChanged(is_held))
        return is_held

    def _report(self) -> RevocationReport | None:
        if not self._has_read_ends:
            return None
        plan = self._plan
        return RevocationReport(
            due_ends=plan.ends,
            oldest_end_at=plan.oldest_end_at,
            done=self._done,
            failed=self._failed,
        )

    def _read(self, *, is_held: bool) -> None:
        """Read what it is time for. A damaged due end does not stop kicks and bans, or reverse."""
        now = self._clock.monotonic()
        if now >= self._read_bans_at:
            self._read_bans_at = now + self._pause_after(self._read_bans, READ_BANS_SECONDS)
        if now >= self._read_ends_at:
            usual_seconds = READ_ENDS_SECONDS if is_held else READ_ENDS_WHILE_WAITING_SECONDS
            self._read_ends_at = now + self._pause_after(self._read_ends, usual_seconds)

    def _pause_after(self, read: Callable[[], None], usual_seconds: float) -> float:
        """Read, and return how long to wait before the next time."""
        began = self._clock.monotonic()
        try:
            read()
        except TokensvcError as exc:
            self._on_event(StateFailed(exc))
            return PAUSE_AFTER_ERROR_SECONDS
        took_seconds = self._clock.monotonic() - began
        return max(usual_seconds, took_seconds / LONGEST_SHARE_OF_READS)

    def _read_bans(self) -> None:
        now = self._clock.monotonic()
        if now >= self._reread_bans_at:
            if self._reread_bans_at > -math.inf:
                self._bans.reread()
            self._reread_bans_at = now + REREAD_BANS_SECONDS
        self._plan.set_bans(filter(self._is_ready, self._bans.refresh().bans), now)
        self._has_read_bans = True

    def _read_ends(self) -> None:
        self._stored_ends = self._due_ends.all(self._stored_ends)
        now = self._clock.monotonic()
        self._plan.set_ends(due(self._stored_ends, self._clock.now()), now)
        self._has_read_ends = True

    def _is_ready(self, ban: Ban) -> bool:
        is_fresh = self._clock.now() - ban.made_at < FRESH_BAN_SECONDS
        return ban.unconfirmed and (ban.ban_id in self._own or not is_fresh)

    def _start_calls(self) -> None:
        now = self._clock.monotonic()
        unlisted = self._plan.unlisted()
        for region in dict.fromkeys([*unlisted, *self._plan.queues]):
            if region in self._calls or now < self._next_call_at.get(region, now):
                continue
            if batch := self._begin(self._plan.queues[region].next_batch()):
                self._call(region, partial(self._revoke, region, batch))
            elif region in unlisted:
                self._call(region, partial(self._list, region))
        self._collect_answers()

    def _call(self, region: Region, call: Callable[[], _Result]) -> None:
        self._calls[region] = self._submit(call)
        self._next_call_at[region] = self._clock.monotonic() + PAUSE_SECONDS

    def _revoke(self, region: Region, batch: Sequence[Revocation]) -> _Result:
        return _Result(batch, self._ivs.revoke(region, batch))

    def _list(self, region: Region) -> _Result:
        return _Result(channels=self._ivs.channels(region))

    def _begin(self, batch: Sequence[Revocation]) -> Sequence[Revocation]:
        """Mark the due ends of the batch. Returns it without those that have been changed."""
        changed = set()
        for stored in self._plan.ends_in(batch):
            if stored.due_end.progress == "waiting":
                begun = self._due_ends.advance(stored, "begun")
                if begun is None:
                    changed.add(stored.due_end.viewer)
                else:
                    self._plan.begin_end(begun)
        self._plan.drop_ends(changed, self._clock.monotonic())
        return [one for one in batch if one.viewer not in changed]

    def _collect_answers(self) -> None:
        for region, call in list(self._calls.items()):
            if call.done():
                del self._calls[region]
                self._note(region, call)

    def _note(self, region: Region, call: Future[_Result]) -> None:
        now = self._clock.monotonic()
        queue = self._plan.queues[region]
        try:
            result = call.result()
        except TokensvcError as exc:
            self._failed += 1
            queue.call_failed()
            self._next_call_at[region] = now + queue.pause_seconds
            self._on_event(CallFailed(region, exc))
            return
        if result.channels is not None:
            settled = Settled(self._plan.list_channels(region, result.channels, now), (), ())
        else:
            settled = self._plan.answered(region, result.batch, result.failures, now)
            if queue.pause_seconds > PAUSE_SECONDS:
                self._next_call_at[region] = now + queue.pause_seconds
        self._store(region, settled)

    def _store(self, region: Region, settled: Settled) -> None:
        late_seconds = 0.0
        for stored in settled.ended:
            late_seconds = max(late_seconds, self._clock.now() - stored.due_end.ends_at)
            self._due_ends.advance(stored, "done")
        for ban in settled.confirmed:
            self._writer.confirm(ban.ban_id)
        self._done += len(settled.ended) + len(settled.confirmed)
        self._failed += len(settled.refused)
        queue = self._plan.queues[region]
        self._on_event(
            Revoked(
                region,
                settled.confirmed,
                tuple(stored.due_end for stored in settled.ended),
                settled.refused,
                len(queue),
                queue.left_seconds,
                late_seconds,
            )
        )

    def _pause_seconds(self, *, is_held: bool) -> float:
        times = [self._read_bans_at, self._read_ends_at]
        if is_held:
            queues = self._plan.queues
            waiting = [region for region, queue in queues.items() if queue]
            times += [
                self._next_call_at.get(region, -math.inf)
                for region in (*waiting, *self._plan.unlisted())
                if region not in self._calls
            ]
        return max(0.0, min(times) - self._clock.monotonic())


def run(loop: RevocationLoop, pause: Callable[[float], bool], is_over: Callable[[], bool]) -> bool:
    """Take steps until it is over. False if a signal ended a pause before.

    Args:
        loop: the loop. Close it afterwards.
        pause: waits for that many seconds, and returns whether a signal has arrived.
        is_over: whether to stop, asked after each step.
    """
    while True:
        seconds = loop.step()
        if is_over():
            return True
        if loop.is_calling:
            loop.wait_for_answer(min(seconds, LONGEST_WAIT_SECONDS))
            seconds = 0.0
        if pause(seconds):
            return False
