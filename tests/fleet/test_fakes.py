"""The state and custody of the fleet pass the same contract tests as the real ones."""

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
        self.has_lost_answer = False

    def receive(self, failure: Callable[[str], Exception]) -> None:
        """Deliver the answer, unless it is the first one."""
        if not self.has_lost_answer:
            self.has_lost_answer = True
            raise failure("The answer was lost.")


class TestMemoryState(StateContract):
    """The state in memory passes the contract tests."""

    @pytest.fixture
    def store(self) -> MemoryStore:
        """The store that the processes of one test share."""
        return MemoryStore()

    @pytest.fixture
    def open_state(self, store: MemoryStore) -> OpenState:
        """Each state on the same store stands for a process."""
        return lambda: MemoryState(store)

    @pytest.fixture
    def state_losing_acknowledgment(self, store: MemoryStore) -> State:
        """Its first save is stored, but the answer is lost."""
        return MemoryState(store, LosesFirstAnswer())


class TestMemoryCustody(CustodyContract):
    """The custody in memory passes the contract tests."""

    @pytest.fixture
    def open_custody(self) -> OpenCustody:
        """Each custody on the same vault stands for a process."""
        vault = Vault()
        return lambda: MemoryCustody(vault, ManualClock())
