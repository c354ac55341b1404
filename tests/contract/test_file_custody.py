from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract.custody_contract import CustodyContract, OpenCustody
from tests.support.clock import ManualClock
from tokensvc.keyring.custody.file import FileCustody


class TestFileCustody(CustodyContract):
    """A folder of encrypted files keeps the contract, without a weakness."""

    @pytest.fixture
    def open_custody(self, tmp_path: Path) -> OpenCustody:
        """Another object on the same folder is what another process has."""
        return lambda: FileCustody(tmp_path / "keys", bytes(range(32)), ManualClock())
