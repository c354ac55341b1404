from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract.custody_contract import (
    CustodyContract,
    LoadingContract,
    OpenCustody,
    OpenLoader,
)
from tests.support.clock import ManualClock
from tokensvc.keyring.custody.file import FileCustody
from tokensvc.keyring.custody.file_signers import FileSigners


class TestFileCustody(CustodyContract):
    """A folder of encrypted files passes the contract tests with the strongest guarantees."""

    @pytest.fixture
    def open_custody(self, tmp_path: Path) -> OpenCustody:
        """Each object on the same folder stands for a process."""
        return lambda: FileCustody(tmp_path / "keys", bytes(range(32)), ManualClock())


class TestFileSigners(LoadingContract):
    """What web workers load signers with, on the folder of a custody."""

    @pytest.fixture
    def open_custody(self, tmp_path: Path) -> OpenCustody:
        """The custody that creates the private keys."""
        return lambda: FileCustody(tmp_path / "keys", bytes(range(32)), ManualClock())

    @pytest.fixture
    def open_loader(self, tmp_path: Path) -> OpenLoader:
        """Each object on the same folder stands for a worker."""
        return lambda: FileSigners(tmp_path / "keys", bytes(range(32)))
