"""A deployment that may crash, what it has given out, and what must be true of it afterwards."""

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

from tests.crash.acts import Machine
from tests.crash.warm_parent import WarmParent
from tests.keyring.rings import REGION
from tests.keyring.world import SECRET
from tests.keyring.world import World as PlainWorld
from tests.support.aws import set_aws_endpoint
from tests.support.clock import EXAMPLE_NOW, ManualClock
from tests.support.local_ivs import LocalIvsServer
from tokensvc.arns import ChannelArn
from tokensvc.aws import AwsClients, AwsTerms
from tokensvc.claims import PlaybackClaims, PlaybackOptions
from tokensvc.ivs.key_pairs import IvsKeyPairs
from tokensvc.keyring.custody.file import FileCustody
from tokensvc.keyring.model import KeyState
from tokensvc.keyring.view import RingView
from tokensvc.p384 import PublicKey, Signer
from tokensvc.state.sqlite import SqliteState
from tokensvc.tokens import sign

if TYPE_CHECKING:
    from mypy_boto3_ivs import IVSClient

TTL_SECONDS = 3_600  # The longest that the tests' terms allow.


@dataclass(frozen=True)
class Token:
    """A token that was given out: its text, the key that signed it, and its `exp`."""

    text: str
    public_key: PublicKey
    exp: int


class World(PlainWorld):
    """A world whose every process is set up for a change of the key-encryption secret."""

    @property
    def custody(self) -> FileCustody:
        """The custody, as a new process sees it."""
        return self.machine.custody

    @property
    def machine(self) -> Machine:
        """The same world for a command."""
        return Machine(self.folder, self.clock, self.key_pairs)


@dataclass
class Stage:
    """A deployment in a folder of its own.

    Attributes:
        world: its parts.
        channel: a private channel, live.
        playback_url: the channel's.
        ivs: IVS, as anyone with the account sees it.
        pool: what players fetch with.
        parent: forks the processes that die here.
        tokens: every token that was given out.
        strangers: ARNs of pairs that others imported, which IVS must go on holding.
        arguments: what the act that crashes is given.
    """

    world: World
    channel: ChannelArn
    playback_url: str
    ivs: IVSClient
    pool: urllib3.PoolManager
    parent: WarmParent
    tokens: list[Token] = field(default_factory=list)
    strangers: frozenset[str] = frozenset()
    arguments: dict[str, str] = field(default_factory=dict)

    # --- What happens

    def mint(self, signer: Signer) -> None:
        """Give out a token that lives as long as a token may."""
        options = PlaybackOptions(ttl_seconds=TTL_SECONDS)
        claims = PlaybackClaims.at(self.world.clock.now(), self.channel, options)
        self.tokens.append(Token(sign(claims, signer), signer.public_key, claims.expires_at))

    def mint_by(self, view: RingView) -> None:
        """Give out a token as a worker with that view does."""
        self.mint(view.active(self.world.moment()).signer)

    def mint_by_a_fresh_view(self) -> None:
        """Give out a token as a worker that has just started does."""
        with self.world.view() as view:
            self.mint_by(view)

    def import_stranger(self, public_key: PublicKey | None = None) -> str:
        """Somebody else's pair, which takes a slot."""
        key = public_key or PublicKey.of(ec.generate_private_key(ec.SECP384R1()).public_key())
        arn = str(self.world.key_pairs.import_pair(key, name="someone-else", tags={}).arn)
        self.strangers |= {arn}
        return arn

    def has_active_key(self) -> bool:
        """Whether the stored ring has one; where nothing is stored, nothing is made by asking."""
        if not self.world.folder.joinpath("state.sqlite3").exists():
            return False
        stored = self.world.store.load()
        return stored is not None and stored.ring.active is not None

    @property
    def stolen(self) -> list[str]:
        """The IDs of the pairs that the act declares stolen."""
        return self.arguments.get("key_ids", "").split()

    def ids_of_drafts(self) -> set[str]:
        """The pairs beside whose private half a killed maker has left a draft."""
        return {path.name.split(".")[1] for path in self.world.folder.glob("keys/.*.draft")}

    def future(self) -> Hashable:
        """What all that follows depends on, once `check` has passed.

        IVS and custody hold what the ring records, and the tokens are the scene's: two stages of
        one scene, at the same time, with rings that differ only in IDs and keys, live on alike.
        """
        ring = self.world.ring
        return (
            ring.terms,
            ring.rotation_request,
            len(self.ids_of_drafts()),
            *(replace(pair, key_id="", public_key=None, arn=None) for pair in ring.pairs),
        )

    # --- What must be true whenever a reconcile has ended

    def check(self, *, is_adopting: bool = False) -> None:
        """Hold the invariants of IVS and of custody to what the ring records.

        Args:
            is_adopting: whether custody may hold a half that only the command knows which took it
                in, and which is to be given again.
        """
        self._check_ivs()
        self._check_private_halves(is_adopting=is_adopting)

    def check_secret(self) -> None:
        """Every private half is under the present key-encryption secret, and under no other."""
        custody = FileCustody(self.world.folder / "keys", SECRET, self.world.clock)
        for pair in self.world.ring.pairs:
            if pair.state is not KeyState.RETIRED and pair.public_key is not None:
                custody.signer(pair.key_id, pair.public_key)

    def check_tokens(self) -> None:
        """Each plays until its `exp`, unless its key was declared stolen."""
        stolen = {pair.public_key for pair in self.world.ring.pairs if pair.is_compromised}
        for token in self.tokens:
            plays = self.world.clock.now() < token.exp and token.public_key not in stolen
            url = f"{self.playback_url}?token={token.text}"
            assert self.pool.request("GET", url).status == (200 if plays else 403)

    def _check_ivs(self) -> None:
        """Never more than three pairs; each of ours is there, once; no stranger was touched."""
        in_ivs = [pair["arn"] for pair in self.ivs.list_playback_key_pairs()["keyPairs"]]
        ours = self.world.ring.in_state(KeyState.PUBLISHED, KeyState.ACTIVE, KeyState.RETIRING)
        assert len(in_ivs) <= 3
        assert sorted(in_ivs) == sorted({*(str(pair.arn) for pair in ours), *self.strangers})

    def _check_private_halves(self, *, is_adopting: bool) -> None:
        """Custody holds the half of each pair that lives and nothing else; one at most signs."""
        ring = self.world.ring
        assert len(ring.in_state(KeyState.ACTIVE)) <= 1
        alive = [pair for pair in ring.pairs if pair.state is not KeyState.RETIRED]
        files = {path.name for path in (self.world.folder / "keys").iterdir()}
        drafts = {name for name in files if name.endswith(".draft")}
        assert is_adopting or files - drafts == {f"{pair.key_id}.pem" for pair in alive}
        assert is_adopting or self.ids_of_drafts() <= {pair.key_id for pair in alive}
        for pair in alive:
            assert pair.public_key is not None
            self.world.custody.signer(pair.key_id, pair.public_key)


