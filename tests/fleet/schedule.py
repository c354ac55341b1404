"""Random schedules: the same seed gives the same run.

The weights were chosen so that a missing rule is found soon: replicas read the ring just before it
changes and sign as late as they may, and rotators act as early as they may.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable
from typing import TypeVar

from tests.fleet.fleet import REAL_SKEW_SECONDS, TO_COMPLETION, Fleet, Report
from tests.fleet.links import Condition, Link
from tests.fleet.processes import Parts, Process
from tokensvc.keyring.emergency import has_emergency
from tokensvc.keyring.model import KeyState

T = TypeVar("T", bound=Process)

_MOST_PARKED = 3
_NEAR_SECONDS = 300
_POINTS_NEAR_THE_SWITCH = (6, 12)
"""A job parked between these yield points is checking, switching, or saving the switch."""
_ROTATORS_SHARE = 0.8
_LONGEST_SECONDS = 1_000_000
"""More than any token gets: requests the longest allowed lifetime."""
_STEPS_BETWEEN_REPORTS = 10_000


def simulate(
    seed: int,
    steps: int,
    parts: Parts | None = None,
    on_progress: Callable[[Report], None] = lambda _: None,
) -> Report:
    """Run that many steps, or until a token is broken; the result of the run."""
    with Fleet(parts or Parts()) as fleet:
        schedule = Schedule(fleet, random.Random(seed))  # noqa: S311 # To be repeatable.
        next_report = _STEPS_BETWEEN_REPORTS
        while fleet.steps < steps and not fleet.broken:
            schedule.step()
            if fleet.steps >= next_report:
                on_progress(fleet.report(seed))
                next_report += _STEPS_BETWEEN_REPORTS
        return fleet.report(seed)


class Schedule:
    """Runs one operation after another on a fleet; `choices` makes every choice."""

    def __init__(self, fleet: Fleet, choices: random.Random) -> None:
        self._fleet = fleet
        self._choices = choices
        weight_of = _WITH_LOST_STANDBYS if fleet.parts.loses_standbys else _WEIGHT_OF
        self._operations, self._weights = tuple(weight_of), tuple(weight_of.values())
        fleet.ivs.clock.ahead_seconds = self._ahead_seconds()

    def step(self) -> None:
        """Run one operation; none when the drawn one is not possible now."""
        (operation,) = self._choices.choices(self._operations, self._weights)
        operation(self)

    # --- Time

    def advance_time(self) -> None:
        """Advance by seconds, or sometimes by long enough for a view to become too old."""
        longest = self._choices.choices((3, 30, 130), (3, 3, 1))[0]
        self._fleet.advance(self._choices.uniform(0, longest))

    def reconcile_at_a_deadline(self) -> None:
        """Let a rotator act as early as the rules allow by its own clock."""
        host = self._choices.choice(self._fleet.rotators)
        if host.waits_until is None or host.actors:
            return
        left = host.waits_until - host.clock.now()
        if 0 <= left < _NEAR_SECONDS:
            self._fleet.advance(left)
            self.refresh_view()
            self._fleet.reconcile(host)

    def sign_from_the_oldest_view(self) -> None:
        """Let a replica that has not read the latest ring sign as late as its view allows."""
        behind = [replica for replica in self._fleet.replicas if replica.is_behind]
        if behind:
            replica = self._choices.choice(behind)
            left = replica.seconds_until_too_old()
            if left >= 0 and len(replica.actors) < _MOST_PARKED:
                self._fleet.advance(left)
                self._fleet.sign(replica, _LONGEST_SECONDS)

    def set_a_clock(self) -> None:
        """Set a clock within the allowed skew, or a rotator's off; a replica's less often."""
        processes = self._choices.choices(
            (self._fleet.rotators, self._fleet.replicas), (_ROTATORS_SHARE, 1 - _ROTATORS_SHARE)
        )[0]
        process = self._choices.choice(processes)
        process.clock.ahead_seconds = self._ahead_seconds()
        off_seconds = self._fleet.parts.wrong_clock_seconds
        if off_seconds and process in self._fleet.rotators and self._choices.random() < 0.5:
            process.clock.ahead_seconds = self._choices.choice((-off_seconds, off_seconds))

    # --- Work

    def sign(self) -> None:
        """Request a token from a replica, often with the longest lifetime."""
        if replica := self._process_with_capacity(self._fleet.replicas, _MOST_PARKED):
            ttl_seconds = self._choices.choice((60, _LONGEST_SECONDS))
            self._fleet.sign(replica, ttl_seconds, self._points())

    def refresh_view(self) -> None:
        """Refresh the view of a replica."""
        if replica := self._process_with_capacity(self._fleet.replicas, _MOST_PARKED):
            self._fleet.refresh_view(replica, self._points())

    def reconcile(self) -> None:
        """Run the scheduled job of a host."""
        if host := self._process_with_capacity(self._fleet.rotators, 1):
            self._fleet.reconcile(host, self._points())

    def refresh_and_reconcile(self) -> None:
        """Let a replica read the ring just before it may change."""
        self.refresh_view()
        self.reconcile()

    def rotate(self) -> None:
        """Rotate as the operator does; replicas read the ring while the job is parked somewhere."""
        host = self._process_with_capacity(self._fleet.rotators, 1)
        if host is None:
            return
        self._fleet.request_rotation(host, force=self._choices.random() < 0.2)
        self.refresh_view()
        if not host.actors:
            self._fleet.reconcile(host, self._choices.randrange(*_POINTS_NEAR_THE_SWITCH))
        self._fleet.advance(self._choices.uniform(0, 90))
        self.refresh_view()
        if host.actors:
            self._fleet.resume(host, 0, self._points())

    def rollback(self) -> None:
        """Roll back as the operator does, then let replicas and the job follow."""
        host = self._process_with_capacity(self._fleet.rotators, 1)
        if host is None:
            return
        self._fleet.rollback(host, self._points())
        self.refresh_view()
        if not host.actors:
            self._fleet.reconcile(host, self._points())

    def rollback_during_a_deletion(self) -> None:
        """Roll back to a key while a parked job may be deleting it, then sign."""
        ring = self._fleet.ring
        retiring = ring.in_state(KeyState.RETIRING) if ring is not None else ()
        idle = [host for host in self._fleet.rotators if not host.actors]
        if idle and any(pair.delete_intended_at is not None for pair in retiring):
            self._fleet.rollback(idle[0])
            self.refresh_view()
            self.sign()

    def revoke(self) -> None:
        """Mark a key as compromised, as the operator does."""
        if host := self._process_with_capacity(self._fleet.rotators, 1):
            self._fleet.revoke(host, self._choices.randrange(3), self._points())

    def lose_two_keys(self) -> None:
        """An operator loses the standby's private key, and then revokes the active key."""
        ring, host = self._fleet.ring, self._process_with_capacity(self._fleet.rotators, 1)
        if ring is None or ring.active is None or ring.standby is None or host is None:
            return
        in_use = [pair.key_id for pair in ring.pairs if pair.state is not KeyState.RETIRED]
        self._fleet.revoke(host, in_use.index(ring.active.key_id))
        ring = self._fleet.ring
        # Where the state was not reached, the private key is not lost: nothing would discard it.
        if ring is not None and has_emergency(ring):
            self._fleet.spoil_the_standby()

    def resume(self) -> None:
        """Resume something that is parked."""
        if busy := [process for process in self._fleet.processes if process.actors]:
            process = self._choices.choice(busy)
            index = self._choices.randrange(len(process.actors))
            self._fleet.resume(process, index, self._points())

    def crash(self) -> None:
        """Kill a process, if possible in the middle of an operation."""
        busy = [process for process in self._fleet.processes if process.actors]
        self._fleet.crash(self._choices.choice(busy or self._fleet.processes))

    # --- Faults and changes

    def degrade_a_link(self) -> None:
        """Make a link fail, lose answers, or become slow."""
        link = self._choices.choice(self._links())
        bad = (Condition.DOWN, Condition.LOSES_ANSWERS, Condition.SLOW)
        link.condition = self._choices.choices(bad, (1, 1, 2))[0]

    def restore_links(self) -> None:
        """Restore some of the links."""
        for link in self._links():
            if self._choices.random() < 0.5:
                link.condition = Condition.UP

    def change_the_delays_of_ivs(self) -> None:
        """Change the delays of IVS, up to the longest allowed."""
        slowest = self._fleet.parts.slowest_import_seconds
        ivs = self._fleet.ivs
        ivs.import_delay_seconds = self._choices.choice((0, slowest / 2, slowest))
        ivs.delete_delay_seconds = self._choices.choice((0, 0, 0, 30))

    def change_the_settings(self) -> None:
        """Raise or lower the terms in the settings of a host."""
        host = self._choices.choice(self._fleet.rotators)
        host.terms = dataclasses.replace(
            self._fleet.parts.terms,
            longest_ttl_seconds=self._choices.choice((60, 300, 400)),
            ring_max_age_seconds=self._choices.choice((60, 120, 150)),
        )

    def import_foreign_pair(self) -> None:
        """Import a foreign key pair."""
        self._fleet.import_foreign_pair()

    def free_slots(self) -> None:
        """Delete the key pairs that the ring does not need."""
        self._fleet.free_slots()

    # --- Random choices

    def _points(self) -> int:
        return TO_COMPLETION if self._choices.random() < 0.5 else self._choices.randrange(12)

    def _ahead_seconds(self) -> float:
        limit = REAL_SKEW_SECONDS / 2
        between = self._choices.uniform(-limit, limit)
        return self._choices.choices((-limit, between, limit), (2, 1, 2))[0]

    def _process_with_capacity(self, processes: list[T], most_parked: int) -> T | None:
        process = self._choices.choice(processes)
        return process if len(process.actors) < most_parked else None

    def _links(self) -> list[Link]:
        to_the_state = [process.state_link for process in self._fleet.processes]
        return to_the_state + [host.ivs_link for host in self._fleet.rotators]


_WEIGHT_OF = {
    Schedule.sign: 200,
    Schedule.sign_from_the_oldest_view: 150,
    Schedule.advance_time: 150,
    Schedule.resume: 70,
    Schedule.refresh_view: 20,
    Schedule.reconcile: 40,
    Schedule.refresh_and_reconcile: 20,
    Schedule.reconcile_at_a_deadline: 80,
    Schedule.rotate: 60,
    Schedule.rollback: 12,
    Schedule.rollback_during_a_deletion: 40,
    Schedule.restore_links: 25,
    Schedule.degrade_a_link: 15,
    Schedule.set_a_clock: 50,
    Schedule.crash: 10,
    Schedule.change_the_delays_of_ivs: 12,
    Schedule.free_slots: 5,
    Schedule.change_the_settings: 3,
    Schedule.import_foreign_pair: 3,
    Schedule.revoke: 1,
}
_WITH_LOST_STANDBYS = _WEIGHT_OF | {Schedule.lose_two_keys: 8}
