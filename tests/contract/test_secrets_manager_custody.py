"""Secrets Manager passes the contract of every custody, over real HTTP to moto."""

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
from tokensvc.keyring.custody.secret_signers import SecretSigners
from tokensvc.keyring.custody.secrets_manager import SecretsManagerCustody
from tokensvc.keyring.signers import StoredKey

REGION = Region("eu-west-1")
SEVEN_DAYS = 7 * 86_400.0


class _Secrets(LoadingContract):
    """What both classes below share."""

    @pytest.fixture
    def open_custody(self, clients: AwsClients) -> OpenCustody:
        """Each object stands for a process."""
        client = partial(clients.secrets_manager, REGION)
        return lambda: SecretsManagerCustody(client, REGION, "tokensvc/", SystemClock())

    def never_created(self, created: StoredKey) -> StoredKey:
        """A version of a secret that does not exist."""
        handle = (
            f"arn:aws:secretsmanager:{REGION}:123456789012:secret:tokensvc/k-2-AbCdEf#{'0' * 32}"
        )
        return StoredKey("k-2", created.public_key, handle)


class TestSecretsManagerCustody(_Secrets, CustodyContract):
    """A secret for each private key."""

    destroyed_within_seconds = SEVEN_DAYS + 60
    compromised_destroyed_within_seconds = 60
    remembers_compromised = False

    def now(self) -> float:
        """The time by the clock of moto, which is this machine's."""
        return time.time()


class TestSecretSigners(_Secrets):
    """What web workers load signers with."""

    @pytest.fixture
    def open_loader(self, clients: AwsClients) -> OpenLoader:
        """Each object stands for a worker."""
        return lambda: SecretSigners(
            partial(clients.secrets_manager, REGION), REGION, SystemClock()
        )
