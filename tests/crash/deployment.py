"""A deployment whose commands are killed, its tokens, and the invariants to check afterwards."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import urllib3
from cryptography.hazmat.primitives.asymmetric import ec
from local_ivs.testing import LocalIvsServer

from tests.crash.commands import PREVIOUS_SECRET, CommandContext
from tests.crash.fork_server import ForkServer
from tests.crash.storage import LocalStorage, Storage
from tests.keyring.rings import REGION
from tests.keyring.world import World as PlainWorld
from tests.support.aws import set_aws_endpoint
from tests.support.clock import EXAMPLE_NOW, ManualClock
from tokensvc.arns import ChannelArn
from tokensvc.aws import AwsClients, AwsTerms
from tokensvc.errors import NoSigningKey
from tokensvc.ivs.key_pairs import IvsKeyPairs
from tokensvc.keyring.custody.base import Custody
from tokensvc.keyring.model import KeyPair, KeyState
from tokensvc.keyring.signers import StoredKey
from tokensvc.keyring.view import RingView
from tokensvc.settings import Settings
from tokensvc.token.claims import PlaybackClaims, PlaybackOptions
from tokensvc.token.jws import sign
from tokensvc.token.p384 import PublicKey, Signer

if TYPE_CHECKING:
    from mypy_boto3_ivs import IVSClient

TTL_SECONDS = 3_600  # The longest that the tests' terms allow.


@dataclass(frozen=True)
class Token:
    """An issued token: its text, the public key that verifies it, and its `exp`."""

    text: str
    public_key: PublicKey
    exp: int


@dataclass
class World(PlainWorld):
    """A world whose processes also have the previous key-encryption secret.

    Attributes:
        storage: where its state and its private keys are.
    """

    storage: Storage = field(kw_only=True)

    @property
    def custody(self) -> Custody:
        """The custody, as a new process sees it."""
        return self.storage.open_custody(previous_secret=PREVIOUS_SECRET)

    def settings(self, **changes: Any) -> Settings:
        """The settings with that storage."""
        urls = self.storage.urls
        return super().settings(state={"url": urls.state}, custody={"url": urls.custody}, **changes)

    @property
    def command_context(self) -> CommandContext:
        """The same storage, clock and IVS, for a command."""
        return CommandContext(self.folder, self.storage.urls, self.clock, self.key_pairs)


@dataclass
class Deployment:
    """A deployment in its own folder.

    Attributes:
        world: its state, custody, clock and IVS.
        channel: a private channel, live.
        playback_url: the playback URL of the channel.
        ivs: a boto3 client for IVS.
        pool: the HTTP client of the players.
        fork_server: forks the processes that are killed.
        tokens: every issued token.
        foreign_arns: the ARNs of foreign key pairs, which must stay in IVS.
        arguments: the arguments of the command that is killed.
    """

    world: World
    channel: ChannelArn
    playback_url: str
    ivs: IVSClient
    pool: urllib3.PoolManager
    fork_server: ForkServer
    tokens: list[Token] = field(default_factory=list)
    foreign_arns: frozenset[str] = frozenset()
    arguments: dict[str, str] = field(default_factory=dict)

    # --- Operations

    def issue_token(self, signer: Signer) -> None:
        """Issue a token with the longest lifetime."""
        options = PlaybackOptions(ttl_seconds=TTL_SECONDS)
        claims = PlaybackClaims.at(self.world.clock.now(), self.channel, options)
        self.tokens.append(Token(sign(claims, signer), signer.public_key, claims.expires_at))

    def issue_token_from(self, view: RingView) -> None:
        """Issue a token as a worker with that view does. Its key must not be compromised."""
        moment = self.world.moment()
        key = view.active(moment)
        assert not view.ring(moment).pair(key.key_id).is_compromised
        self.issue_token(key.signer)

    def issue_token_from_new_view(self) -> None:
        """Issue a token as a worker that has just started does."""
        with self.world.view() as view:
            self.issue_token_from(view)

    def issue_token_if_a_key_signs(self) -> None:
        """Issue a token as a worker that starts at any point of a command does."""
        with contextlib.suppress(NoSigningKey):
            self.issue_token_from_new_view()

    def import_foreign_pair(self, public_key: PublicKey | None = None) -> str:
        """Import a foreign key pair, which occupies a slot; its ARN."""
        key = public_key or PublicKey.of(ec.generate_private_key(ec.SECP384R1()).public_key())
        arn = str(self.world.key_pairs.import_pair(key, name="foreign", tags={}).arn)
        self.foreign_arns |= {arn}
        return arn

    def has_active_key(self) -> bool:
        """Whether the stored ring has an active key."""
        stored = self.world.store.load()
        return stored is not None and stored.ring.active is not None

    @property
    def compromised_key_ids(self) -> list[str]:
        """The IDs of the key pairs that the command marks compromised."""
        return self.arguments.get("key_ids", "").split()

    @property
    def spoiled_key_id(self) -> str:
        """The ID of the key pair that can't sign, which the command must discard; or ""."""
        return self.arguments.get("spoiled", "")

    def draft_key_ids(self) -> set[str]:
        """The key IDs for which a killed process left a draft of the private key file."""
        return self.world.storage.draft_key_ids()

    def equivalence_key(self) -> Hashable:
        """Everything that the later behavior depends on, once `check` has passed.

        IVS and custody then hold what the ring records, and the tokens are those of the scenario.
        So two copies of a scenario, at the same time, behave alike from then on when their rings
        differ only in IDs and keys.
        """
        ring = self.world.ring
        return (
            ring.terms,
            ring.rotation_request,
            ring.rotation_pause,
            ring.former_terms,
            ring.restoration,
            self.world.storage.remains(),
            *(_without_identity(pair) for pair in ring.pairs),
        )

    # --- Invariants after each reconcile

    def check(self, *, is_adopting: bool = False) -> None:
        """Check that IVS and custody hold what the ring records.

        Args:
            is_adopting: whether custody may have the private key of an adoption that is not in the
                ring yet, because its command was killed and must be repeated.
        """
        self._check_ivs()
        self._check_private_keys(is_adopting=is_adopting)

    def check_secret(self) -> None:
        """Check that every private key is encrypted with the present key-encryption secret."""
        custody = self.world.storage.open_custody()
        for pair in self.world.ring.pairs:
            is_usable = pair.state is not KeyState.RETIRED and pair.key_id != self.spoiled_key_id
            if is_usable and pair.public_key is not None:
                custody.signer(StoredKey(pair.key_id, pair.public_key, pair.custody_handle))

    def check_tokens(self) -> None:
        """Check that each token plays until its `exp`, unless its key was marked compromised."""
        compromised = {pair.public_key for pair in self.world.ring.pairs if pair.is_compromised}
        for token in self.tokens:
            plays = self.world.clock.now() < token.exp and token.public_key not in compromised
            url = f"{self.playback_url}?token={token.text}"
            assert self.pool.request("GET", url).status == (200 if plays else 403)

    def _check_ivs(self) -> None:
        """At most three key pairs; each of ours exactly once; every foreign key pair is there."""
        in_ivs = [pair["arn"] for pair in self.ivs.list_playback_key_pairs()["keyPairs"]]
        ours = self.world.ring.in_state(KeyState.PUBLISHED, KeyState.ACTIVE, KeyState.RETIRING)
        assert len(in_ivs) <= 3
        expected = {*(str(pair.arn) for pair in ours), *self.foreign_arns}
        # Until the command discards it, the spoiled one may be missing in IVS or in custody.
        spoiled = {str(pair.arn) for pair in ours if pair.key_id == self.spoiled_key_id}
        assert sorted(set(in_ivs) - spoiled) == sorted(expected - spoiled)

    def _check_private_keys(self, *, is_adopting: bool) -> None:
        """Custody has exactly the private keys of pairs not retired; at most one pair is active."""
        ring = self.world.ring
        assert len(ring.in_state(KeyState.ACTIVE)) <= 1
        in_use = [pair for pair in ring.pairs if pair.state is not KeyState.RETIRED]
        alive = [pair for pair in in_use if pair.key_id != self.spoiled_key_id]
        custody = self.world.custody
        stored = {pair.key_id for pair in alive}
        if len(alive) < len(in_use):
            stored |= {self.spoiled_key_id} & set(custody.key_ids())
        self.world.storage.check(stored, is_adopting=is_adopting)
        for pair in alive:
            assert pair.public_key is not None
            custody.signer(StoredKey(pair.key_id, pair.public_key, pair.custody_handle))


