"""One region with real components: SQLite state, file custody, boto3 over HTTP to Local IVS."""

from __future__ import annotations

import contextlib
import functools
import io
import tempfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from local_ivs.testing import LocalIvsServer

from tests.keyring.rings import ACCOUNT_ID, REGION, TERMS
from tests.support.aws import set_aws_endpoint
from tests.support.clock import ManualClock
from tests.support.settings import SECRET, settings_in
from tests.support.snapshot import Snapshot
from tokensvc import operations, service
from tokensvc.arns import PlaybackKeyArn
from tokensvc.audit import JsonLinesAudit
from tokensvc.aws import AwsClients, AwsTerms
from tokensvc.aws_dates import DatedAnswer
from tokensvc.clock import Moment
from tokensvc.errors import IvsUnavailable
from tokensvc.ivs.key_pairs import IvsKeyPairs
from tokensvc.ivs.model import HeldKeyPair
from tokensvc.keyring.custody.base import Custody
from tokensvc.keyring.custody.file import FileCustody
from tokensvc.keyring.effects import Canary
from tokensvc.keyring.model import Act, Ring
from tokensvc.keyring.revocation import declare_compromised
from tokensvc.keyring.ring_document import RingStore
from tokensvc.keyring.rotator import Rotator
from tokensvc.keyring.steps import Step
from tokensvc.keyring.terms import Terms
from tokensvc.keyring.view import RingView
from tokensvc.operations import RegionInIvs
from tokensvc.settings import Settings
from tokensvc.state.base import State
from tokensvc.state.sqlite import SqliteState
from tokensvc.token.p384 import PublicKey

OTHER_REGION = "eu-west-1"


@dataclass
class World:
    """A deployment in a folder, with its own clock and Local IVS."""

    folder: Path
    clock: ManualClock
    ivs: LocalIvsServer
    key_pairs: IvsKeyPairs
    state: State
    steps_reported: list[Step] = field(default_factory=list)

    @property
    def custody(self) -> Custody:
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

    def settings(self, **changes: Any) -> Settings:
        """The settings, with those changes; see `settings_in`."""
        return settings_in(self.folder, **changes)

    def rotator(
        self,
        *,
        key_pairs: RegionInIvs | None = None,
        custody: Custody | None = None,
        account_id: str = ACCOUNT_ID,
        terms: Terms = TERMS,
        canary: Canary | None = None,
        keep_standby: bool = True,
        decommissioning: bool = False,
    ) -> Rotator:
        """A new rotator, as each command creates one."""
        settings = self.settings(
            account_id=account_id,
            regions=(OTHER_REGION,) if decommissioning else (REGION,),
            terms=terms,
            keep_standby=keep_standby,
        )
        return operations.build(
            settings,
            self.clock,
            by="ann@desk",
            state=self.state,
            custody=custody or self.custody,
            key_pairs=lambda _: key_pairs or self.key_pairs,
            canary=lambda _: canary,
        ).rotator(REGION)

    def reconcile(self, rotator: Rotator | None = None) -> object:
        """Reconcile with a new rotator or the given one. Returns the result."""
        return (rotator or self.rotator()).reconcile(self.steps_reported.append)

    def revoke(self, key_ids: Collection[str], reason: str) -> None:
        """Mark those key pairs compromised, as `keys revoke` does first."""
        declare_compromised(self.store, key_ids, Act(self.clock.now(), "ann@desk", reason))

    def create_active_and_standby(self) -> None:
        """Create an active key pair and a standby that is ready to sign; nothing is left to do."""
        self.reconcile()
        self.clock.advance(TERMS.publish_delay_seconds)
        self.reconcile()
        self.clock.advance(TERMS.publish_delay_seconds)

    def copy_active_and_standby(self) -> None:
        """The same in a world in which nothing has happened, as a copy that takes less time."""
        _active_and_standby().restore(self.folder)
        self.clock.advance(2 * TERMS.publish_delay_seconds)

    def moment(self) -> Moment:
        """The current time of both clocks."""
        return Moment.of(self.clock)

    @contextlib.contextmanager
    def view(self) -> Iterator[RingView]:
        """A started view of a worker, which reads the ring only on request."""
        worker = service.build(
            self.settings(),
            self.clock,
            JsonLinesAudit(io.StringIO()),
            state=self.state,
            signer_loader=self.custody,
        )
        view = worker.rings[REGION]
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
        clients = AwsClients(AwsTerms(max_attempts=max_attempts), clock=clock)
        state = SqliteState(folder / "state.sqlite3", clock)
        state.create()
        yield World(folder, clock, ivs, IvsKeyPairs(clients, REGION), state)
        clients.close()
        state.close()


@functools.cache
def _active_and_standby() -> Snapshot:
    """Made once in each process."""
    with (
        tempfile.TemporaryDirectory() as folder,
        pytest.MonkeyPatch.context() as monkeypatch,
        world_in(Path(folder), monkeypatch) as world,
    ):
        world.create_active_and_standby()
        return Snapshot.of(world.folder)


@dataclass
class LossyKeyPairs:
    """IVS whose answer is lost after the effect, once for each call named in `lost`."""

    inner: RegionInIvs
    lost: set[str]

    @property
    def endpoint(self) -> str:
        """The URL of IVS."""
        return self.inner.endpoint

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

    def dated_answer(self) -> DatedAnswer | None:
        """The newest answer of IVS that was not lost."""
        return self.inner.dated_answer()

    def _lose(self, what: str) -> None:
        if what in self.lost:
            self.lost.remove(what)
            raise IvsUnavailable(f"The answer to {what} was lost.")
