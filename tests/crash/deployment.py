"""A deployment whose commands are killed, its tokens, and the invariants to check afterwards."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import urllib3
from cryptography.hazmat.primitives.asymmetric import ec
from local_ivs.testing import LocalIvsServer

from tests.crash.commands import CommandContext
from tests.crash.fork_server import ForkServer
from tests.keyring.rings import REGION
from tests.keyring.world import World as PlainWorld
from tests.support.aws import set_aws_endpoint
from tests.support.clock import EXAMPLE_NOW, ManualClock
from tests.support.settings import SECRET
from tokensvc.arns import ChannelArn
from tokensvc.aws import AwsClients, AwsTerms
from tokensvc.errors import NoSigningKey
from tokensvc.ivs.key_pairs import IvsKeyPairs
from tokensvc.keyring.custody.file import FileCustody
from tokensvc.keyring.model import KeyState
from tokensvc.keyring.signers import StoredKey
from tokensvc.keyring.view import RingView
from tokensvc.state.sqlite import SqliteState
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


class World(PlainWorld):
    """A world whose processes also have the previous key-encryption secret."""

    @property
    def custody(self) -> FileCustody:
        """The custody, as a new process sees it."""
        return self.command_context.custody

    @property
    def command_context(self) -> CommandContext:
        """The same folder, clock and IVS, for a command."""
        return CommandContext(self.folder, self.clock, self.key_pairs)


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
        """Whether the stored ring has an active key. Does not create the state."""
        if not self.world.folder.joinpath("state.sqlite3").exists():
            return False
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
        return {path.name.split(".")[1] for path in self.world.folder.glob("keys/.*.draft")}

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
            len(self.draft_key_ids()),
            *(replace(pair, key_id="", public_key=None, arn=None) for pair in ring.pairs),
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
        custody = FileCustody(self.world.folder / "keys", SECRET, self.world.clock)
        for pair in self.world.ring.pairs:
            is_usable = pair.state is not KeyState.RETIRED and pair.key_id != self.spoiled_key_id
            if is_usable and pair.public_key is not None:
                custody.signer(StoredKey(pair.key_id, pair.public_key))

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
        names = {path.name for path in (self.world.folder / "keys").iterdir()}
        assert not names & {f"{pair.key_id}.destroyed" for pair in alive}
        files = {name for name in names if ".destroyed" not in name}
        if len(alive) < len(in_use):
            files.discard(f"{self.spoiled_key_id}.pem")
        drafts = {name for name in files if name.endswith(".draft")}
        assert is_adopting or files - drafts == {f"{pair.key_id}.pem" for pair in alive}
        assert is_adopting or self.draft_key_ids() <= {pair.key_id for pair in alive}
        for pair in alive:
            assert pair.public_key is not None
            self.world.custody.signer(StoredKey(pair.key_id, pair.public_key))


Scenario = Callable[[Deployment], None]


@dataclass
class Sandbox:
    """Local IVS, the clock and the fork server: started once for many deployments."""

    ivs: LocalIvsServer
    clock: ManualClock
    key_pairs: IvsKeyPairs
    fork_server: ForkServer
    pool: urllib3.PoolManager

    @contextlib.contextmanager
    def prepare(self, scenario: Scenario, folder: Path) -> Iterator[Prepared]:
        """Run the scenario once in `folder`; the result can be copied many times."""
        database = self.ivs.database.path
        self.clock.jump_wall(EXAMPLE_NOW - self.clock.now())
        for held in self.key_pairs.held():
            self.key_pairs.delete(held.arn)
        world = self.world_in(folder)
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
        with contextlib.closing(sqlite3.connect(":memory:")) as ivs_snapshot:
            with contextlib.closing(sqlite3.connect(database)) as connection:
                connection.backup(ivs_snapshot)
            yield Prepared(self, deployment, self.clock.now(), ivs_snapshot, database)

    def world_in(self, folder: Path) -> World:
        """The parts of the deployment in that folder, as a new process opens them."""
        state = SqliteState(folder / "state.sqlite3", self.clock)
        return World(folder, self.clock, self.ivs, self.key_pairs, state)


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
        shutil.copytree(self.deployment.world.folder, folder)
        with contextlib.closing(sqlite3.connect(self.ivs_database)) as connection:
            self.ivs_snapshot.backup(connection)
        self.sandbox.clock.jump_wall(self.now - self.sandbox.clock.now())
        world = self.sandbox.world_in(folder)
        yield replace(self.deployment, world=world, tokens=list(self.deployment.tokens))
        world.state.close()


@contextlib.contextmanager
def sandbox_in(folder: Path) -> Iterator[Sandbox]:
    """A new sandbox; the environment variables are restored at its end."""
    clock = ManualClock()
    clients = AwsClients(AwsTerms(), clock=clock)
    with LocalIvsServer(folder / "ivs", clock) as ivs, pytest.MonkeyPatch.context() as monkeypatch:
        set_aws_endpoint(monkeypatch, folder, ivs.url)
        with ForkServer(ivs.url) as fork_server, urllib3.PoolManager(retries=False) as pool:
            yield Sandbox(ivs, clock, IvsKeyPairs(clients, REGION), fork_server, pool)
        clients.close()
