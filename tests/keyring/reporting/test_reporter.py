"""The reporter: the real state, ring and receiver, and crashes and faults between its steps."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.keyring.rings import REGION
from tests.keyring.world import World, world_in
from tests.support.webhook_receiver import SECRET, WebhookReceiver, webhook_receiver
from tokensvc.arns import Region
from tokensvc.errors import CustodyDamaged, IvsUnavailable, SettingsInvalid, StateUnavailable
from tokensvc.keyring.model import KeyState, Ring
from tokensvc.keyring.reconcile_loop import ReconcileLoop
from tokensvc.keyring.reporting.notifications import RegionEnd
from tokensvc.keyring.reporting.record import Notification, ReconcileRecord, RecordStore
from tokensvc.keyring.reporting.reporter import Receives, Reporter
from tokensvc.webhooks import DeliveryTerms, Receiver

ONE_ATTEMPT = DeliveryTerms(read_seconds=0.2, pauses_seconds=())


@pytest.fixture(name="world")
def _world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with world_in(tmp_path, monkeypatch) as world:
        yield world


@pytest.fixture(name="receiver")
def _receiver() -> Iterator[WebhookReceiver]:
    with webhook_receiver() as receiver:
        yield receiver


def reporter(
    world: World,
    receiver: WebhookReceiver | None,
    *,
    store: RecordStore | None = None,
    open_receiver: Callable[[], Receives] | None = None,
    on_state: Callable[[Notification], None] = lambda _: None,
) -> Reporter:
    """The reporter of a scheduled job. Nothing that waits makes a test wait."""

    def read_ring(_: Region) -> Ring | None:
        stored = world.store.load()
        return None if stored is None else stored.ring

    def opened() -> Receives:
        assert receiver is not None
        return Receiver(receiver.url, [SECRET], world.clock, ONE_ATTEMPT)

    return Reporter(
        store or RecordStore(world.state),
        read_ring,
        world.clock,
        "jobs@host-1",
        is_scheduled=True,
        open_receiver=open_receiver or (opened if receiver else None),
        on_state=on_state,
    )


def run(world: World, reports: Reporter, *, rotate_after_seconds: int | None = None) -> None:
    """One pass of the job."""
    ReconcileLoop(
        [REGION],
        lambda _: world.rotator(),
        world.clock,
        lambda _: None,
        rotate_after_seconds=rotate_after_seconds,
        report=reports.report,
    ).run_once()


def record(world: World) -> ReconcileRecord:
    """The stored record."""
    return RecordStore(world.state).load()


def test_a_scheduled_rotation_is_reported_from_the_wait_to_the_removal(
    world: World, receiver: WebhookReceiver
) -> None:
    """Each once, in the order in which it happened; passes that change nothing send nothing."""
    reports = reporter(world, receiver)
    for seconds in (0, 1, 60, 60, 7_140, 60, 3_740, 60):
        world.clock.advance(seconds)
        run(world, reports, rotate_after_seconds=7_200)
    first, second = (pair.key_id for pair in world.ring.pairs[:2])
    assert world.ring.require_active().key_id == second

    assert [(m.type, m.data["key_id"], m.data["code"]) for m in receiver.messages] == [
        ("rotation_waiting", first, "publish_delay"),
        ("key_rotated", first, None),
        ("key_rotated", second, None),
        ("rotation_waiting", first, "drain"),
        ("key_removed", first, None),
    ]
    assert len({message.message_id for message in receiver.messages}) == 5
    region = record(world).region(REGION)
    assert region is not None
    assert (region.code, region.succeeded_at) == ("", world.clock.now())
    assert region.scheduled_since == world.clock.now() - 11_121
    assert record(world).pending == ()


def test_a_crash_between_a_step_and_its_report_loses_nothing(
    world: World, receiver: WebhookReceiver
) -> None:
    """The rotator switches and the process is killed. The next run, on any host, reports it."""
    world.copy_active_and_standby()
    run(world, reporter(world, receiver))
    old = world.ring.require_active().key_id
    world.rotator().request_rotation("monthly")
    world.reconcile()

    run(world, reporter(world, receiver))

    rotated = receiver.messages[-2]
    assert (rotated.type, rotated.data["previous_key_id"]) == ("key_rotated", old)
    assert rotated.data["reason"] == "monthly"


def test_a_crash_between_a_message_and_its_record_sends_it_again_with_the_same_id(
    world: World, receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At least once: the receiver recognizes the ID."""

    class Killed(BaseException):
        pass

    store = RecordStore(world.state)
    update, calls = store.update, []

    def killed_at_the_second(change: Any) -> ReconcileRecord:
        calls.append(change)
        if len(calls) == 2:
            raise Killed
        return update(change)

    monkeypatch.setattr(store, "update", killed_at_the_second)
    with pytest.raises(Killed):
        run(world, reporter(world, receiver, store=store))
    run(world, reporter(world, receiver))

    first, second = receiver.messages
    assert first.message_id == second.message_id
    assert first.content == second.content
    assert record(world).pending == ()


