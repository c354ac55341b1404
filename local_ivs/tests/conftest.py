"""Setup for all tests: a real browser, fast boto3 clients, hypothesis without deadlines."""

from __future__ import annotations

import functools
import gc
from typing import TYPE_CHECKING, Any

import botocore.hooks
import botocore.loaders
import pytest

# AWS's JSON models are read once per process instead of once per client, because the tests create
# hundreds of clients. The loader must be replaced before botocore's session imports it.
botocore.loaders.create_loader = functools.lru_cache(botocore.loaders.create_loader)

# The present name of an event is found once per process. Each client forgot it, and went through
# all aliases again for each of its handlers.
_Aliaser: Any = botocore.hooks.EventAliaser
_alias = functools.lru_cache(10_000)(
    _Aliaser(botocore.hooks.HierarchicalEmitter())._alias_event_name
)
_Aliaser._alias_event_name = lambda _self, event_name: _alias(event_name)

# The following imports are after the loader, because they import boto3.
from hypothesis import settings  # noqa: E402

from browser import browser, page  # noqa: E402
from local_ivs.testing import KeyPair, LocalIvsServer, ManualClock  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mypy_boto3_ivs import IVSClient

__all__ = ["browser", "page"]  # One browser per process: a second one can't be started.

# The collected tests are not searched for garbage again and again.
gc.set_threshold(50_000, 20, 50)

# On a busy machine an example may be slow, which is not a failure.
settings.register_profile("local-ivs", deadline=None)
settings.load_profile("local-ivs")


def pytest_collection_finish() -> None:
    """Keep the collected tests out of every later search for garbage."""
    gc.freeze()


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
    return lambda: KeyPair().public_pem
