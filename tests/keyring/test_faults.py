"""Faults of IVS during a rotation: each raises a clear error, and reconcile then completes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
import urllib3
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives.asymmetric import ec

from tests.keyring.rings import REGION, TERMS
from tests.keyring.world import World, world_in
from tokensvc.arns import ChannelArn
from tokensvc.aws import AwsClients, AwsTerms
from tokensvc.errors import IvsRefused, IvsUnavailable, RotationRefused, TokensvcError
from tokensvc.ivs.channels import get_channel
from tokensvc.keyring.model import KeyState, Ring
from tokensvc.keyring.steps import Action, Done, Step
from tokensvc.playback.canary import EdgeCanary
from tokensvc.token.p384 import PublicKey

PENDING, PUBLISHED, ACTIVE, RETIRING, RETIRED = KeyState


@pytest.fixture(name="world")
def _world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with world_in(tmp_path, monkeypatch) as world:
        yield world


@pytest.fixture(name="single_attempt_world")
def _single_attempt_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A world without retries: its faults last longer than any retry, so retries only cost time."""
    with world_in(tmp_path, monkeypatch, max_attempts=1) as world:
        yield world


@dataclass(frozen=True)
class Fault:
    """A lasting fault of an operation, and the error that it raises.

    Attributes:
        operation: the operation of IVS.
        kind: the kind of the fault, as Local IVS names it.
        error: the error code in IVS's answer, if it answers.
        raises: the class of our error.
        cause: IVS's error code, or the class of botocore's exception when IVS doesn't answer.
        data: what the text of our error must contain.
    """

    operation: str
    kind: str
    error: str
    raises: type[TokensvcError]
    cause: str
    data: str


THROTTLED = "ThrottlingException"
FAILED = "InternalServerException"
UNVERIFIED = "PendingVerification"
DENIED = "AccessDeniedException"
FAULTS = {
    f"{operation}: {name}": Fault(operation, kind, error, raises, cause, data)
    for operation in (
        "ListPlaybackKeyPairs",
        "GetPlaybackKeyPair",
        "ImportPlaybackKeyPair",
        "DeletePlaybackKeyPair",
    )
    for name, kind, error, raises, cause, data in (
        ("throttled", "error", THROTTLED, IvsUnavailable, THROTTLED, operation),
        ("fails", "error", FAILED, IvsUnavailable, FAILED, "HTTP 500"),
        ("unverified", "error", UNVERIFIED, IvsRefused, UNVERIFIED, operation),
        ("denied", "error", DENIED, IvsRefused, DENIED, f"ivs:{operation}"),
        ("dropped", "drop", "", IvsUnavailable, "ConnectionClosedError", operation),
    )
}


def inject_fault(world: World, fault: Fault) -> None:
    """Make Local IVS apply that fault to the next calls."""
    body = {"operation": fault.operation, "kind": fault.kind, "times": 20}
    named = {"error": fault.error} if fault.error else {}
    answer = urllib3.request("POST", f"{world.ivs.url}/_local/faults", json=body | named)
    assert answer.status < 300, answer.data


def clear_faults(world: World) -> None:
    """Remove every fault."""
    urllib3.request("DELETE", f"{world.ivs.url}/_local/faults")


def cause_of(error: TokensvcError) -> str:
    """IVS's error code, or the class of botocore's exception when IVS didn't answer."""
    if isinstance(error.__cause__, ClientError):
        return error.__cause__.response["Error"]["Code"]
    return type(error.__cause__).__name__


def states(ring: Ring) -> list[KeyState]:
    """The states, oldest pair first."""
    return [pair.state for pair in ring.pairs]


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_is_reported_and_reconcile_completes_after_it(
    single_attempt_world: World, fault: Fault
) -> None:
    """A whole rotation, first with the fault, then without it, ends as if there was no fault."""
    world = single_attempt_world
    world.copy_active_and_standby()
    old, standby = world.ring.pairs
    world.rotator().request_rotation("monthly")
    if fault.operation == "DeletePlaybackKeyPair":
        world.reconcile()
        world.clock.advance(TERMS.drain_seconds)
    inject_fault(world, fault)

    with pytest.raises(fault.raises) as refusal:
        world.reconcile()
    assert cause_of(refusal.value) == fault.cause
    assert fault.data in str(refusal.value)
    assert len(world.ring.in_state(ACTIVE)) == 1

    clear_faults(world)
    world.reconcile()
    world.clock.advance(TERMS.drain_seconds)
    assert isinstance(world.reconcile(), Done)
    assert states(world.ring) == [RETIRED, ACTIVE, PUBLISHED]
    assert world.ring.active is not None
    assert world.ring.active.key_id == standby.key_id
    assert old.key_id not in world.custody.key_ids()
    assert len(world.key_pairs.held()) == 2


@pytest.mark.parametrize("operation", ["ImportPlaybackKeyPair", "DeletePlaybackKeyPair"])
def test_a_lost_answer_to_an_import_or_delete_is_recovered(world: World, operation: str) -> None:
    """boto3 retries by itself; the resulting conflict or missing key pair is recognized."""
    world.copy_active_and_standby()
    world.rotator().request_rotation("monthly")
    body = {"operation": operation, "kind": "lose_response", "times": 1}
    urllib3.request("POST", f"{world.ivs.url}/_local/faults", json=body)

    world.reconcile()
    world.clock.advance(TERMS.drain_seconds)

    assert isinstance(world.reconcile(), Done)
    assert states(world.ring) == [RETIRED, ACTIVE, PUBLISHED]
    assert len(world.key_pairs.held()) == 2


def test_foreign_imports_just_before_ours_are_listed(world: World) -> None:
    """IVS answers 402, although the slot was free before. Reconcile works once a slot is free."""
    foreign_arns: list[str] = []

    def take_all_slots(step: Step) -> None:
        if step.action is not Action.IMPORT:
            return
        for _ in range(3):
            key = PublicKey.of(ec.generate_private_key(ec.SECP384R1()).public_key())
            answer = world.ivs.client().import_playback_key_pair(publicKeyMaterial=key.pem)
            foreign_arns.append(answer["keyPair"]["arn"])

    with pytest.raises(RotationRefused) as refusal:
        world.rotator().reconcile(take_all_slots)

    assert all(arn in refusal.value.detail for arn in foreign_arns)
    assert states(world.ring) == [PENDING]
    world.ivs.client().delete_playback_key_pair(arn=foreign_arns[0])
    world.reconcile()
    assert states(world.ring) == [PUBLISHED]


def test_the_canary_prevents_a_switch_until_the_import_reached_the_edge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here the edge knows an import after 300 s, long after the publish delay of 60 s."""
    with world_in(tmp_path, monkeypatch, effect_delay_seconds=300.0) as world:
        clients = AwsClients(AwsTerms())
        channel = world.ivs.client().create_channel(authorized=True)["channel"]["arn"]
        canary = EdgeCanary(ChannelArn.parse(channel), partial(get_channel, clients), world.clock)
        rotator = world.rotator(canary=canary)
        rotator.reconcile(print)
        world.clock.advance(TERMS.publish_delay_seconds)

        with pytest.raises(RotationRefused, match="403"):
            rotator.reconcile(print)
        assert states(world.ring) == [PUBLISHED]

        world.clock.advance(300 - TERMS.publish_delay_seconds)
        rotator.reconcile(print)
        assert states(world.ring) == [ACTIVE, PUBLISHED]
        assert world.ring.region == REGION
        clients.close()
