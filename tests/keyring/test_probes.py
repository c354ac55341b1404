"""Rule 2: workers probe the key pairs that may sign, and a switch waits for those that fail."""

from __future__ import annotations

import io
import os
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.keyring.rings import DRAIN_SECONDS, REGION
from tests.keyring.world import OTHER_REGION, World, world_in
from tests.support.settings import settings_in
from tokensvc import service
from tokensvc.arns import parse_region
from tokensvc.audit import JsonLinesAudit
from tokensvc.errors import CustodyDamaged, RotationRefused, TokensvcError
from tokensvc.keyring.model import KeyState
from tokensvc.keyring.probes import KIND, FailedProbe, ProbeRecorder, failed_probes
from tokensvc.keyring.signers import SignerLoader, StoredKey
from tokensvc.keyring.view import RingView
from tokensvc.state.base import Record
from tokensvc.state.record_writer import RecordWriter
from tokensvc.token.p384 import Signer

DAMAGED = CustodyDamaged("The private key is unreadable.", hint="Restore it.")
THIS_WORKER = f"{socket.gethostname()} process {os.getpid()}"


@pytest.fixture(name="world")
def _world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with world_in(tmp_path, monkeypatch) as world:
        yield world


@dataclass
class PartlyUnreadable:
    """A custody as a worker reaches it, which can't read some of the private keys."""

    inner: SignerLoader
    unreadable: set[str] = field(default_factory=set)

    def signer(self, key: StoredKey) -> Signer:
        """A signer, unless that private key is unreadable."""
        if key.key_id in self.unreadable:
            raise DAMAGED
        return self.inner.signer(key)


def record(world: World, key_id: str, error: TokensvcError | None) -> None:
    """Record a probe as this process, as a worker does it."""
    writer = RecordWriter(world.state, KIND)
    ProbeRecorder(REGION, writer, world.clock).record(key_id, error)
    assert writer.flush()


def probes_that_failed(world: World) -> list[FailedProbe]:
    """What a rotator reads."""
    return list(failed_probes(world.state, REGION, world.clock.now()))


def active_and_standby(world: World) -> tuple[str, str]:
    """Create both; their key IDs."""
    world.copy_active_and_standby()
    active, standby = world.ring.pairs
    return active.key_id, standby.key_id


