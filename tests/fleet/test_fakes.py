"""The fleet's state and custody are held to the contracts that the real ones keep."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.contract.custody_contract import CustodyContract, OpenCustody
from tests.contract.state_contract import OpenState, StateContract
from tests.fleet.links import Link
from tests.fleet.memory_custody import MemoryCustody, Vault
from tests.fleet.memory_state import MemoryState, MemoryStore
from tests.support.clock import ManualClock
from tokensvc.state.base import State


class LosesFirstAnswer(Link):
    """A link on which the first answer is lost."""

    def __init__(self) -> None:
        super().__init__()
        self.has_lost_it = False

    def receive(self, failure: Callable[[str], Exception]) -> None:
        """Let the answer travel, unless it is the first."""
        if not self.has_lost_it:
            self.has_lost_it = True
            raise failure("The answer was lost.")


class TestMemoryState(StateContract):
    """The state in memory keeps the contract."""

    @pytest.fixture
    def store(self) -> MemoryStore:
        """What the processes of one test share."""
        return MemoryStore()

    @pytest.fixture
    def open_state(self, store: MemoryStore) -> OpenState:
        """Another state on the same store is what another process has."""
        return lambda: MemoryState(store)

    @pytest.fixture
    def forgetful_state(self, store: MemoryStore) -> State:
        """Its first save is stored, and the answer lost."""
        return MemoryState(store, LosesFirstAnswer())


class TestMemoryCustody(CustodyContract):
    """The custody in memory keeps the contract."""

    @pytest.fixture
    def open_custody(self) -> OpenCustody:
        """Another custody on the same vault is what another process has."""
        vault = Vault()
        return lambda: MemoryCustody(vault, ManualClock())
