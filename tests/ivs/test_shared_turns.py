"""The turns of a fleet: their rate, their order, and what happens when one is not ended."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.fleet.links import Condition, Link
from tests.fleet.memory_state import MemoryState, MemoryStore
from tests.ivs.staged_ivs import seeded_random
from tests.support.clock import ManualClock
from tokensvc.arns import Region
from tokensvc.ivs.shared_turns import KIND, SharedTurns
from tokensvc.ivs.turns import Need, Turn, Unlimited
from tokensvc.state.base import Record

REGION, FRANKFURT = Region("us-west-2"), Region("eu-central-1")
POLL_SECONDS = 0.15
"""A process looks again after this time at most."""


def urgent() -> Need:
    """A request may wait."""
    return Need.URGENT


def refresh() -> Need:
    """No request waits."""
    return Need.REFRESH


class Process:
    """A process of the fleet. While it waits, only the clock moves."""

    def __init__(self, store: MemoryStore, clock: ManualClock, seed: int) -> None:
        self.clock = clock
        self.link = Link()
        self.turns = SharedTurns(
            MemoryState(store, self.link), clock, seeded_random(seed), clock.advance
        )

    def take(self, need: Callable[[], Need] = urgent, region: Region = REGION) -> Turn:
        """The next turn."""
        turn = self.turns.take(region, need)
        assert turn is not None
        return turn

    def seconds_to_take(self, need: Callable[[], Need] = urgent) -> float:
        """Take the next turn and end it without a call; how long it had to wait."""
        began_at = self.clock.monotonic()
        turn = self.take(need)
        waited = self.clock.monotonic() - began_at
        turn.end(is_throttled=False)
        return waited

    def have_turn(self, *, is_throttled: bool = False, calls: int = 1) -> None:
        """Have a turn with that many calls, which take no time."""
        turn = self.take()
        for _ in range(calls):
            assert turn.next_call()
        turn.end(is_throttled=is_throttled)


@pytest.fixture
def store() -> MemoryStore:
    """The state that the processes share."""
    return MemoryStore()


@pytest.fixture
def first(store: MemoryStore, clock: ManualClock) -> Process:
    """A process."""
    return Process(store, clock, 1)


@pytest.fixture
def second(store: MemoryStore, clock: ManualClock) -> Process:
    """Another process."""
    return Process(store, clock, 2)


def test_a_turn_has_four_calls_which_begin_250_ms_apart(first: Process, clock: ManualClock) -> None:
    """The first one at once. A call that takes longer delays the next one no further."""
    began_at = clock.monotonic()
    turn = first.take()
    begun = []
    while turn.next_call():
        begun.append(clock.monotonic() - began_at)
        clock.advance(0.1)
    assert begun == pytest.approx([0, 0.25, 0.5, 0.75])


def test_the_next_process_keeps_the_distance_to_the_last_call(
    first: Process, second: Process, clock: ManualClock
) -> None:
    """250 ms from when it sees that the turn has ended."""
    first.have_turn()
    assert second.seconds_to_take() == pytest.approx(0.25)
    first.have_turn()
    clock.advance(0.2)
    assert second.seconds_to_take() == pytest.approx(0.25)


def test_one_process_has_the_turn_of_a_region_at_a_time(first: Process, second: Process) -> None:
    """Each region has turns of its own."""
    first.take()
    assert second.seconds_to_take() >= 2.0
    first.take(region=FRANKFURT)
    assert second.turns.clock is first.turns.clock


def test_a_turn_that_is_not_ended_lapses_two_seconds_after_it_was_seen(
    first: Process, second: Process, clock: ManualClock
) -> None:
    """And its holder makes no call after one second, and ends no turn of another process."""
    turn = first.take()
    assert turn.next_call()
    clock.advance(0.5)
    assert 2.0 <= second.seconds_to_take() <= 2.0 + POLL_SECONDS
    taken = second.take()
    assert not turn.next_call()
    turn.end(is_throttled=True)
    assert taken.next_call()
    taken.end(is_throttled=False)


def test_a_process_that_meets_an_old_turn_takes_it_at_once(
    first: Process, second: Process, clock: ManualClock
) -> None:
    """It was not ended, 12 s ago: more than two seconds, and the ten by which clocks differ."""
    first.take()
    clock.advance(12)
    assert second.seconds_to_take() == 0


@pytest.mark.parametrize("ahead_seconds", [-10, 10])
def test_a_clock_that_is_off_by_ten_seconds_shortens_no_turn(
    first: Process, store: MemoryStore, ahead_seconds: float
) -> None:
    """The wall clock only says when a record is older than clocks differ."""
    clock = ManualClock()
    clock.jump_wall(ahead_seconds)
    other = Process(store, clock, 3)
    first.take()
    assert 1.99 <= other.seconds_to_take() <= 2.0 + POLL_SECONDS


@pytest.mark.parametrize("body", ["", "{}", '{"schema_version": 2}'])
def test_a_record_that_cannot_be_read_is_replaced(
    first: Process, store: MemoryStore, clock: ManualClock, body: str
) -> None:
    """It is damaged, or of another release."""
    record = Record(REGION, body, clock.now() + 60)
    store.kinds[KIND] = {REGION: record}
    assert first.seconds_to_take() == 0
    assert store.kinds[KIND][REGION] != record


def test_after_throttled_calls_every_process_waits_longer_and_longer(
    first: Process, second: Process
) -> None:
    """1, 2, 4, 8, 16, then always 32 s. A turn without a call changes nothing; an answer does."""
    waits = []
    for _ in range(7):
        first.have_turn(is_throttled=True)
        waits.append(second.seconds_to_take())
    assert waits == pytest.approx([1, 2, 4, 8, 16, 32, 32])
    second.have_turn()
    first.have_turn(is_throttled=True)
    assert second.seconds_to_take() == pytest.approx(1)


def test_a_refresh_begins_two_seconds_after_the_last_turn_of_any_process(
    first: Process, second: Process
) -> None:
    """It becomes urgent when a request asks for an unknown channel meanwhile."""
    assert first.seconds_to_take(refresh) == 0
    assert second.seconds_to_take(refresh) == pytest.approx(2)
    assert first.seconds_to_take(refresh) == pytest.approx(2)
    needs = iter([Need.REFRESH, Need.REFRESH, Need.REFRESH])
    assert 0.1 < second.seconds_to_take(lambda: next(needs, Need.URGENT)) < 0.5


def test_a_process_that_used_its_whole_turn_lets_others_go_first(
    first: Process, clock: ManualClock
) -> None:
    """It would know first that the turn is free. Others look at least every 150 ms."""
    turn = first.take()
    while turn.next_call():
        clock.advance(0.01)
    turn.end(is_throttled=False)
    assert first.seconds_to_take() >= 0.25 + POLL_SECONDS


def test_answers_are_read_again_only_if_another_process_had_a_turn(
    first: Process, second: Process
) -> None:
    """Also one that did not end it."""
    assert not first.take().may_be_outdated
    assert second.take().may_be_outdated
    assert first.take().may_be_outdated
    assert not first.take().may_be_outdated


def test_no_turn_is_taken_without_need_or_after_close(first: Process) -> None:
    """A thread that waits for one then ends."""
    needs = iter([Need.REFRESH, Need.NOTHING])
    first.have_turn()
    assert first.turns.take(REGION, lambda: next(needs, Need.NOTHING)) is None
    first.turns.close()
    assert first.turns.take(REGION, urgent) is None


def test_without_the_state_each_call_is_a_turn_and_throttling_slows_them_down(
    first: Process, clock: ManualClock
) -> None:
    """Four a second at first; after 429, one in 4 s, 8 s and so on; then a tenth faster each."""
    first.link.condition = Condition.DOWN

    def pace(*, is_throttled: bool) -> float:
        turn = first.take()
        assert turn.next_call()
        assert not turn.next_call()
        assert not turn.is_shared
        turn.end(is_throttled=is_throttled)
        began_at = clock.monotonic()
        first.take().end(is_throttled=False)
        return clock.monotonic() - began_at

    assert pace(is_throttled=False) == pytest.approx(0.25)
    clock.advance(100)
    assert pace(is_throttled=True) == pytest.approx(4)
    clock.advance(100)
    assert pace(is_throttled=False) == pytest.approx(0.9 * 4)


def test_the_state_is_tried_again_after_five_seconds(first: Process, clock: ManualClock) -> None:
    """A turn whose end can't be stored lapses."""
    first.link.condition = Condition.DOWN
    assert not first.take().is_shared
    first.link.condition = Condition.UP
    clock.advance(4)
    assert not first.take().is_shared
    clock.advance(1.1)
    turn = first.take()
    assert turn.is_shared
    first.link.condition = Condition.DOWN
    turn.end(is_throttled=False)


def test_a_turn_whose_answer_was_lost_lapses(first: Process, second: Process) -> None:
    """The process goes on alone, and another one takes the turn two seconds later."""
    first.link.condition = Condition.LOSES_ANSWERS
    assert not first.take().is_shared
    assert second.seconds_to_take() == 0  # Its read was lost, so that nothing was written.


def test_a_process_without_a_state_has_a_turn_at_any_time() -> None:
    """Nothing limits its calls."""
    turn = Unlimited().take(REGION, urgent)
    assert turn is not None
    assert turn.next_call()
    assert turn.next_call()
    assert not turn.may_be_outdated