def _without_identity(pair: KeyPair) -> KeyPair:
    """The key pair without what has another value in each copy. AWS has a clock of its own."""
    destroyed_on = None if pair.destroyed_on is None else 0.0
    return replace(
        pair, key_id="", public_key=None, arn=None, custody_handle=None, destroyed_on=destroyed_on
    )


Scenario = Callable[[Deployment], None]
MakeStorage = Callable[[Path], Storage]


@dataclass
class Sandbox:
    """Local IVS, the clock and the fork server: started once for many deployments.

    Attributes:
        make_storage: makes an empty storage, in that folder if it has files.
    """

    ivs: LocalIvsServer
    clock: ManualClock
    key_pairs: IvsKeyPairs
    fork_server: ForkServer
    pool: urllib3.PoolManager
    make_storage: MakeStorage

    @contextlib.contextmanager
    def prepare(self, scenario: Scenario, folder: Path) -> Iterator[Prepared]:
        """Run the scenario once in `folder`; the result can be copied many times."""
        database = self.ivs.database.path
        self.clock.jump_wall(EXAMPLE_NOW - self.clock.now())
        for held in self.key_pairs.held():
            self.key_pairs.delete(held.arn)
        world = self.world_in(folder, self.make_storage(folder))
        ivs = self.ivs.client()
        channel = ivs.create_channel(authorized=True)["channel"]
        self.ivs.go_live(channel["arn"])
        arn = ChannelArn.parse(channel["arn"])
        deployment = Deployment(
            world, arn, channel["playbackUrl"], ivs, self.pool, self.fork_server
        )
        folder.mkdir()
        world.state.create()
        scenario(deployment)
        world.state.close()
        with (
            world.storage.kept(),
            contextlib.closing(sqlite3.connect(":memory:")) as ivs_snapshot,
        ):
            with contextlib.closing(sqlite3.connect(database)) as connection:
                connection.backup(ivs_snapshot)
            yield Prepared(self, deployment, self.clock.now(), ivs_snapshot, database)

    def world_in(self, folder: Path, storage: Storage) -> World:
        """The parts of the deployment with that storage, as a new process opens them."""
        state = storage.open_state()
        return World(folder, self.clock, self.ivs, self.key_pairs, state, storage=storage)


