"""The loop that carries out kicks, bans and due ends: order, rate, crashes, pauses, outages."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fleet.links import Condition
from tests.playback.revocation_world import (
    IRELAND,
    OREGON,
    Process,
    RevocationWorld,
    channel,
)
from tokensvc.access.bans.model import Target
from tokensvc.errors import IvsUnavailable, ViewerRevoked
from tokensvc.ivs.viewer_sessions import Viewer
from tokensvc.playback.revocation.due_ends import DueEnd
from tokensvc.playback.revocation.events import CallFailed, LeaseChanged, Revoked, StateFailed
from tokensvc.state.base import Record

ONE = channel("one")


@pytest.fixture
def world() -> RevocationWorld:
    """A world at 2027-01-15T08:00:00Z in which nothing is pending."""
    return RevocationWorld()


def test_a_session_ends_when_it_is_due_and_not_before(world: RevocationWorld) -> None:
    """Within about two seconds: that is how often due ends are read."""
    begin = world.now
    world.mint("preview", 30)
    process = Process(world)

    world.run([process], 29.9)
    assert world.ivs.sent("preview") == []
    world.run([process], 2.5)

    assert world.ivs.sent("preview") == [begin]
    assert world.progress() == {"preview": "done"}
    (event,) = process.events_of(Revoked)
    assert isinstance(event, Revoked)
    assert (event.region, len(event.ended), event.left) == (OREGON, 1, 0)
    assert 0.0 <= event.late_seconds <= 2.5


def test_six_hundred_due_ends_take_fifteen_seconds(world: RevocationWorld) -> None:
    """20 a call and two calls a second, as IVS allows; so 50,000 take nearly 21 minutes."""
    for number in range(600):
        world.mint(f"v{number:04}", 10 + number // 300)
    world.clock.advance(20)
    process = Process(world)

    took = world.run([process], 120, until=lambda: process.loop.is_done)

    assert 14.5 <= took <= 16.0
    assert [len(batch) for _, batch in world.ivs.calls[OREGON]] == 30 * [20]
    assert set(world.progress().values()) == {"done"}
    sent = [one.viewer.viewer_id for _, batch in world.ivs.calls[OREGON] for one in batch]
    assert sent == sorted(sent)
    assert process.events_of(CallFailed) == []


def test_a_kick_goes_before_the_due_ends_that_wait(world: RevocationWorld) -> None:
    """In the next call after it was read."""
    for number in range(400):
        world.mint(f"v{number:03}", 5)
    world.clock.advance(10)
    process = Process(world)
    world.run([process], 3)
    kick = world.kick("mallory", ONE)
    world.clock.advance(5)  # The request that made it did not carry it out.

    took = world.run([process], 20, until=lambda: not world.pending_bans())

    assert took <= 2.0
    assert world.ivs.sent("mallory") == [kick.line]
    assert not process.loop.is_done


def test_a_fresh_kick_is_left_to_its_request_unless_it_is_the_own_one(
    world: RevocationWorld,
) -> None:
    """The request calls IVS itself, for up to two seconds."""
    kick = world.kick("mallory", ONE)
    other, own = Process(world), Process(world, own={kick.ban_id})

    world.run([other], 3)
    assert world.ivs.sent("mallory") == []
    other.loop.close()
    world.run([own], 0.5)

    assert world.ivs.sent("mallory") == [kick.line]


def test_of_two_processes_one_calls_and_nothing_is_sent_twice(world: RevocationWorld) -> None:
    """The other one waits."""
    for number in range(100):
        world.mint(f"v{number:02}", 5)
    processes = [Process(world), Process(world)]

    world.run(processes, 30)

    assert all(len(world.ivs.sent(f"v{number:02}")) == 1 for number in range(100))
    assert [event.events_of(LeaseChanged) for event in processes] == [
        [LeaseChanged(is_held=True)],
        [LeaseChanged(is_held=False)],
    ]


def test_when_the_one_that_calls_dies_the_other_goes_on_after_ten_seconds(
    world: RevocationWorld,
) -> None:
    """It also carries out what the other one had begun."""
    for number in range(100):
        world.mint(f"v{number:02}", 5)
    dying, other = Process(world), Process(world)
    world.run([dying, other], 6.5)
    done = sum(one == "done" for one in world.progress().values())
    assert 0 < done < 100
    (begun, *_) = (one for one in world.due_ends.all() if one.due_end.progress == "waiting")
    world.due_ends.advance(begun, "begun")

    world.run([other], 9)
    assert sum(one == "done" for one in world.progress().values()) == done
    world.run([other], 20)

    assert set(world.progress().values()) == {"done"}


def test_a_process_that_stops_lets_the_other_go_on_at_once(world: RevocationWorld) -> None:
    """It releases the lease."""
    stopping, other = Process(world), Process(world)
    world.run([stopping, other], 3)
    stopping.loop.close()
    world.mint("preview", 1)

    world.run([other], 4)

    assert world.progress() == {"preview": "done"}


def test_a_paused_process_ends_no_session_that_was_continued_meanwhile(
    world: RevocationWorld,
) -> None:
    """It was paused before it marked the end; the viewer's right was extended; it wakes up."""
    begin = world.now
    world.mint("alice", 10)
    paused = Process(world)
    world.run([paused], 9.5)
    world.clock.advance(0.4)
    world.mint("alice", 600, version=begin)
    world.clock.advance(0.2)

    world.run([paused], 60)

    assert world.ivs.sent("alice") == []
    assert world.progress() == {"alice": "waiting"}


