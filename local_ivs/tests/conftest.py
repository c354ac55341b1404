from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.support.clock import ManualClock
from tests.support.local_ivs import LocalIvsServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mypy_boto3_ivs import IVSClient


@pytest.fixture
def clock() -> ManualClock:
    """The server's clock."""
    return ManualClock()


@pytest.fixture
def server(tmp_path: Path, clock: ManualClock) -> Iterator[LocalIvsServer]:
    """Local IVS with an empty account."""
    with LocalIvsServer(tmp_path, clock) as server:
        yield server


@pytest.fixture
def ivs(server: LocalIvsServer) -> IVSClient:
    """A client for account 123456789012 in us-west-2."""
    return server.client()


@pytest.fixture
def channel_arn(ivs: IVSClient) -> str:
    """A channel with default settings."""
    return ivs.create_channel(name="example")["channel"]["arn"]


@pytest.fixture(scope="session")
def new_public_key() -> Callable[[], str]:
    """Returns a different public key that IVS accepts, for each call."""

    def make() -> str:
        key = ec.generate_private_key(ec.SECP384R1()).public_key()
        return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    return make
