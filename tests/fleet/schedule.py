"""Schedules drawn at random: the same seed gives the same run.

What is likely was chosen so that a rule left out shows soon: replicas read the ring just before it
changes and sign as late as they may, and rotators act as early as they may.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable
from typing import TypeVar

from tests.fleet.fleet import REAL_SKEW_SECONDS, TO_THE_END, Fleet, Report
from tests.fleet.links import Condition, Link
from tests.fleet.processes import Parts, Process

T = TypeVar("T", bound=Process)

_MOST_PARKED = 3
_NEAR_SECONDS = 300
_POINTS_NEAR_THE_SWITCH = (6, 12)
"""Between them a job parks while it checks, switches, and saves the switch."""
_ROTATORS_SHARE = 0.8
_LONGEST_SECONDS = 1_000_000
"""A longer life than any token gets: asks for the longest."""
_STEPS_BETWEEN_REPORTS = 10_000


def simulate(
    seed: int,
    steps: int,
    parts: Parts | None = None,
    on_progress: Callable[[Report], None] = lambda _: None,
) -> Report:
    """What a run of that many steps comes to; it ends sooner when a token broke."""
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
    """Does one operation after another on a fleet, each choice drawn from `choices`."""

    def __init__(self, fleet: Fleet, choices: random.Random) -> None:
        self._fleet = fleet
        self._choices = choices
        fleet.ivs.clock.ahead_seconds = self._ahead_seconds()

    def step(self) -> None:
        """One operation; now and then none, when what was drawn can't be done just now."""
        (operation,) = self._choices.choices(_OPERATIONS, _WEIGHTS)
        operation(self)

    # --- Time

    def let_time_pass(self) -> None:
        """Mostly moments, sometimes long enough for a view to grow old."""
        longest = self._choices.choices((3, 30, 130), (3, 3, 1))[0]
        self._fleet.advance(self._choices.uniform(0, longest))

    def go_to_a_deadline(self) -> None:
        """A rotator acts at the first moment at which the rules allow it, by its own clock."""
        host = self._choices.choice(self._fleet.rotators)
        if host.waits_until is None or host.actors:
            return
        left = host.waits_until - host.clock.now()
        if 0 <= left < _NEAR_SECONDS:
            self._fleet.advance(left)
            self.look()
            self._fleet.reconcile(host)

    def sign_at_the_last_moment(self) -> None:
        """A replica that has not seen the latest ring signs as late as its view allows."""
        behind = [replica for replica in self._fleet.replicas if replica.is_behind]
        if behind:
            replica = self._choices.choice(behind)
            left = replica.seconds_until_too_old()
            if left >= 0 and len(replica.actors) < _MOST_PARKED:
                self._fleet.advance(left)
                self._fleet.sign(replica, _LONGEST_SECONDS)

    def set_a_clock(self) -> None:
        """A clock is set, within what the terms allow; a replica's more seldom."""
        processes = self._choices.choices(
            (self._fleet.rotators, self._fleet.replicas), (_ROTATORS_SHARE, 1 - _ROTATORS_SHARE)
        )[0]
        self._choices.choice(processes).clock.ahead_seconds = self._ahead_seconds()

    # --- Work

    def sign(self) -> None:
        """A request at some replica, mostly for as long a life as it can get."""
        if replica := self._with_room(self._fleet.replicas, _MOST_PARKED):
            ttl_seconds = self._choices.choice((60, _LONGEST_SECONDS))
            self._fleet.sign(replica, ttl_seconds, self._points())

    def look(self) -> None:
        """Some replica's follower reads the ring."""
        if replica := self._with_room(self._fleet.replicas, _MOST_PARKED):
            self._fleet.look(replica, self._points())

    def reconcile(self) -> None:
        """Some host's scheduled job."""
        if host := self._with_room(self._fleet.rotators, 1):
            self._fleet.reconcile(host, self._points())

    def look_and_reconcile(self) -> None:
        """A replica reads the ring at the last moment before it may change."""
        self.look()
        self.reconcile()

    def rotate(self) -> None:
        """The operator rotates; the job is held up somewhere, while replicas read the ring."""
        host = self._with_room(self._fleet.rotators, 1)
        if host is None:
            return
        self._fleet.rotation_request(host, force=self._choices.random() < 0.2)
        self.look()
        if not host.actors:
            self._fleet.reconcile(host, self._choices.randrange(*_POINTS_NEAR_THE_SWITCH))
        self._fleet.advance(self._choices.uniform(0, 90))
        self.look()
        if host.actors:
            self._fleet.go_on(host, 0, self._points())

    def revoke(self) -> None:
        """The operator declares a key stolen."""
        if host := self._with_room(self._fleet.rotators, 1):
            self._fleet.revoke(host, self._choices.randrange(3), self._points())

    def go_on(self) -> None:
        """Something that is parked goes on."""
        if busy := [process for process in self._fleet.processes if process.actors]:
            process = self._choices.choice(busy)
            index = self._choices.randrange(len(process.actors))
            self._fleet.go_on(process, index, self._points())

    def crash(self) -> None:
        """A process dies, mostly in the middle of something."""
        busy = [process for process in self._fleet.processes if process.actors]
        self._fleet.crash(self._choices.choice(busy or self._fleet.processes))

    # --- Faults and changes

    def cut_a_link(self) -> None:
        """A link fails, loses answers, or grows slow."""
        link = self._choices.choice(self._links())
        bad = (Condition.DOWN, Condition.LOSES_ANSWERS, Condition.SLOW)
        link.condition = self._choices.choices(bad, (1, 1, 2))[0]

    def mend_links(self) -> None:
        """Some links work again."""
        for link in self._links():
            if self._choices.random() < 0.5:
                link.condition = Condition.UP

    def change_the_delays_of_ivs(self) -> None:
        """IVS gets faster or slower, to the longest that is allowed."""
        slowest = self._fleet.parts.slowest_import_seconds
        ivs = self._fleet.ivs
        ivs.import_delay_seconds = self._choices.choice((0, slowest / 2, slowest))
        ivs.delete_delay_seconds = self._choices.choice((0, 0, 0, 30))

    def change_the_settings(self) -> None:
        """An operator raises or lowers what the next rotator of that host will bring along."""
        host = self._choices.choice(self._fleet.rotators)
        host.terms = dataclasses.replace(
            self._fleet.parts.terms,
            longest_ttl_seconds=self._choices.choice((60, 300, 400)),
            view_max_age_seconds=self._choices.choice((60, 120, 150)),
        )

    def stranger_comes(self) -> None:
        """Somebody else takes a slot."""
        self._fleet.stranger_comes()

    def slots_are_freed(self) -> None:
        """A person makes room."""
        self._fleet.slots_are_freed()

    # --- Drawing

    def _points(self) -> int:
        return TO_THE_END if self._choices.random() < 0.5 else self._choices.randrange(12)

    def _ahead_seconds(self) -> float:
        half = REAL_SKEW_SECONDS / 2
        between = self._choices.uniform(-half, half)
        return self._choices.choices((-half, between, half), (2, 1, 2))[0]

    def _with_room(self, processes: list[T], most_parked: int) -> T | None:
        process = self._choices.choice(processes)
        return process if len(process.actors) < most_parked else None

    def _links(self) -> list[Link]:
        to_the_state = [process.state_link for process in self._fleet.processes]
        return to_the_state + [host.ivs_link for host in self._fleet.rotators]


_WEIGHT_OF = {
    Schedule.sign: 200,
    Schedule.sign_at_the_last_moment: 150,
    Schedule.let_time_pass: 150,
    Schedule.go_on: 70,
    Schedule.look: 20,
    Schedule.reconcile: 40,
    Schedule.look_and_reconcile: 20,
    Schedule.go_to_a_deadline: 80,
    Schedule.rotate: 60,
    Schedule.mend_links: 25,
    Schedule.cut_a_link: 15,
    Schedule.set_a_clock: 50,
    Schedule.crash: 10,
    Schedule.change_the_delays_of_ivs: 12,
    Schedule.slots_are_freed: 5,
    Schedule.change_the_settings: 3,
    Schedule.stranger_comes: 3,
    Schedule.revoke: 1,
}
_OPERATIONS, _WEIGHTS = tuple(_WEIGHT_OF), tuple(_WEIGHT_OF.values())
