"""One region with real components: SQLite state, file custody, boto3 over HTTP to Local IVS."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.keyring.rings import ACCOUNT_ID, REGION, TERMS
from tests.support.aws import set_aws_endpoint
from tests.support.clock import ManualClock
from tests.support.local_ivs import LocalIvsServer
from tokensvc.arns import PlaybackKeyArn
from tokensvc.aws import AwsClients, AwsTerms
from tokensvc.clock import Moment
from tokensvc.errors import IvsUnavailable
from tokensvc.ivs.key_pairs import IvsKeyPairs
from tokensvc.ivs.model import HeldKeyPair
from tokensvc.keyring.custody.file import FileCustody
from tokensvc.keyring.effects import Canary, KeyPairsInIvs, Steps
from tokensvc.keyring.model import Ring, Terms
from tokensvc.keyring.ring_document import RingStore
from tokensvc.keyring.rotation import Step
from tokensvc.keyring.rotator import Binding, Rotator
from tokensvc.keyring.view import RingView
from tokensvc.state.sqlite import SqliteState
from tokensvc.token.p384 import PublicKey

SECRET = bytes(range(32))


@dataclass
class World:
    """A deployment in a folder, with its own clock and Local IVS."""

    folder: Path
    clock: ManualClock
    ivs: LocalIvsServer
    key_pairs: IvsKeyPairs
    state: SqliteState
    steps_reported: list[Step] = field(default_factory=list)

    @property
    def custody(self) -> FileCustody:
        """The custody, opened again as by a new process."""
        return FileCustody(self.folder / "keys", SECRET, self.clock)

    @property
    def store(self) -> RingStore:
        """The store of the ring."""
        return RingStore(self.state, REGION)

    @property
    def ring(self) -> Ring:
        """The stored ring."""
        stored = self.store.load()
        assert stored is not None
        return stored.ring

    def rotator(
        self,
        *,
        key_pairs: KeyPairsInIvs | None = None,
        account_id: str = ACCOUNT_ID,
        terms: Terms = TERMS,
        canary: Canary | None = None,
        keep_standby: bool = True,
        decommissioning: bool = False,
    ) -> Rotator:
        """A new rotator, as each command creates one."""
        steps = Steps(self.custody, key_pairs or self.key_pairs, self.clock, "ann@desk", canary)
        binding = Binding(REGION, account_id, self.ivs.url)
        return Rotator(
            self.store,
            steps,
            binding=binding,
            terms=terms,
            keep_standby=keep_standby,
            decommissioning=decommissioning,
        )

    def reconcile(self, rotator: Rotator | None = None) -> object:
        """Reconcile with a new rotator or the given one. Returns the result."""
        return (rotator or self.rotator()).reconcile(self.steps_reported.append)

    def create_active_and_standby(self) -> None:
        """Create an active key pair and a standby that is ready to sign; nothing is left to do."""
        self.reconcile()
        self.clock.advance(TERMS.publish_delay_seconds)
        self.reconcile()
        self.clock.advance(TERMS.publish_delay_seconds)

    def moment(self) -> Moment:
        """The current time of both clocks."""
        return Moment.of(self.clock)

    @contextlib.contextmanager
    def view(self) -> Iterator[RingView]:
        """A started view of a worker, which reads the ring only on request."""
        view = RingView(REGION, self.state, self.custody, self.clock, refresh_seconds=3_600)
        view.start()
        yield view
        view.close()


@contextlib.contextmanager
def world_in(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    effect_delay_seconds: float = 0.0,
    max_attempts: int = 3,
) -> Iterator[World]:
    """A world with nothing in IVS. boto3 makes `max_attempts` attempts for each call."""
    clock = ManualClock()
    with LocalIvsServer(folder / "ivs", clock, effect_delay_seconds=effect_delay_seconds) as ivs:
        set_aws_endpoint(monkeypatch, folder, ivs.url)
        clients = AwsClients(AwsTerms(max_attempts=max_attempts))
        state = SqliteState(folder / "state.sqlite3", clock)
        yield World(folder, clock, ivs, IvsKeyPairs(clients, REGION), state)
        clients.close()
        state.close()


@dataclass
class LossyKeyPairs:
    """IVS whose answer is lost after the effect, once for each call named in `lost`."""

    inner: KeyPairsInIvs
    lost: set[str]

    def import_pair(
        self, public_key: PublicKey, *, name: str, tags: Mapping[str, str]
    ) -> HeldKeyPair:
        """Import, and lose the answer once."""
        held = self.inner.import_pair(public_key, name=name, tags=tags)
        self._lose("import")
        return held

    def held(self) -> tuple[HeldKeyPair, ...]:
        """List the key pairs, and lose the answer once."""
        held = self.inner.held()
        self._lose("held")
        return held

    def get(self, arn: PlaybackKeyArn) -> HeldKeyPair:
        """Return one key pair."""
        return self.inner.get(arn)

    def delete(self, arn: PlaybackKeyArn) -> None:
        """Delete, and lose the answer once."""
        self.inner.delete(arn)
        self._lose("delete")

    def _lose(self, what: str) -> None:
        if what in self.lost:
            self.lost.remove(what)
            raise IvsUnavailable(f"The answer to {what} was lost.")