def test_an_end_that_has_begun_can_not_be_continued_and_a_new_session_goes_on(
    world: RevocationWorld,
) -> None:
    """So a process that is paused between its mark and its call does no harm later."""
    begin = world.now
    world.mint("alice", 10)
    (stored,) = world.due_ends.all()
    world.due_ends.advance(stored, "begun")  # The process is paused now.
    world.clock.advance(20)
    with pytest.raises(ViewerRevoked):
        world.mint("alice", 600, version=begin)
    new = world.mint("alice", 600)

    world.ivs.revoke(OREGON, [stored.due_end.revocation])  # It wakes up.
    world.run([Process(world)], 60)

    assert world.ivs.lines[Viewer(ONE, "alice")] == begin < new.version
    assert world.progress() == {"alice": "waiting"}


def test_a_region_that_fails_does_not_stop_another_and_nothing_is_lost(
    world: RevocationWorld,
) -> None:
    """Its kicks stay pending until IVS answers again."""
    far = channel("far", IRELAND)
    world.ivs.down[IRELAND] = IvsUnavailable("Ireland is away.")
    kicks = [world.kick("mallory", far), world.kick("mallory", ONE)]
    process = Process(world, own={kick.ban_id for kick in kicks})

    world.run([process], 30)
    assert world.pending_bans() == {kicks[0].ban_id}
    was_stuck = process.loop.is_stuck
    assert was_stuck
    assert {event.region for event in process.events if isinstance(event, CallFailed)} == {IRELAND}
    world.ivs.down.clear()
    world.run([process], 10)

    assert world.pending_bans() == set()
    assert process.loop.is_done
    assert world.ivs.lines[Viewer(far, "mallory")] == kicks[0].line


def test_what_ivs_refuses_is_tried_again_after_a_minute(world: RevocationWorld) -> None:
    """Such as for a missing permission. The others go on."""
    world.ivs.parts[Viewer(ONE, "mallory")] = "AccessDeniedException"
    kicks = [world.kick("mallory", ONE), world.kick("trudy", ONE)]
    process = Process(world, own={kick.ban_id for kick in kicks})

    world.run([process], 30)
    assert world.ivs.sent("mallory") == [kicks[0].line]
    assert world.pending_bans() == {kicks[0].ban_id}
    assert process.loop.is_stuck
    world.ivs.parts.clear()
    world.run([process], 40)

    assert world.pending_bans() == set()


def test_a_kick_from_a_channel_that_does_not_exist_is_confirmed(world: RevocationWorld) -> None:
    """It has no viewers."""
    world.ivs.parts[Viewer(ONE, "mallory")] = "ResourceNotFoundException"
    kick = world.kick("mallory", ONE)

    world.run([Process(world, own={kick.ban_id})], 3)

    assert world.pending_bans() == set()


def test_a_kick_from_all_channels_is_carried_out_in_every_region(world: RevocationWorld) -> None:
    """In the order in which the channels are listed: live ones first."""
    world.ivs.channels = {
        OREGON: [channel(f"c{number:02}") for number in range(45)],
        IRELAND: [channel("far", IRELAND)],
    }
    kick = world.kick("mallory", None)
    process = Process(world, own={kick.ban_id})

    world.run([process], 10, until=lambda: not world.pending_bans())

    assert world.pending_bans() == set()
    sent = [one.viewer.channel_arn for _, batch in world.ivs.calls[OREGON] for one in batch]
    assert sent == world.ivs.channels[OREGON]
    assert [len(batch) for _, batch in world.ivs.calls[OREGON]] == [20, 20, 5]
    assert len(world.ivs.sent("mallory")) == 46


