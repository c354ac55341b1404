"""A ring moves to another custody: its next key is made there, and the old one drains."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.keyring.rings import DRAIN_SECONDS, REGION, TERMS
from tests.keyring.world import World, world_in
from tests.support.deployment import MemoryAudit
from tests.support.moto import Moto
from tests.support.settings import settings_in
from tokensvc import operations, service
from tokensvc.aws import AwsClients, AwsTerms
from tokensvc.clock import Moment
from tokensvc.keyring.model import KeyState
from tokensvc.keyring.steps import Action, Done, Step
from tokensvc.operations import Operations
from tokensvc.service import Service
from tokensvc.signer_loaders import build_signer_loader


@pytest.fixture
def world(moto: Moto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """An active key pair and a standby in files, and an empty moto."""
    with world_in(tmp_path, monkeypatch) as world:
        for name, value in moto.environment.items():
            monkeypatch.setenv(name, value)
        world.create_active_and_standby()
        yield world


@pytest.fixture
def opened(world: World, tmp_path: Path) -> Iterator[Operations]:
    """What changes keys, with settings that make them in Secrets Manager from now on."""
    custody = {"url": "secretsmanager:tokensvc/", "former_url": f"file:{tmp_path}/keys"}
    settings = settings_in(tmp_path, custody=custody)
    with closing(operations.build(settings, world.clock, by="ann@desk", state=world.state)) as it:
        yield it


@pytest.fixture
def worker(world: World, opened: Operations) -> Iterator[Service]:
    """A started worker with the same settings."""
    settings, clock = opened.settings, world.clock
    with closing(AwsClients(AwsTerms())) as clients:
        loader = build_signer_loader(settings.custody, REGION, clients, clock)
        built = service.build(
            settings, clock, MemoryAudit(), state=world.state, signer_loader=loader
        )
        with closing(built) as worker:
            worker.start()
            yield worker


def key_that_signs(world: World, worker: Service) -> str:
    """The ID of the key pair that the worker signs with, which is verified."""
    view = worker.rings[REGION]
    view.refresh()
    active = view.active(Moment.of(world.clock))
    public_key = world.ring.pair(active.key_id).require_public_key()
    public_key.verify(active.signer.sign(b"header.payload"), b"header.payload")
    return active.key_id


def test_the_next_key_is_made_in_the_new_custody_while_the_old_one_drains(
    world: World, opened: Operations, worker: Service
) -> None:
    """The standby in the old custody never signs. In the end the old custody has nothing."""
    old, standby = world.ring.pairs
    assert key_that_signs(world, worker) == old.key_id
    steps: list[Step] = []
    rotator = opened.rotator(REGION)

    planned = [one.step.action for one in rotator.plan_rotation(moves=True)]
    rotator.request_rotation("to AWS", moves=True)
    rotator.reconcile(steps.append)
    assert key_that_signs(world, worker) == old.key_id
    assert world.ring.pair(standby.key_id).state is KeyState.RETIRED
    world.clock.advance(TERMS.publish_delay_seconds)
    rotator.reconcile(steps.append)

    new = world.ring.require_active()
    assert key_that_signs(world, worker) == new.key_id
    assert str(new.custody_handle).startswith("arn:aws:secretsmanager:us-west-2:")
    assert world.ring.pair(old.key_id).state is KeyState.RETIRING
    assert list(world.custody.key_ids()) == [old.key_id]

    world.clock.advance(DRAIN_SECONDS)
    assert isinstance(rotator.reconcile(steps.append), Done)
    assert [step.action for step in steps] == planned
    assert Action.WITHDRAW not in planned  # The request itself withdraws the standby.
    assert list(world.custody.key_ids()) == []
    in_use = world.ring.in_state(KeyState.ACTIVE, KeyState.PUBLISHED)
    assert sorted(opened.custody(REGION).key_ids()) == sorted(pair.key_id for pair in in_use)


def test_a_move_that_is_repeated_keeps_the_standby_in_the_new_custody(
    world: World, opened: Operations
) -> None:
    """It is where it belongs."""
    rotator = opened.rotator(REGION)
    rotator.request_rotation("to AWS", moves=True)
    for _ in range(3):
        rotator.reconcile(lambda _: None)
        world.clock.advance(DRAIN_SECONDS)
    standby = world.ring.standby
    assert standby is not None
    rotator.request_rotation("again", moves=True)
    rotator.reconcile(lambda _: None)
    assert world.ring.require_active().key_id == standby.key_id
