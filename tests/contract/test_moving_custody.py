"""A custody that replaces another one passes the contract of every custody."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

import pytest

from tests.contract.custody_contract import CustodyContract, OpenCustody
from tests.contract.test_secrets_manager_custody import REGION, SEVEN_DAYS
from tests.support.moto import Moto
from tokensvc.aws import AwsClients, AwsTerms
from tokensvc.clock import SystemClock
from tokensvc.errors import CustodyDenied
from tokensvc.keyring.custody.file import FileCustody
from tokensvc.keyring.custody.moving import MovingCustody
from tokensvc.keyring.custody.secrets_manager import SecretsManagerCustody
from tokensvc.keyring.signers import StoredKey

MESSAGE = b"header.payload"


@pytest.fixture
def clients(moto: Moto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AwsClients:
    """Clients of an empty moto."""
    moto.set_environment(monkeypatch, tmp_path)
    return AwsClients(AwsTerms())


@pytest.fixture
def files(tmp_path: Path) -> FileCustody:
    """The custody that is replaced, with one private key."""
    custody = FileCustody(tmp_path / "keys", bytes(range(32)), SystemClock())
    custody.create("k-0")
    custody.destroy("k-0", compromised=False)
    return custody


class TestMovingCustody(CustodyContract):
    """From files to Secrets Manager: what is made, is made there."""

    destroyed_within_seconds = SEVEN_DAYS + 60
    compromised_destroyed_within_seconds = 60
    remembers_compromised = False

    @pytest.fixture
    def open_custody(self, clients: AwsClients, files: FileCustody) -> OpenCustody:
        """Each object stands for a process."""
        client, clock = partial(clients.secrets_manager, REGION), SystemClock()
        return lambda: MovingCustody(
            "secretsmanager",
            SecretsManagerCustody(client, REGION, "tokensvc/", clock),
            "file",
            files,
        )

    def now(self) -> float:
        """The time by the clock of moto, which is this machine's."""
        return time.time()

    def never_created(self, created: StoredKey) -> StoredKey:
        """A private key file that does not exist."""
        return StoredKey("k-2", created.public_key)

    def test_a_private_key_of_the_former_custody_signs_and_is_destroyed_there(
        self, open_custody: OpenCustody, files: FileCustody
    ) -> None:
        """It never moves. A new one of the same ID would be made in the newest custody."""
        former = files.create("k-1")
        custody = open_custody()
        assert list(custody.key_ids()) == ["k-1"]
        former.public_key.verify(custody.signer(former).sign(MESSAGE), MESSAGE)
        custody.destroy("k-1", compromised=True)
        assert list(files.key_ids()) == []

    def test_a_private_key_of_a_third_custody_is_not_called_lost(
        self, open_custody: OpenCustody
    ) -> None:
        """The settings name two, and its handle is of another."""
        custody = open_custody()
        key = custody.create("k-1")
        in_kms = StoredKey("k-1", key.public_key, "arn:aws:kms:eu-west-1:123456789012:key/1")
        with pytest.raises(CustodyDenied) as denied:
            custody.signer(in_kms)
        assert "custody.former_url" in denied.value.hint