def test_a_kick_from_all_channels_without_any_channel_is_confirmed(world: RevocationWorld) -> None:
    """There is nothing to revoke."""
    kick = world.kick("mallory", None)

    world.run([Process(world, own={kick.ban_id})], 5)

    assert world.pending_bans() == set()
    assert world.ivs.sent("mallory") == []


def test_another_process_goes_on_with_the_channels_that_are_left(world: RevocationWorld) -> None:
    """What IVS has confirmed is not sent again."""
    world.ivs.channels = {OREGON: [channel(f"c{number:02}") for number in range(60)]}
    kick = world.kick("mallory", None)
    first = Process(world, own={kick.ban_id})
    world.run([first], 10, until=lambda: len(world.ivs.calls[OREGON]) == 2)
    first.loop.close()
    assert world.pending_bans() == {kick.ban_id}

    world.run([Process(world, own={kick.ban_id})], 10)

    assert world.pending_bans() == set()
    assert len(world.ivs.sent("mallory")) == 60


def test_a_ban_that_is_lifted_before_ivs_has_answered_revokes_nothing(
    world: RevocationWorld,
) -> None:
    """The moderator has changed their mind."""
    ban = world.writer.ban(Target(("alice",), ONE), seconds=3_600, by="moderator")
    world.writer.lift(ban.ban_id, by="moderator")
    process = Process(world, own={ban.ban_id})

    world.run([process], 5)

    assert world.ivs.sent("alice") == []
    assert process.loop.is_done


@pytest.mark.parametrize("condition", [Condition.DOWN, Condition.LOSES_ANSWERS])
def test_it_goes_on_after_an_outage_of_the_state(
    world: RevocationWorld, condition: Condition
) -> None:
    """What was not noted is sent again, which changes nothing at IVS."""
    for number in range(100):
        world.mint(f"v{number:02}", 5)
    process = Process(world)
    world.run([process], 6.5)
    process.link.condition = condition
    world.run([process], 20)
    assert process.events_of(StateFailed) != []
    process.link.condition = Condition.UP

    world.run([process], 40)

    assert set(world.progress().values()) == {"done"}


def test_a_damaged_due_end_is_reported_and_does_not_stop_a_kick(world: RevocationWorld) -> None:
    """Nor does it count as nothing to do."""
    world.store.change("due-end", {"damaged": Record("damaged", "{}", world.now + 60)})
    kick = world.kick("mallory", ONE)
    process = Process(world, own={kick.ban_id})

    world.run([process], 3)

    assert world.pending_bans() == set()
    assert process.events_of(StateFailed) != []
    assert not process.loop.is_done


ACTIONS = st.sampled_from(
    ["step one", "step two", "second", "ten seconds", "mint", "continue", "ivs down", "ivs up"]
)


def extended(until: dict[int, int], latest: DueEnd, now: int) -> dict[int, int]:
    """The end of each session after a decision, which counts for those that have not ended."""
    return {
        version: latest.ends_at if ends_at > now else ends_at for version, ends_at in until.items()
    }


@settings(max_examples=60, deadline=None)
@given(st.lists(ACTIONS, max_size=40))
def test_every_right_that_has_ended_ends_its_session_and_no_other(actions: list[str]) -> None:
    """Whatever two processes do, and whenever they are paused.

    A session is revoked only if its right had ended, and in the end each one is.
    """
    world = RevocationWorld()
    one, two = Process(world), Process(world)
    until: dict[int, int] = {}  # The end of each session, by its version.
    latest = None
    for action in actions:
        match action:
            case "step one":
                one.step()
            case "step two":
                two.step()
            case "second":
                world.clock.advance(1)
            case "ten seconds":
                world.clock.advance(10)
            case "mint":
                latest = world.mint("alice", 5)
                until = extended(until, latest, world.now) | {latest.version: latest.ends_at}
            case "continue" if latest is not None:
                try:
                    latest = world.mint("alice", 15, version=latest.version)
                except ViewerRevoked:
                    continue
                until = extended(until, latest, world.now)
            case "ivs down":
                world.ivs.down[OREGON] = IvsUnavailable("away")
            case _:
                world.ivs.down.clear()
        revoked = world.ivs.lines.get(Viewer(ONE, "alice"), 0)
        assert all(ends_at <= world.now for version, ends_at in until.items() if version <= revoked)
    world.ivs.down.clear()
    world.clock.advance(20)
    world.run([one, two], 40)

    assert world.ivs.lines.get(Viewer(ONE, "alice"), 0) == max(until, default=0)
