"""Each role's policy is enough for its processes, and keeps them from what is another role's.

Real processes' parts, with boto3, on moto's server and Local IVS. The policies are evaluated before
each call, because moto allows everything.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass

import pytest
from click.testing import CliRunner
from local_ivs.testing import LocalIvsServer

from tests.deploy.test_iam import POLICIES
from tests.keyring.rings import REGION
from tests.support.aws import EXAMPLE_ACCOUNT
from tests.support.deployment import EVERY_CHANNEL, MemoryAudit
from tests.support.enforced_iam import Enforcement, enforce
from tests.support.iam import Policy
from tests.support.moto import Moto
from tokensvc import operations, service
from tokensvc.access.bans.log import BanLog
from tokensvc.access.callers import Caller
from tokensvc.access.requests import PlaybackRequest
from tokensvc.access.revocation_requests import RevocationRequest
from tokensvc.arns import ChannelArn, Region
from tokensvc.aws_setup import make_state
from tokensvc.cli.main import cli
from tokensvc.clock import SystemClock, rfc3339
from tokensvc.errors import CustodyDenied, StateRefused
from tokensvc.ivs.viewer_sessions import Viewer
from tokensvc.keyring.checks.finding import FindingCode
from tokensvc.keyring.model import KeyState, Ring
from tokensvc.keyring.ring_document import RingStore
from tokensvc.operations import Operations
from tokensvc.playback.revocation.due_ends import DueEnd, DueEnds
from tokensvc.service import Service
from tokensvc.settings import Settings, load_settings

CLOCK = SystemClock()
CALLER = Caller("00000000000a", "backend", ("web",))
CUSTODIES = ["secretsmanager:tokensvc/", "kms:alias/tokensvc/"]
IN_REGION = Region(REGION)
in_one_custody = pytest.mark.parametrize("deployed", CUSTODIES[:1], indirect=True)
"""For a test in which the custody makes no difference."""


@dataclass(frozen=True)
class Fleet:
    """A deployment in moto and Local IVS.

    Attributes:
        enforcement: the policy of the process that runs now.
        variables: the settings of all processes, as environment variables.
        channel: a private channel.
    """

    enforcement: Enforcement
    variables: Mapping[str, str]
    channel: str

    @property
    def settings(self) -> Settings:
        """The settings."""
        return load_settings(None, self.variables)

    def install(self) -> None:
        """Make the table."""
        with self.enforcement.of(POLICIES["installer"]):
            make_state(self.settings, CLOCK, lambda _: None)

    @contextmanager
    def job(self, role: str = "key-administrator") -> Iterator[Operations]:
        """What a command of an operator, or the scheduled job, uses."""
        with (
            self.enforcement.of(POLICIES[role]),
            closing(operations.build(self.settings, CLOCK, by="test")) as job,
        ):
            yield job

    @contextmanager
    def worker(self) -> Iterator[Service]:
        """What a web worker uses."""
        with (
            self.enforcement.of(POLICIES["minter"]),
            closing(service.build(self.settings, CLOCK, MemoryAudit())) as worker,
        ):
            yield worker

    def reconcile(self) -> Ring:
        """Do every step that is due. Returns the ring."""
        with self.job() as job:
            return _reconciled(job)


@pytest.fixture(scope="module", params=CUSTODIES)
def deployed(
    running_moto: Moto, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Fleet]:
    """A fleet with that custody, which all tests of this module use one after another."""
    running_moto.reset()
    folder = tmp_path_factory.mktemp("fleet")
    with LocalIvsServer(folder / "ivs") as ivs, pytest.MonkeyPatch.context() as patch:
        channel = ivs.client().create_channel(authorized=True)["channel"]["arn"]
        running_moto.set_environment(patch, folder, AWS_ENDPOINT_URL_IVS=ivs.url)
        variables = {
            "TOKENSVC_IVS__ACCOUNT_ID": EXAMPLE_ACCOUNT,
            "TOKENSVC_IVS__REGIONS": REGION,
            "TOKENSVC_STATE__URL": f"dynamodb:{REGION}/tokensvc",
            "TOKENSVC_CUSTODY__URL": request.param,
            "TOKENSVC_GRANTS__WEB__CHANNELS": EVERY_CHANNEL,
            "TOKENSVC_ROTATION__PUBLISH_DELAY_SECONDS": "0",
        }
        enforcement = enforce(patch, REGION, EXAMPLE_ACCOUNT)
        fleet = Fleet(enforcement, variables, channel)
        fleet.install()
        with fleet.job() as job:
            job.state.create()
            _reconciled(job)
        assert enforcement.denied == []
        yield fleet


@pytest.fixture
def fleet(deployed: Fleet) -> Fleet:
    """The fleet, in which nothing was denied yet."""
    deployed.enforcement.denied.clear()
    return deployed


def run(fleet: Fleet, monkeypatch: pytest.MonkeyPatch, role: str, command: str) -> None:
    """Run that command of `tokensvc` in that role. It must succeed."""
    for name, value in fleet.variables.items():
        monkeypatch.setenv(name, value)
    with fleet.enforcement.of(POLICIES[role]):
        done = CliRunner().invoke(cli, command.split(), catch_exceptions=False)
    assert done.exit_code == 0, done.output


def _reconciled(job: Operations) -> Ring:
    job.rotator(IN_REGION).reconcile(lambda _: None)
    ring = job.ring(IN_REGION)
    assert ring is not None
    return ring


def test_the_minter_can_do_everything_for_a_playback_url(fleet: Fleet) -> None:
    """It looks up the channel, signs, and stores what it learned."""
    with fleet.worker() as worker:
        worker.start()
        url = worker.issuer.issue(CALLER, PlaybackRequest(channel=fleet.channel))
    with fleet.job() as job:
        active = _reconciled(job).active
        assert active is not None
        assert url.key_id == active.key_id
        assert [record.record_id for record in job.state.records("channel")] == [fleet.channel]
        assert len(job.state.records("key-probe")) == 2
    assert fleet.enforcement.denied == []


def test_the_minter_can_check_a_start_and_a_reload(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At SIGHUP, gunicorn runs this command before it replaces the workers."""
    run(fleet, monkeypatch, "minter", "serve --check")
    assert fleet.enforcement.denied == []


