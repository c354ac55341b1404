"""A worker with its private keys in AWS: a rotation whose URLs play, and an outage."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

import boto3
import pytest
import urllib3

from tests.keyring.rings import REGION, TERMS
from tests.keyring.world import World, world_in
from tests.support.deployment import GRANTS, OPEN, MemoryAudit
from tests.support.moto import Moto
from tests.support.settings import settings_in
from tokensvc import operations, service
from tokensvc.access.requests import PlaybackRequest
from tokensvc.arns import ChannelArn
from tokensvc.aws import AwsClients, AwsTerms
from tokensvc.breaker import FAILURES_TO_OPEN, OPEN_SECONDS
from tokensvc.errors import CustodyUnavailable, CustodyUnusable, TokensvcError
from tokensvc.keyring.model import KeyState
from tokensvc.keyring.revocation import plan_revocation, revoke
from tokensvc.operations import Operations
from tokensvc.service import Service
from tokensvc.signer_loaders import build_signer_loader
from tokensvc.token import jws
from tokensvc.web.app import create_app


@dataclass
class Fleet:
    """A deployment whose private keys are in moto.

    Attributes:
        world: its state, its clock and Local IVS.
        opened: what changes keys.
        channel: a live private channel.
        workers: closes the workers.
    """

    world: World
    opened: Operations
    channel: ChannelArn
    workers: ExitStack = field(default_factory=ExitStack)

    def worker(self, *, timeout_seconds: float = 10.0) -> Service:
        """A started worker, whose calls to its custody wait for so long, once."""
        terms = AwsTerms(read_timeout_seconds=timeout_seconds, max_attempts=1)
        clients = self.workers.enter_context(closing(AwsClients(terms, clock=self.world.clock)))
        settings, clock = self.opened.settings, self.world.clock
        loader = build_signer_loader(settings.custody, REGION, clients, clock)
        built = service.build(
            settings, clock, MemoryAudit(), state=self.world.state, signer_loader=loader
        )
        worker = self.workers.enter_context(closing(built))
        worker.start()
        return worker

    def reconcile(self) -> None:
        """Do every step that is due, twice: the second time after the publish delay."""
        for _ in range(2):
            self.opened.rotator(REGION).reconcile(lambda _: None)
            self.world.clock.advance(TERMS.publish_delay_seconds)

    def key_that_signs(self, worker: Service) -> str:
        """The ID of the key pair whose token Local IVS has just played."""
        request = PlaybackRequest(channel=str(self.channel))
        url = worker.issuer.issue(OPEN, request, None)
        pairs = [pair for pair in self.world.ring.pairs if pair.public_key]
        assert url.token is not None
        signed_by = jws.verify(url.token, [pair.require_public_key() for pair in pairs])
        assert urllib3.request("GET", url.playback_url).status == 200
        return next(pair.key_id for pair in pairs if pair.public_key == signed_by)


@pytest.fixture(params=["secretsmanager:tokensvc/", "kms:alias/tokensvc/"])
def fleet(
    request: pytest.FixtureRequest, moto: Moto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Fleet]:
    """A deployment with an active key pair and a standby in each kind of custody."""
    with world_in(tmp_path, monkeypatch) as world:
        for name, value in moto.environment.items():
            monkeypatch.setenv(name, value)
        ivs = world.ivs.client()
        channel = ivs.create_channel(name="demo", authorized=True)["channel"]["arn"]
        world.ivs.go_live(channel)
        settings = settings_in(tmp_path, custody={"url": request.param}, grants=GRANTS)
        with closing(
            operations.build(settings, world.clock, by="ann@desk", state=world.state)
        ) as opened:
            fleet = Fleet(world, opened, ChannelArn.parse(channel))
            fleet.reconcile()
            with fleet.workers:
                yield fleet


def check_of_ring(worker: Service) -> tuple[int, str]:
    """The status of /readyz, and the code of the check of the ring."""
    answer = create_app(worker).test_client().get("/readyz")
    checks = answer.get_json(force=True)["checks"]
    (code,) = [one["code"] for one in checks if one["name"].startswith("ring")]
    return answer.status_code, code


def notes_of_ring(worker: Service) -> list[str]:
    """The notes of the check of the ring in /readyz."""
    checks = create_app(worker).test_client().get("/readyz").get_json(force=True)["checks"]
    (notes,) = [one["notes"] for one in checks if one["name"].startswith("ring")]
    return list(notes)


def key_that_signs_again(fleet: Fleet, worker: Service) -> str:
    """The ID of the key pair that signs, when the pauses of 5 s between calls have ended."""
    for _ in range(10):
        fleet.world.clock.advance(OPEN_SECONDS)
        with contextlib.suppress(CustodyUnavailable):
            return fleet.key_that_signs(worker)
    return fleet.key_that_signs(worker)


def failure_of(fleet: Fleet, worker: Service) -> TokensvcError:
    """The error of a request for a playback URL."""
    with pytest.raises(TokensvcError) as caught:
        fleet.key_that_signs(worker)
    return caught.value


def test_a_rotation_and_a_revocation_with_private_keys_in_aws(fleet: Fleet) -> None:
    """Every token plays, and the key that signed it is the one of the ring."""
    worker = fleet.worker()
    first, second = fleet.world.ring.pairs
    assert fleet.key_that_signs(worker) == first.key_id

    fleet.opened.rotator(REGION).request_rotation("monthly")
    fleet.reconcile()
    worker.rings[REGION].refresh()
    assert fleet.key_that_signs(worker) == second.key_id

    plan = plan_revocation((REGION,), fleet.opened.ring, [second.key_id])
    assert revoke(plan, fleet.opened, "lost", lambda _: None).is_done
    worker.rings[REGION].refresh()
    third = fleet.world.ring.require_active()
    assert fleet.key_that_signs(worker) == third.key_id
    assert third.custody_handle is not None
    assert second.key_id not in fleet.opened.custody(REGION).key_ids()
    revoked = fleet.world.ring.pair(second.key_id)
    assert (revoked.state, revoked.destroyed_on is not None) == (KeyState.RETIRED, True)


def test_an_outage_of_the_custody(fleet: Fleet, moto: Moto) -> None:
    """A worker that signs in memory goes on. One that needs the custody says so, and recovers."""
    worker = fleet.worker(timeout_seconds=0.5)
    signs_in_memory = fleet.opened.settings.custody.url.startswith("secretsmanager:")
    key_id = key_that_signs_again(fleet, worker)
    moto.pause()
    try:
        if signs_in_memory:
            assert fleet.key_that_signs(worker) == key_id
        else:
            for _ in range(FAILURES_TO_OPEN):
                assert isinstance(failure_of(fleet, worker), CustodyUnavailable)
            # A note: without requests, nothing would show that KMS answers again.
            assert check_of_ring(worker) == (200, "")
            assert len(notes_of_ring(worker)) == 1
        started_now = fleet.worker(timeout_seconds=0.5)
        assert check_of_ring(started_now) == (503, "custody_unavailable")
        assert failure_of(fleet, started_now).retry_after_seconds == 5
    finally:
        moto.resume()
    assert key_that_signs_again(fleet, worker) == key_id
    assert notes_of_ring(worker) == []
    assert key_that_signs_again(fleet, started_now) == key_id
    assert check_of_ring(started_now) == (200, "")


def test_a_private_key_that_an_operator_disables_is_named(fleet: Fleet) -> None:
    """The service has none that it could use instead, until it is enabled or revoked."""
    active = fleet.world.ring.require_active()
    if fleet.opened.settings.custody.url.startswith("kms:"):
        kms = boto3.client("kms", region_name=REGION)
        described = kms.describe_key(KeyId=f"alias/tokensvc/{active.key_id}")["KeyMetadata"]
        kms.disable_key(KeyId=described["KeyId"])
    else:
        secrets = boto3.client("secretsmanager", region_name=REGION)
        secrets.delete_secret(SecretId=f"tokensvc/{active.key_id}", RecoveryWindowInDays=7)
    worker = fleet.worker()
    assert check_of_ring(worker) == (503, "custody_unusable")
    assert isinstance(failure_of(fleet, worker), CustodyUnusable)
    findings = fleet.opened.doctor((REGION,)).examine()
    assert [one.subject for one in findings if one.code == "private_key_unusable"] == [
        active.key_id
    ]
