"""An IVS on stage and a clock by hand, for the directory's tests."""

from __future__ import annotations

import pytest

from tests.ivs.staged_ivs import StagedIvs
from tests.support.clock import ManualClock


@pytest.fixture
def ivs() -> StagedIvs:
    """An IVS in good health."""
    return StagedIvs()


@pytest.fixture
def clock() -> ManualClock:
    """A clock that the test drives."""
    return ManualClock()
