"""The state in DynamoDB passes the contract tests, on both stand-ins."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.state_contract import OpenState, StateContract
from tests.support.dynalite import Dynalite
from tests.support.lossy_proxy import Call, Fate, lossy_proxy
from tests.support.moto import Moto
from tests.support.stand_in_gaps import DYNAMODB_HAS_NO_LOCKS
from tests.support.tables import Table, table_with_state
from tokensvc.state.base import State


class _DynamoDbContract(StateContract):
    """Override `table`."""

    max_model_examples = 4

    @pytest.fixture
    def table(self) -> Iterator[Table]:
        """A new table in the stand-in."""
        raise NotImplementedError

    @pytest.fixture
    def open_state(self, table: Table) -> OpenState:
        """Each state has connections of its own, as another process would."""
        return table.state

    @pytest.fixture
    def state_losing_acknowledgment(self, table: Table) -> Iterator[State]:
        """Its first save, or put of records, is carried out, and the answer is lost."""
        is_lost = False

        def decide(call: Call) -> Fate:
            nonlocal is_lost
            if is_lost or not (call.is_of_head or call.operation == "BatchWriteItem"):
                return Fate.ANSWERED
            is_lost = True
            return Fate.ANSWER_LOST

        with lossy_proxy(table.url) as proxy:
            proxy.decide = decide
            yield table.state(proxy.url)


class TestDynaliteState(_DynamoDbContract):
    """dynalite is the stand-in that counts: its conditional writes have one winner."""

    @pytest.fixture
    def table(self, dynalite: Dynalite) -> Iterator[Table]:
        """A new table in dynalite."""
        with table_with_state(dynalite.url) as table:
            yield table


class TestMotoState(_DynamoDbContract):
    """moto's server."""

    gap_of_races = DYNAMODB_HAS_NO_LOCKS

    @pytest.fixture
    def table(self, moto: Moto) -> Iterator[Table]:
        """A new table in moto's server."""
        with table_with_state(moto.url) as table:
            yield table
