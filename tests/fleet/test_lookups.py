"""What a fleet asks IVS for channels, in virtual time: its rate, its duplicates, its faults."""

from __future__ import annotations

import pytest

from tests.fleet.links import Condition
from tests.fleet.lookup_fleet import channels, lookup_fleet

# Thousands of steps through the same lines, which other tests cover too.
pytestmark = pytest.mark.no_cover


def test_a_cold_fleet_of_16_workers_knows_5000_channels_within_a_minute() -> None:
    """Each of them meets all channels at once. 100 calls for 50 channels, none twice or throttled.

    25 s are needed for 100 calls at four a second.
    """
    with lookup_fleet(16) as fleet:
        fleet.meet(channels(5_000))
        assert 25 <= fleet.seconds_until_known(5_000, at_most=60) <= 60
        assert [count for _, count in fleet.ivs.calls] == [50] * 100
        assert set(fleet.ivs.lookups.values()) == {1}
        assert fleet.ivs.throttled == 0
        assert fleet.ivs.most_in_a_second() <= 4


def test_in_steady_state_a_fleet_makes_less_than_one_call_a_second() -> None:
    """Each channel is refreshed once for all workers, 270 s after its last lookup or later."""
    arns = channels(400)
    with lookup_fleet(16) as fleet:
        fleet.meet(arns)
        fleet.seconds_until_known(400, at_most=30)
        fleet.advance(265)
        began_at = fleet.now
        assert fleet.serve(arns, 90, every_seconds=20) == 0
        assert 8 <= fleet.ivs.calls_since(began_at) < 90
        # After 355 s each of them was refreshed, once for all workers.
        assert set(fleet.ivs.lookups.values()) == {2}
        assert fleet.ivs.throttled == 0


def test_while_ivs_throttles_all_workers_together_wait_longer_and_longer() -> None:
    """1, 2, 4, 8, 16, then 32 s. Known channels are served, and all is well afterwards."""
    old, new = channels(20), channels(40)[20:]
    with lookup_fleet(16) as fleet:
        fleet.meet(old)
        fleet.seconds_until_known(20, at_most=30)
        fleet.ivs.refuses = True
        began_at = fleet.now
        for _ in range(31):
            fleet.meet(new)
            fleet.advance(2)
        assert fleet.ivs.calls_since(began_at) <= 6
        assert all(worker.request(arn) for worker in fleet.workers for arn in old)
        fleet.ivs.refuses = False
        fleet.meet_until_known(new, at_most=45)


def test_when_a_worker_dies_in_its_turn_the_others_go_on_after_two_seconds() -> None:
    """Each of the first three that get the turn dies in it."""
    with lookup_fleet(6) as fleet:
        fleet.meet(channels(600))
        for _ in range(3):
            while (holder := fleet.holder()) is None:
                fleet.advance(0.02)
            holder.crash()
            fleet.workers.remove(holder)
        assert fleet.seconds_until_known(600, at_most=15) > 2
        assert fleet.ivs.most_in_a_second() <= 4


def test_without_the_state_each_worker_finds_its_pace_and_known_channels_are_served() -> None:
    """IVS throttles many of the first calls of 16 workers, then few. All is well afterwards."""
    old, new = channels(20), channels(420)[20:]
    with lookup_fleet(16) as fleet:
        fleet.meet(old)
        fleet.seconds_until_known(20, at_most=30)
        for worker in fleet.workers:
            worker.link.condition = Condition.DOWN
        began_at = fleet.now
        for _ in range(12):
            fleet.meet(new)
            assert all(worker.request(arn) for worker in fleet.workers for arn in old)
            fleet.advance(5)
        calls = fleet.ivs.calls_since(began_at)
        assert 60 < calls < 5 * 60
        assert fleet.ivs.throttled < calls / 2
        for worker in fleet.workers:
            worker.link.condition = Condition.UP
        fleet.meet_until_known(new, at_most=60)


@pytest.mark.parametrize("ahead_seconds", [(-5, 5, 0, 5), (5, -5, -5, 0)])
def test_clocks_that_differ_by_ten_seconds_change_nothing(
    ahead_seconds: tuple[float, ...],
) -> None:
    """No process compares its clock with another one, but for the age of an answer."""
    arns = channels(200)
    with lookup_fleet(4) as fleet:
        for worker, seconds in zip(fleet.workers, ahead_seconds, strict=True):
            worker.clock.ahead_seconds = seconds
        fleet.meet(arns)
        fleet.seconds_until_known(200, at_most=10)
        assert set(fleet.ivs.lookups.values()) == {1}
        assert fleet.ivs.most_in_a_second() <= 4
        began_at = fleet.now
        assert fleet.serve(arns, 360, every_seconds=60) == 0
        assert fleet.ivs.calls_since(began_at) < 360
        assert max(fleet.ivs.lookups.values()) <= 3


