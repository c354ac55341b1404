"""A scripted IVS and a manual clock for the tests of the channel directory."""

from __future__ import annotations

import pytest

from tests.ivs.staged_ivs import StagedIvs
from tests.support.clock import ManualClock


@pytest.fixture
def ivs() -> StagedIvs:
    """An IVS without faults."""
    return StagedIvs()


@pytest.fixture
def clock() -> ManualClock:
    """A clock that the test moves."""
    return ManualClock()
