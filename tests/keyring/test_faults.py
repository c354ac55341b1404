"""What IVS may do to a rotation: each a clear message, and a state that reconcile completes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
import urllib3
from cryptography.hazmat.primitives.asymmetric import ec

from tests.keyring.rings import REGION, TERMS
from tests.keyring.world import World, world_in
from tokensvc.arns import ChannelArn
from tokensvc.aws import AwsClients, AwsTerms
from tokensvc.errors import IvsRefused, IvsUnavailable, RotationRefused, TokensvcError
from tokensvc.ivs.channels import get_channel
from tokensvc.keyring.model import KeyState, Ring
from tokensvc.keyring.rotation import Action, Done, Step
from tokensvc.p384 import PublicKey
from tokensvc.playback.canary import EdgeCanary

PENDING, PUBLISHED, ACTIVE, RETIRING, RETIRED = KeyState


@pytest.fixture(name="world")
def _world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with world_in(tmp_path, monkeypatch) as world:
        yield world


@pytest.fixture(name="impatient_world")
def _impatient_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """One whose faults outlast every attempt, so that there is no need to wait for the next."""
    with world_in(tmp_path, monkeypatch, max_attempts=1) as world:
        yield world


@dataclass(frozen=True)
class Fault:
    """What goes wrong with an operation, so often that no retry helps, and what a person reads."""

    operation: str
    kind: str
    error: str
    raises: type[TokensvcError]
    says: str


FAULTS = {
    f"{operation}: {name}": Fault(operation, kind, error, raises, says)
    for operation in (
        "ListPlaybackKeyPairs",
        "GetPlaybackKeyPair",
        "ImportPlaybackKeyPair",
        "DeletePlaybackKeyPair",
    )
    for name, kind, error, raises, says in (
        ("throttled", "error", "ThrottlingException", IvsUnavailable, "throttles"),
        ("fails", "error", "InternalServerException", IvsUnavailable, "HTTP 500"),
        ("unverified", "error", "PendingVerification", IvsRefused, "AWS Support"),
        ("denied", "error", "AccessDeniedException", IvsRefused, f"ivs:{operation}"),
        ("dropped", "drop", "", IvsUnavailable, "can't be reached"),
    )
}


def plan_fault(world: World, fault: Fault) -> None:
    """Let Local IVS do that to the next calls."""
    body = {"operation": fault.operation, "kind": fault.kind, "times": 20}
    named = {"error": fault.error} if fault.error else {}
    answer = urllib3.request("POST", f"{world.ivs.url}/_local/faults", json=body | named)
    assert answer.status < 300, answer.data


def forget_faults(world: World) -> None:
    """Let everything go well again."""
    urllib3.request("DELETE", f"{world.ivs.url}/_local/faults")


def states(ring: Ring) -> list[KeyState]:
    """The states, oldest pair first."""
    return [pair.state for pair in ring.pairs]


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_is_told_and_reconcile_completes_after_it(
    impatient_world: World, fault: Fault
) -> None:
    """A whole rotation, first with the fault and then without, ends as if nothing had been."""
    world = impatient_world
    world.settle()
    old, standby = world.ring.pairs
    world.rotator().request_rotation("monthly")
    if fault.operation == "DeletePlaybackKeyPair":
        world.reconcile()
        world.clock.advance(TERMS.drain_seconds)
    plan_fault(world, fault)

    with pytest.raises(fault.raises) as refusal:
        world.reconcile()
    assert fault.says in str(refusal.value)
    assert len(world.ring.in_state(ACTIVE)) == 1

    forget_faults(world)
    world.reconcile()
    world.clock.advance(TERMS.drain_seconds)
    assert isinstance(world.reconcile(), Done)
    assert states(world.ring) == [RETIRED, ACTIVE, PUBLISHED]
    assert world.ring.active is not None
    assert world.ring.active.key_id == standby.key_id
    assert old.key_id not in world.custody.key_ids()
    assert len(world.key_pairs.held()) == 2


@pytest.mark.parametrize("operation", ["ImportPlaybackKeyPair", "DeletePlaybackKeyPair"])
def test_an_answer_lost_after_the_effect_costs_nothing(world: World, operation: str) -> None:
    """boto3 tries again by itself; the conflict or the absence that it meets is recognised."""
    world.settle()
    world.rotator().request_rotation("monthly")
    body = {"operation": operation, "kind": "lose_answer", "times": 1}
    urllib3.request("POST", f"{world.ivs.url}/_local/faults", json=body)

    world.reconcile()
    world.clock.advance(TERMS.drain_seconds)

    assert isinstance(world.reconcile(), Done)
    assert states(world.ring) == [RETIRED, ACTIVE, PUBLISHED]
    assert len(world.key_pairs.held()) == 2


def test_a_stranger_who_imports_in_between_is_named(world: World) -> None:
    """402 at our import, though the slot was free a moment ago; freed again, it goes on."""
    strangers: list[str] = []

    def take_all_slots(step: Step) -> None:
        if step.action is not Action.IMPORT:
            return
        for _ in range(3):
            key = PublicKey.of(ec.generate_private_key(ec.SECP384R1()).public_key())
            answer = world.ivs.client().import_playback_key_pair(publicKeyMaterial=key.pem)
            strangers.append(answer["keyPair"]["arn"])

    with pytest.raises(RotationRefused) as refusal:
        world.rotator().reconcile(take_all_slots)

    assert all(arn in refusal.value.detail for arn in strangers)
    assert states(world.ring) == [PENDING]
    world.ivs.client().delete_playback_key_pair(arn=strangers[0])
    world.reconcile()
    assert states(world.ring) == [PUBLISHED]


def test_the_canary_holds_the_switch_back_until_the_import_reached_the_edge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The edge learns of an import after 300 s here, far beyond the publish delay of 60 s."""
    with world_in(tmp_path, monkeypatch, effect_delay_seconds=300.0) as world:
        clients = AwsClients(AwsTerms())
        channel = world.ivs.client().create_channel(authorized=True)["channel"]["arn"]
        canary = EdgeCanary(ChannelArn.parse(channel), partial(get_channel, clients), world.clock)
        rotator = world.rotator(canary=canary)
        rotator.reconcile(print)
        world.clock.advance(TERMS.publish_delay_seconds)

        with pytest.raises(RotationRefused, match="answers 403"):
            rotator.reconcile(print)
        assert states(world.ring) == [PUBLISHED]

        world.clock.advance(300 - TERMS.publish_delay_seconds)
        rotator.reconcile(print)
        assert states(world.ring) == [ACTIVE, PUBLISHED]
        assert world.ring.region == REGION
        clients.close()