def active_key_id(world: World) -> str:
    """The key that signs."""
    return world.ring.require_active().key_id


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for the threads of a worker; 20 s is far more than they need."""
    pause = threading.Event()
    for _ in range(400):
        if condition():
            return
        pause.wait(0.05)
    pytest.fail("The worker has not done it within 20 s.")


def test_a_worker_records_what_it_can_not_use_and_again_what_was_fixed(world: World) -> None:
    """The switch is refused, naming the worker, until its next probe succeeds."""
    active, standby = active_and_standby(world)
    loader = PartlyUnreadable(world.custody, {standby})
    writer = RecordWriter(world.state, KIND)
    view = RingView(
        REGION,
        world.state,
        loader,
        world.clock,
        refresh_seconds=0.05,
        record_probe=ProbeRecorder(REGION, writer, world.clock).record,
    )
    writer.start()
    view.start()
    try:
        wait_until(lambda: probes_that_failed(world) != [])
        at = world.clock.now()
        assert probes_that_failed(world) == [
            FailedProbe(standby, THIS_WORKER, "custody_damaged", at)
        ]
        world.rotator().request_rotation("monthly")
        with pytest.raises(RotationRefused, match=THIS_WORKER):
            world.reconcile()
        assert active_key_id(world) == active

        # A fault that goes on is recorded again, so that it doesn't expire.
        world.clock.advance(30)
        wait_until(lambda: [one.at for one in probes_that_failed(world)] == [at + 30])

        loader.unreadable.clear()
        world.clock.advance(30)
        wait_until(lambda: probes_that_failed(world) == [])
        world.reconcile()
        assert active_key_id(world) == standby
    finally:
        view.close()
        writer.close()


def test_a_view_probes_each_key_that_may_sign_when_it_first_sees_it(world: World) -> None:
    """The active key, the standby, and after a switch the retiring one, each once."""
    active, standby = active_and_standby(world)
    worker = service.build(
        settings_in(world.folder),
        world.clock,
        JsonLinesAudit(io.StringIO()),
        state=world.state,
        signer_loader=world.custody,
    )
    worker.read()
    seen = [record.record_id for record in _queued(worker.probe_writer, world)]
    assert seen == [f"{REGION}/{key_id}/{THIS_WORKER}" for key_id in sorted((active, standby))]

    world.rotator().request_rotation("monthly")
    world.reconcile()
    world.state.remove_many(KIND, seen)
    worker.read()
    (newest,) = _queued(worker.probe_writer, world)
    (next_standby,) = world.ring.in_state(KeyState.PUBLISHED)
    assert newest.record_id == f"{REGION}/{next_standby.key_id}/{THIS_WORKER}"
    worker.close()


def _queued(writer: RecordWriter, world: World) -> list[Record]:
    assert writer.flush()
    return list(world.state.records(KIND))


def test_a_forced_rotation_replaces_the_refused_one_and_switches(world: World) -> None:
    """The operator knows better: the host of that worker is being replaced, for example."""
    _, standby = active_and_standby(world)
    record(world, standby, DAMAGED)
    world.rotator().request_rotation("monthly")
    with pytest.raises(RotationRefused):
        world.reconcile()

    world.rotator().request_rotation("go on", force=True)
    world.reconcile()

    assert active_key_id(world) == standby


def test_an_emergency_does_not_wait_for_a_worker(world: World) -> None:
    """A compromised key must not stay active because one worker can't use the next one."""
    active, standby = active_and_standby(world)
    record(world, standby, DAMAGED)

    world.revoke([active], "laptop lost")
    world.reconcile()

    assert active_key_id(world) == standby


def test_the_first_key_becomes_active_although_a_worker_can_not_use_it(world: World) -> None:
    """No worker can sign before, so that one worker is not worse off."""
    world.reconcile()
    (first,) = world.ring.pairs
    record(world, first.key_id, DAMAGED)
    world.clock.advance(60)

    world.reconcile()

    assert active_key_id(world) == first.key_id


@pytest.mark.parametrize("error", [DAMAGED, None], ids=["expired", "usable"])
def test_only_the_newest_result_of_a_worker_that_lives_counts(
    world: World, error: TokensvcError | None
) -> None:
    """A failure counts for 120 s, or until the worker's next result."""
    _, standby = active_and_standby(world)
    record(world, standby, DAMAGED)
    world.clock.advance(119)
    assert len(probes_that_failed(world)) == 1
    if error is None:
        record(world, standby, None)
    else:
        world.clock.advance(1)

    assert probes_that_failed(world) == []
    world.rotator().request_rotation("monthly")
    world.reconcile()
    assert active_key_id(world) == standby


def test_a_rollback_is_refused_while_a_worker_can_not_use_the_earlier_key(world: World) -> None:
    """Unless it is forced."""
    active, standby = active_and_standby(world)
    world.rotator().request_rotation("monthly")
    world.reconcile()
    record(world, active, DAMAGED)

    with pytest.raises(RotationRefused, match=THIS_WORKER):
        world.rotator().rollback("players fail")
    assert active_key_id(world) == standby

    assert world.rotator().rollback("players fail", force=True).key_id == active


def test_results_of_other_regions_keys_and_releases_are_ignored(world: World) -> None:
    """A record in an unknown form must not stop a rotation."""
    active, standby = active_and_standby(world)
    later = world.clock.now() + DRAIN_SECONDS
    writer = RecordWriter(world.state, KIND)
    elsewhere = ProbeRecorder(parse_region(OTHER_REGION), writer, world.clock)
    elsewhere.record(standby, DAMAGED)
    writer.put(Record("unknown", '{"outcome": "bad"}', later))
    assert writer.flush()
    record(world, active, DAMAGED)

    world.rotator().request_rotation("monthly")
    world.reconcile()

    assert active_key_id(world) == standby