def test_while_ivs_hangs_known_channels_are_served_and_few_calls_are_made() -> None:
    """The turn of a worker whose call hangs lapses. All is well afterwards."""
    old, new = channels(100), channels(200)[100:]
    with lookup_fleet(4) as fleet:
        fleet.meet(old)
        fleet.seconds_until_known(100, at_most=30)
        fleet.ivs.hangs = True
        began_at = fleet.now
        for _ in range(15):
            fleet.meet(new)
            assert all(worker.request(arn) for worker in fleet.workers for arn in old)
            fleet.advance(2)
        assert fleet.ivs.calls_since(began_at) <= 30 / 2 + 1
        fleet.ivs.hangs = False
        fleet.meet_until_known(new, at_most=30)


def test_channels_that_a_call_for_several_does_not_answer_keep_the_rate_too() -> None:
    """Without the permission for BatchGetChannel: GetChannel, four times a second."""
    with lookup_fleet(4) as fleet:
        fleet.ivs.denies_batches = True
        fleet.meet(channels(60))
        fleet.seconds_until_known(60, at_most=40)
        assert fleet.ivs.most_in_a_second() <= 4
        assert fleet.ivs.throttled == 0


def test_a_new_worker_takes_what_the_others_know() -> None:
    """Without a call to IVS."""
    arns = channels(300)
    with lookup_fleet(2) as fleet:
        first, second = fleet.workers
        for arn in arns:
            first.request(arn)
        fleet.advance(5)
        calls = len(fleet.ivs.calls)
        for arn in arns:
            second.request(arn)
        fleet.advance(1)
        assert second.known == 300
        assert len(fleet.ivs.calls) == calls


def test_a_channel_that_no_worker_knows_is_looked_up_at_once() -> None:
    """Two reads, a write and the call: within 120 ms where the state takes 10 ms and IVS 80."""
    (arn,) = channels(1)
    with lookup_fleet(1) as fleet:
        (worker,) = fleet.workers
        assert not worker.request(arn)
        fleet.advance(0.12)
        assert worker.request(arn)


def late_lookups_of_a_good_caller(workers: int, rounds: int, *, has_shares: bool) -> int:
    """How many channels of a good caller are not known after 2 s.

    Meanwhile another caller requests 50 new channels of each worker before each of them.
    """
    arns = channels(rounds * (workers * 50 + 1) + workers * 500)
    late = 0
    with lookup_fleet(workers, has_shares=has_shares) as fleet:

        def attack(count: int) -> None:
            for worker in fleet.workers:
                for _ in range(count):
                    worker.request(arns.pop(), "hostile")

        for _ in range(10):
            attack(50)
            fleet.advance(1)
        for _ in range(rounds):
            attack(50)
            worker, arn = fleet.random.choice(fleet.workers), arns.pop()
            worker.request(arn, "good")
            give_up_at = fleet.now + 2
            while fleet.now < give_up_at and worker.known_channel(arn) is None:
                fleet.advance(0.1)
            late += worker.known_channel(arn) is None
        assert fleet.ivs.throttled == 0
    return late


@pytest.mark.parametrize("workers", [2, 16])
def test_a_caller_with_many_unknown_channels_keeps_no_other_one_waiting(workers: int) -> None:
    """The good caller's channel is looked up within the 2 s for which its request waits."""
    assert late_lookups_of_a_good_caller(workers, 20, has_shares=True) == 0


def test_without_shares_it_does() -> None:
    """So the test above shows something."""
    assert late_lookups_of_a_good_caller(8, 10, has_shares=False) > 5


def test_a_caller_gets_its_share_and_no_more() -> None:
    """In 30 s, of 50 new channels a second in each of four workers: 4 x 200, and 20 a second."""
    arns = channels(6_000)
    with lookup_fleet(4, has_shares=True) as fleet:
        for _ in range(30):
            for worker in fleet.workers:
                for _ in range(50):
                    worker.request(arns.pop(), "hostile")
            fleet.advance(1)
        fleet.advance(5)
        assert 1_300 <= len(fleet.ivs.lookups) <= 800 + 20 * 31