@dataclass
class Prepared:
    """The result of a scenario, which can be copied.

    Attributes:
        sandbox: the sandbox in which the scenario ran.
        deployment: the original deployment, which must not be changed.
        now: Unix seconds at the end of the scenario.
        ivs_snapshot: the database of Local IVS at the end of the scenario.
        ivs_database: the path of that database.
        tested_keys: the equivalence keys of the copies that were tested until all tokens expired.
    """

    sandbox: Sandbox
    deployment: Deployment
    now: float
    ivs_snapshot: sqlite3.Connection
    ivs_database: Path
    tested_keys: set[Hashable] = field(default_factory=set)

    @contextlib.contextmanager
    def copy(self, folder: Path) -> Iterator[Deployment]:
        """A copy of the deployment in another folder, with IVS and the clock reset."""
        storage = self.deployment.world.storage.copy(folder)
        with contextlib.closing(sqlite3.connect(self.ivs_database)) as connection:
            self.ivs_snapshot.backup(connection)
        self.sandbox.clock.jump_wall(self.now - self.sandbox.clock.now())
        world = self.sandbox.world_in(folder, storage)
        yield replace(self.deployment, world=world, tokens=list(self.deployment.tokens))
        world.state.close()


@contextlib.contextmanager
def sandbox_in(folder: Path, aws: Mapping[str, str] | None = None) -> Iterator[Sandbox]:
    """A new sandbox, for deployments on files; the environment is restored at its end.

    Args:
        folder: a folder for its files.
        aws: the variables with the endpoints of AWS services besides IVS.
    """
    clock = ManualClock()
    clients = AwsClients(AwsTerms(), clock=clock)
    with LocalIvsServer(folder / "ivs", clock) as ivs, pytest.MonkeyPatch.context() as monkeypatch:
        set_aws_endpoint(monkeypatch, folder, ivs.url)
        endpoints = {**(aws or {}), "AWS_ENDPOINT_URL_IVS": ivs.url}
        for name, url in endpoints.items():
            monkeypatch.setenv(name, url)
        with ForkServer(endpoints) as fork_server, urllib3.PoolManager(retries=False) as pool:
            key_pairs = IvsKeyPairs(clients, REGION)
            make_storage = partial(LocalStorage, clock=clock)
            yield Sandbox(ivs, clock, key_pairs, fork_server, pool, make_storage)
        clients.close()