Scene = Callable[[Stage], None]


@dataclass
class Site:
    """Local IVS, the time, and the program that forks: made once for many stages."""

    ivs: LocalIvsServer
    clock: ManualClock
    key_pairs: IvsKeyPairs
    parent: WarmParent
    pool: urllib3.PoolManager

    @contextlib.contextmanager
    def set(self, scene: Scene, folder: Path) -> Iterator[Prepared]:
        """The scene, played once in `folder`, to be copied as often as needed."""
        database = self.ivs.app.extensions["local_ivs_database"].path
        self.clock.jump_wall(EXAMPLE_NOW - self.clock.now())
        for held in self.key_pairs.held():
            self.key_pairs.delete(held.arn)
        world = self.world_in(folder)
        ivs = self.ivs.client()
        channel = ivs.create_channel(authorized=True)["channel"]
        self.ivs.go_live(channel["arn"])
        arn = ChannelArn.parse(channel["arn"])
        stage = Stage(world, arn, channel["playbackUrl"], ivs, self.pool, self.parent)
        folder.mkdir()
        scene(stage)
        world.state.close()
        with contextlib.closing(sqlite3.connect(":memory:")) as ivs_as_it_was:
            with contextlib.closing(sqlite3.connect(database)) as connection:
                connection.backup(ivs_as_it_was)
            yield Prepared(self, stage, self.clock.now(), ivs_as_it_was, database)

    def world_in(self, folder: Path) -> World:
        """The parts of a deployment in that folder, as a process that begins has them."""
        state = SqliteState(folder / "state.sqlite3", self.clock)
        return World(folder, self.clock, self.ivs, self.key_pairs, state)


@dataclass
class Prepared:
    """A scene that was played, as it can be copied.

    Attributes:
        site: where it was played.
        stage: the original, which nothing may change.
        now: Unix seconds at its end.
        ivs_as_it_was: what Local IVS held then.
        ivs_database: where Local IVS keeps it.
        futures_lived: the futures that some copy has lived to its end.
    """

    site: Site
    stage: Stage
    now: float
    ivs_as_it_was: sqlite3.Connection
    ivs_database: Path
    futures_lived: set[Hashable] = field(default_factory=set)

    @contextlib.contextmanager
    def copy(self, folder: Path) -> Iterator[Stage]:
        """The stage as the scene left it, in another folder, with IVS and the time as they were."""
        shutil.copytree(self.stage.world.folder, folder)
        with contextlib.closing(sqlite3.connect(self.ivs_database)) as connection:
            self.ivs_as_it_was.backup(connection)
        self.site.clock.jump_wall(self.now - self.site.clock.now())
        world = self.site.world_in(folder)
        yield replace(self.stage, world=world, tokens=list(self.stage.tokens))
        world.state.close()


@contextlib.contextmanager
def site_in(folder: Path) -> Iterator[Site]:
    """A site; nothing of it stays in the environment."""
    clock = ManualClock()
    clients = AwsClients(AwsTerms())
    with LocalIvsServer(folder / "ivs", clock) as ivs:
        with pytest.MonkeyPatch.context() as monkeypatch:
            set_aws_endpoint(monkeypatch, folder, ivs.url)
            clients.ivs(REGION)
        with WarmParent(ivs.url) as parent, urllib3.PoolManager(retries=False) as pool:
            yield Site(ivs, clock, IvsKeyPairs(clients, REGION), parent, pool)
        clients.close()
