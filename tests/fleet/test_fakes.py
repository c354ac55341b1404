"""The state and custody of the fleet pass the same contract tests as the real ones."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.contract.custody_contract import CustodyContract, OpenCustody
from tests.contract.state_contract import OpenState, StateContract
from tests.fleet.links import Link
from tests.fleet.memory_aws import MemoryKms, MemorySecrets
from tests.fleet.memory_custody import Vault
from tests.fleet.memory_state import MemoryStore
from tests.fleet.memory_table import MemoryTable
from tests.support.clock import ManualClock
from tokensvc.keyring.signers import StoredKey
from tokensvc.state.base import State

SEVEN_DAYS = 7 * 86_400.0


class LosesFirstAcknowledgment(Link):
    """A link on which the answer to the first change of a version or a record is lost."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__()
        self._store = store
        self._before = self._stored()
        self._has_lost_answer = False

    def receive(self, failure: Callable[[str], Exception]) -> None:
        """Deliver the answer, unless it is that one."""
        if not self._has_lost_answer and self._stored() != self._before:
            self._has_lost_answer = True
            raise failure("The answer was lost.")

    def _stored(self) -> object:
        return self._store.version("ring"), {
            kind: dict(of) for kind, of in self._store.kinds.items()
        }


class TestMemoryState(StateContract):
    """The state in memory passes the contract tests."""

    @pytest.fixture
    def store(self) -> MemoryStore:
        """The store that the processes of one test share."""
        return MemoryStore()

    @pytest.fixture
    def open_state(self, store: MemoryStore) -> OpenState:
        """Each state on the same store stands for a process."""
        return store.open

    @pytest.fixture
    def state_losing_acknowledgment(self, store: MemoryStore) -> State:
        """Its first save is stored, but the answer is lost."""
        return store.open(LosesFirstAcknowledgment(store))


class TestTableState(TestMemoryState):
    """The real code on a table in memory passes them."""

    @pytest.fixture
    def store(self) -> MemoryStore:
        """The table that the processes of one test share."""
        return MemoryTable()


class TestMemoryCustody(CustodyContract):
    """The custody in memory passes the contract tests."""

    @pytest.fixture
    def open_custody(self) -> OpenCustody:
        """Each custody on the same vault stands for a process."""
        vault, clock = Vault(), ManualClock()
        return lambda: vault.custody(clock)


class TestCustodyInMemorySecrets(CustodyContract):
    """The real custody, with Secrets Manager in memory, passes the contract tests."""

    destroyed_within_seconds = SEVEN_DAYS
    remembers_compromised = False

    @pytest.fixture
    def open_custody(self) -> OpenCustody:
        """Each custody with the same secrets stands for a process."""
        secrets, clock = MemorySecrets(), ManualClock()
        return lambda: secrets.custody(clock)

    def never_created(self, created: StoredKey) -> StoredKey:
        """A version of a secret that does not exist."""
        assert created.handle is not None
        return StoredKey("k-2", created.public_key, created.handle.replace("k-1", "k-2"))


class TestCustodyInMemoryKms(CustodyContract):
    """The real custody, with KMS in memory, passes the contract tests."""

    can_adopt = False
    destroyed_within_seconds = SEVEN_DAYS
    compromised_destroyed_within_seconds = SEVEN_DAYS

    @pytest.fixture
    def open_custody(self) -> OpenCustody:
        """Each custody with the same keys stands for a process."""
        kms, clock = MemoryKms(), ManualClock()
        return lambda: kms.custody(clock)

    def never_created(self, created: StoredKey) -> StoredKey:
        """The ARN of a key that does not exist."""
        assert created.handle is not None
        return StoredKey("k-2", created.public_key, f"{created.handle}9")