@pytest.mark.parametrize("behavior", [401, "hang"])
def test_what_is_not_accepted_waits_in_order_and_is_sent_by_a_later_run(
    world: World, receiver: WebhookReceiver, behavior: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The steps are done meanwhile. The failure is in the record until something is accepted."""
    receiver.otherwise = behavior
    run(world, reporter(world, receiver))
    began = world.clock.now()
    world.clock.advance(60)
    run(world, reporter(world, receiver))

    assert world.ring.active is not None
    assert [one.type for one in record(world).pending] == ["rotation_waiting", "key_rotated"]
    failure = record(world).delivery_failure
    assert failure is not None
    assert (failure.since, failure.at) == (began, world.clock.now())
    assert "very-private-path" not in caplog.text
    assert SECRET not in caplog.text

    receiver.messages.clear()
    receiver.otherwise = 204
    run(world, reporter(world, receiver))
    assert receiver.types == ["rotation_waiting", "key_rotated"]
    assert record(world) == record(world).with_nothing_to_send()


def test_what_no_receiver_accepts_is_given_up_after_three_days(
    world: World, receiver: WebhookReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    """Such as one that it always refuses, so that newer ones are sent again."""
    receiver.otherwise = 400
    run(world, reporter(world, receiver))
    world.clock.advance(3 * 86_400)
    run(world, reporter(world, receiver))
    assert record(world).pending[0].type == "rotation_waiting"
    world.clock.advance(1)
    run(world, reporter(world, receiver))

    assert [one.type for one in record(world).pending] == ["key_rotated"]
    assert [one.levelno for one in caplog.records].count(logging.ERROR) == 1


def test_a_slow_receiver_takes_a_bounded_time_from_each_run(
    world: World, receiver: WebhookReceiver
) -> None:
    """It needs 4 s for each: after 10 s the rest waits for the next run, without a failure."""

    class Slow:
        def send(self, message_id: str, content: Any) -> None:
            Receiver(receiver.url, [SECRET], world.clock).send(message_id, content)
            world.clock.advance(4)

    unreachable, damaged = IvsUnavailable("No answer."), CustodyDamaged("Damaged.")
    for error in (unreachable, damaged, unreachable, damaged, unreachable):
        ends = [RegionEnd(REGION, error=error)]
        reporter(world, None, open_receiver=refusing).report(ends)
        world.clock.advance(60)
    assert len(record(world).pending) == 5

    slow = reporter(world, None, open_receiver=Slow)
    run(world, slow)

    assert len(receiver.messages) == 3
    assert record(world).delivery_failure is None
    run(world, slow)
    assert len(receiver.messages) == 6


def refusing() -> Receives:
    """A webhook secret whose file can't be read."""
    raise SettingsInvalid("The webhook secret can't be read.", hint="Run chmod.")


def test_a_secret_that_can_not_be_used_stops_no_rotation(world: World) -> None:
    """It is in the record, for readiness and doctor."""
    run(world, reporter(world, None, open_receiver=refusing))
    world.clock.advance(60)
    run(world, reporter(world, None, open_receiver=refusing))

    assert world.ring.active is not None
    failure = record(world).delivery_failure
    assert failure is not None
    assert (failure.detail, failure.hint) == ("The webhook secret can't be read.", "Run chmod.")


def test_without_a_receiver_only_the_record_is_kept(
    world: World, receiver: WebhookReceiver
) -> None:
    """What happened before a receiver was configured is not sent to it."""
    run(world, reporter(world, None))
    world.clock.advance(60)
    run(world, reporter(world, None))
    assert record(world).pending == ()

    run(world, reporter(world, receiver))
    assert receiver.types == []


def test_a_state_that_can_not_be_written_fails_no_run(
    world: World,
    receiver: WebhookReceiver,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The next run reports what this one could not."""
    store = RecordStore(world.state)

    def unavailable(_: Any) -> ReconcileRecord:
        raise StateUnavailable("The disk is full.")

    with monkeypatch.context() as patch:
        patch.setattr(store, "update", unavailable)
        run(world, reporter(world, receiver, store=store))
    assert [pair.state for pair in world.ring.pairs] == [KeyState.PUBLISHED]
    assert "The disk is full." in caplog.text
    assert receiver.types == []

    run(world, reporter(world, receiver, store=store))
    assert receiver.types == ["rotation_waiting"]


def test_each_region_that_waits_or_fails_is_audited_when_that_changes(world: World) -> None:
    """With a receiver or without one. Transitions of the ring have lines of their own."""
    states: list[Notification] = []
    reports = reporter(world, None, on_state=states.append)
    for end in (
        RegionEnd(REGION, error=IvsUnavailable("No answer.")),
        RegionEnd(REGION, error=IvsUnavailable("No answer.")),
    ):
        reports.report([end])
    run(world, reports)
    run(world, reports)

    assert [one.type for one in states] == [
        "region_unreachable",
        "reconcile_recovered",
        "rotation_waiting",
    ]
