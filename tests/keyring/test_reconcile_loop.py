"""The reconcile loop: passes over regions, pauses, and the events that it reports."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.keyring.rings import DRAIN_SECONDS, REGION
from tests.keyring.world import World, world_in
from tokensvc.arns import Region, parse_region
from tokensvc.errors import IvsUnavailable
from tokensvc.keyring.model import KeyState
from tokensvc.keyring.reconcile_loop import (
    KeyDrains,
    PassResult,
    ReconcileEvent,
    ReconcileLoop,
    RegionDone,
    RegionFailed,
    RegionWaits,
    RotationPaused,
    StepBegins,
    interruptible_pause,
)
from tokensvc.keyring.reporting.notifications import RegionEnd
from tokensvc.keyring.rotator import Rotator
from tokensvc.keyring.steps import Done

IRELAND = parse_region("eu-west-1")


@pytest.fixture(name="world")
def _world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with world_in(tmp_path, monkeypatch) as world:
        yield world


class Unreliable:
    """Makes the rotator of a region, and fails the given number of times before."""

    def __init__(self, world: World, failures: int) -> None:
        self.world = world
        self.failures = failures

    def __call__(self, region: Region) -> Rotator:
        """The rotator of the world's one region; IVS in another region is never available."""
        if self.failures or region != REGION:
            self.failures = max(0, self.failures - 1)
            raise IvsUnavailable(f"IVS in {region} does not answer.", hint="Wait.")
        return self.world.rotator()


def actions(events: list[ReconcileEvent]) -> list[str]:
    """The actions of the steps that were done."""
    return [event.step.action.value for event in events if isinstance(event, StepBegins)]


def test_errors_are_reported_and_retried_until_nothing_is_left_to_do(world: World) -> None:
    """10 s after an error, 60 s for the publish delay, and no pause at the end."""
    pauses: list[float] = []
    events: list[ReconcileEvent] = []

    def pause(seconds: float) -> bool:
        pauses.append(seconds)
        world.clock.advance(seconds)
        return False

    loop = ReconcileLoop([REGION], Unreliable(world, 2), world.clock, events.append)
    assert loop.run(pause, stop_when_done=True) is True

    assert pauses == [10.0, 10.0, 60.0]
    assert world.ring.active is not None
    failed = [event for event in events if isinstance(event, RegionFailed)]
    assert [(event.region, event.error.detail) for event in failed] == [
        ("us-west-2", "IVS in us-west-2 does not answer.")
    ] * 2
    assert events[-1] == RegionDone(REGION)


def test_an_unavailable_region_does_not_stop_the_others(world: World) -> None:
    """The other region imports its key pair in the same pass; the event names its region."""
    events: list[ReconcileEvent] = []
    loop = ReconcileLoop([IRELAND, REGION], Unreliable(world, 0), world.clock, events.append)

    result = loop.run_once()

    assert result == PassResult(failed=True, next_at=world.clock.now() + 60)
    assert len(world.key_pairs.held()) == 1
    assert isinstance(events[0], RegionFailed)
    assert events[0].region == IRELAND
    assert actions(events) == ["new_pair", "make", "import"]


def test_the_wait_for_the_publish_delay_is_reported_with_its_time(world: World) -> None:
    """No other key drains, so it is the last event."""
    events: list[ReconcileEvent] = []

    ReconcileLoop([REGION], Unreliable(world, 0), world.clock, events.append).run_once()

    last = events[-1]
    assert isinstance(last, RegionWaits)
    assert (last.region, last.until.at - world.clock.now(), last.left_seconds) == (REGION, 60, 60)


def test_a_drain_that_ends_after_the_next_step_is_reported_too(world: World) -> None:
    """Two keys drain after a forced rotation; the region waits for the first of them."""
    world.copy_active_and_standby()
    first, second = world.ring.pairs
    world.rotator().request_rotation("monthly")
    world.reconcile()
    world.clock.advance(60)
    world.rotator().request_rotation("again", force=True)
    events: list[ReconcileEvent] = []

    ReconcileLoop([REGION], Unreliable(world, 0), world.clock, events.append).run_once()

    waits, drains = events[-2:]
    assert isinstance(waits, RegionWaits)
    assert waits.left_seconds == DRAIN_SECONDS - 60
    assert first.key_id in waits.until.why
    ends_at = world.clock.now() + DRAIN_SECONDS
    assert drains == KeyDrains(REGION, second.key_id, ends_at, DRAIN_SECONDS)


