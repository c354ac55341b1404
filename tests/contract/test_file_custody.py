from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract.custody_contract import CustodyContract, OpenCustody
from tests.support.clock import ManualClock
from tokensvc.keyring.custody.file import FileCustody


class TestFileCustody(CustodyContract):
    """A folder of encrypted files passes the contract tests with the strongest guarantees."""

    @pytest.fixture
    def open_custody(self, tmp_path: Path) -> OpenCustody:
        """Each object on the same folder stands for a process."""
        return lambda: FileCustody(tmp_path / "keys", bytes(range(32)), ManualClock())