def test_the_key_administrator_can_replace_a_key_and_destroy_it(fleet: Fleet) -> None:
    """In IVS and in custody, and the doctor can read everything."""
    before = fleet.reconcile().active
    assert before is not None
    with fleet.job() as job:
        job.declare_compromised(IN_REGION, [before.key_id], "test")
        after = _reconciled(job)
        codes = {finding.code for finding in job.doctor([IN_REGION]).examine()}
    assert after.active is not None
    assert after.active.key_id != before.key_id
    assert after.pair(before.key_id).state is KeyState.RETIRED
    # About the settings of this test, and that each signature is a call.
    about_settings = {FindingCode.KMS_PUBLISH_DELAY, FindingCode.KMS_SIGNING}
    assert codes - about_settings == {FindingCode.NO_CANARY}
    assert fleet.enforcement.denied == []


@in_one_custody
def test_the_key_administrator_can_run_the_commands_of_an_operator(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that change keys, API keys and the state, and one that signs."""
    for command in (
        "api-keys create backend --grant web",
        "keys rotate",
        "keys rollback",
        "state upgrade",
        f"tokens sign {fleet.channel}",
    ):
        run(fleet, monkeypatch, "key-administrator", command)
        assert fleet.enforcement.denied == [], command


@in_one_custody
def test_the_minter_can_change_no_ring(fleet: Fleet) -> None:
    """Nor begin a rotation: it may put records of one kind only, and a document is none."""
    with fleet.job("minter") as job:
        stored = RingStore(job.state, IN_REGION).load()
        assert stored is not None
        with pytest.raises(StateRefused):
            RingStore(job.state, IN_REGION).save(stored.ring, replacing=stored.version)
    assert [action for action, _ in fleet.enforcement.denied] == ["dynamodb:PutItem"]


@in_one_custody
def test_the_minter_can_write_no_item_of_another_kind(fleet: Fleet) -> None:
    """Neither a head nor a body, in a batch: the condition on the partition refuses it."""
    with fleet.job("minter") as job, pytest.raises(StateRefused):
        job.state.remove_many("ban", ["one"])
    assert [action for action, _ in fleet.enforcement.denied] == ["dynamodb:BatchWriteItem"]


def test_the_minter_can_destroy_no_private_key(fleet: Fleet) -> None:
    """Whatever its code does."""
    active = fleet.reconcile().active
    assert active is not None
    with fleet.job("minter") as job, pytest.raises(CustodyDenied):
        job.custody(IN_REGION).destroy(
            active.key_id, handle=active.custody_handle, compromised=True
        )


@in_one_custody
def test_the_minter_stores_due_ends_and_the_moderator_carries_them_out(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the loop's lease and marks in DynamoDB; and kicks and bans, on all channels too."""
    now = int(CLOCK.now())
    with fleet.worker() as worker:
        worker.start()
        request = PlaybackRequest(
            channel=fleet.channel, viewer_id="preview", watch_until=rfc3339(now + 1_000)
        )
        assert worker.issuer.issue(CALLER, request).watch_until == now + 1_000
    with fleet.job("moderator") as job:
        viewer = Viewer(ChannelArn.parse(fleet.channel), "rental")
        DueEnds(job.state).store(DueEnd(viewer, now, now, now))
    run(fleet, monkeypatch, "moderator", "viewers end-due")
    run(fleet, monkeypatch, "moderator", f"viewers revoke {fleet.channel} mallory --ban 1h")
    run(fleet, monkeypatch, "moderator", "viewers revoke --all-channels trudy")

    with fleet.job("moderator") as job:
        progress = {
            one.due_end.viewer.viewer_id: one.due_end.progress for one in DueEnds(job.state).all()
        }
        bans = list(BanLog(job.state, CLOCK).read().bans)
    assert progress == {"preview": "waiting", "rental": "done"}
    assert sorted(ban.viewer_ids for ban in bans if not ban.unconfirmed) == [
        ("mallory",),
        ("trudy",),
    ]
    assert fleet.enforcement.denied == []


@in_one_custody
def test_a_service_needs_the_moderator_s_policy_too_to_moderate(fleet: Fleet) -> None:
    """With the minter's alone, nothing is stored, and no session is revoked."""
    moderator = Caller("00000000000d", "moderator", ("web",), ("moderate",))
    request = RevocationRequest(viewer_id="alice", channel=fleet.channel)
    with fleet.worker() as worker:
        worker.start()
        with pytest.raises(StateRefused):
            worker.revoker.revoke(moderator, request, "request-1")
    assert {action for action, _ in fleet.enforcement.denied} == {"dynamodb:PutItem"}
    both = Policy([*POLICIES["minter"].statements, *POLICIES["moderator"].statements])
    fleet.enforcement.denied.clear()
    with (
        fleet.enforcement.of(both),
        closing(service.build(fleet.settings, CLOCK, MemoryAudit())) as worker,
    ):
        worker.start()
        assert worker.revoker.revoke(moderator, request, "request-2").pending == frozenset()
    assert fleet.enforcement.denied == []


def test_another_prefix_is_another_deployment(fleet: Fleet) -> None:
    """The minter can't sign with the keys of another deployment in the same account."""
    url = fleet.variables["TOKENSVC_CUSTODY__URL"].replace("tokensvc/", "other/")
    other = dataclasses.replace(fleet, variables={**fleet.variables, "TOKENSVC_CUSTODY__URL": url})
    with closing(operations.build(other.settings, CLOCK, by="test")) as job:
        key = job.custody(IN_REGION).create("k0123456789ab")
    with (
        other.job("minter") as job,
        pytest.raises(CustodyDenied),
    ):
        job.custody(IN_REGION).signer(key)