def test_a_scheduled_rotation_is_requested_when_the_key_has_signed_long_enough(
    world: World,
) -> None:
    """Not one second earlier. Without the setting it is never requested."""
    world.copy_active_and_standby()
    assert world.ring.active is not None
    assert world.ring.active.activated_at is not None
    due_at = world.ring.active.activated_at + 3_600

    def run_once(rotate_after_seconds: int | None) -> list[str]:
        events: list[ReconcileEvent] = []
        ReconcileLoop(
            [REGION],
            Unreliable(world, 0),
            world.clock,
            events.append,
            rotate_after_seconds=rotate_after_seconds,
        ).run_once()
        return actions(events)

    world.clock.advance(due_at - world.clock.now() - 1)
    assert run_once(3_600) == []
    world.clock.advance(1)
    assert run_once(None) == []
    assert run_once(3_600)[0] == "switch"
    (switch,) = (
        line
        for line in world.ring.history
        if line.to_state is KeyState.ACTIVE and line.why.startswith("scheduled: ")
    )
    assert "3600 s" in switch.why


def test_a_scheduled_rotation_that_is_due_and_paused_is_reported(world: World) -> None:
    """In each pass for which it would be due. An operator's rotation ends the pause."""
    world.copy_active_and_standby()
    world.rotator().request_rotation("monthly")
    world.reconcile()
    world.rotator().rollback("players fail")
    world.reconcile()
    world.clock.advance(DRAIN_SECONDS)

    def run_once(rotate_after_seconds: int | None) -> tuple[list[ReconcileEvent], list[RegionEnd]]:
        events: list[ReconcileEvent] = []
        ends: list[RegionEnd] = []
        ReconcileLoop(
            [REGION],
            Unreliable(world, 0),
            world.clock,
            events.append,
            rotate_after_seconds=rotate_after_seconds,
            report=ends.extend,
        ).run_once()
        return [event for event in events if isinstance(event, RotationPaused)], ends

    pause = world.ring.rotation_pause
    assert pause is not None
    assert run_once(DRAIN_SECONDS) == (
        [RotationPaused(REGION, pause)],
        [RegionEnd(REGION, Done(), pause=pause)],
    )
    assert run_once(DRAIN_SECONDS + 1) == ([], [RegionEnd(REGION, Done())])
    assert run_once(None) == ([], [RegionEnd(REGION, Done())])
    world.rotator().request_rotation("it works now")
    paused, (end,) = run_once(DRAIN_SECONDS)
    assert (paused, end.pause) == ([], None)


@pytest.mark.parametrize(
    ("result", "seconds"),
    [
        (PassResult(failed=False, next_at=None), 60),
        (PassResult(failed=False, next_at=1_000.0), 0),
        (PassResult(failed=False, next_at=1_030.0), 30),
        (PassResult(failed=False, next_at=9_000.0), 60),
        (PassResult(failed=True, next_at=1_030.0), 10),
    ],
    ids=["done", "due", "soon", "late", "failed"],
)
def test_a_watch_pauses_until_the_next_step_but_at_most_60_s(
    result: PassResult, seconds: float
) -> None:
    """Another process may change the ring in the meantime."""
    assert result.pause_seconds(1_000.0) == seconds


def test_a_loop_that_is_not_stopped_by_being_done_ends_with_a_signal(world: World) -> None:
    """It waits 60 s when nothing is left to do."""
    world.copy_active_and_standby()
    pauses: list[float] = []

    def pause(seconds: float) -> bool:
        pauses.append(seconds)
        return len(pauses) == 3

    loop = ReconcileLoop([REGION], Unreliable(world, 0), world.clock, lambda _: None)
    assert loop.run(pause, stop_when_done=False) is False

    assert pauses == [60.0, 60.0, 60.0]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_pause_and_every_later_one(number: signal.Signals) -> None:
    """A signal that arrives between two pauses is not lost; earlier handlers are restored."""
    before = signal.getsignal(number)

    with interruptible_pause() as pause:
        assert pause(0.0) is False
        os.kill(os.getpid(), number)
        assert pause(60.0) is True
        assert pause(60.0) is True

    assert signal.getsignal(number) is before
