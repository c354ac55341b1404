"""KMS passes the contract of every custody, over real HTTP to moto."""

from __future__ import annotations

import time
from functools import partial

import pytest

from tests.contract.custody_contract import (
    CustodyContract,
    LoadingContract,
    OpenCustody,
    OpenLoader,
)
from tokensvc.arns import Region
from tokensvc.aws import AwsClients
from tokensvc.clock import SystemClock
from tokensvc.keyring.custody.kms import KmsCustody
from tokensvc.keyring.custody.kms_signers import KmsSigners
from tokensvc.keyring.signers import StoredKey

REGION = Region("eu-west-1")
SEVEN_DAYS = 7 * 86_400.0


class _Keys(LoadingContract):
    """What both classes below share."""

    @pytest.fixture
    def open_custody(self, clients: AwsClients) -> OpenCustody:
        """Each object stands for a process."""
        client = partial(clients.kms, REGION)
        return lambda: KmsCustody(client, REGION, "alias/tokensvc/", SystemClock())

    def never_created(self, created: StoredKey) -> StoredKey:
        """The ARN of a key that does not exist."""
        arn = f"arn:aws:kms:{REGION}:123456789012:key/00000000-0000-0000-0000-000000000000"
        return StoredKey("k-2", created.public_key, arn)


class TestKmsCustody(_Keys, CustodyContract):
    """A KMS key with an alias for each private key."""

    can_adopt = False
    destroyed_within_seconds = SEVEN_DAYS + 60
    compromised_destroyed_within_seconds = SEVEN_DAYS + 60

    def now(self) -> float:
        """The time by the clock of moto, which is this machine's."""
        return time.time()


class TestKmsSigners(_Keys):
    """What web workers sign with."""

    @pytest.fixture
    def open_loader(self, clients: AwsClients) -> OpenLoader:
        """Each object stands for a worker."""
        return lambda: KmsSigners(partial(clients.kms, REGION), REGION, SystemClock())
