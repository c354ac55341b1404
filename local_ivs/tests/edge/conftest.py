"""One Local IVS for all tests of the edge. Each test has its own account there."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
from urllib3 import PoolManager

from local_ivs.testing import EXAMPLE_NOW, Account, KeyPair, LocalIvsServer, ManualClock, Player

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local_ivs.testing import Channel


ACCOUNT_IDS = itertools.count(100_000_000_000)


@pytest.fixture(scope="session")
def driven_clock() -> ManualClock:
    """The clock of the Local IVS that the tests share."""
    return ManualClock()


@pytest.fixture(scope="session")
def server(
    tmp_path_factory: pytest.TempPathFactory, driven_clock: ManualClock
) -> Iterator[LocalIvsServer]:
    """A Local IVS whose time changes only when a test changes it."""
    with LocalIvsServer(tmp_path_factory.mktemp("local-ivs"), driven_clock) as server:
        yield server


@pytest.fixture
def clock(driven_clock: ManualClock) -> ManualClock:
    """Local IVS's clock, set to `EXAMPLE_NOW`."""
    driven_clock.set(EXAMPLE_NOW)
    return driven_clock


@pytest.fixture(scope="session")
def pair() -> KeyPair:
    """The key pair that the account imports."""
    return KeyPair()


@pytest.fixture
def account(server: LocalIvsServer, clock: ManualClock, pair: KeyPair) -> Account:
    """An account with one imported key pair."""
    account = Account(server, str(next(ACCOUNT_IDS)))
    account.import_key(pair)
    return account


@pytest.fixture
def channel(account: Account) -> Channel:
    """A private channel that is live."""
    return account.create_channel()


@pytest.fixture
def player(server: LocalIvsServer, clock: ManualClock) -> Iterator[Player]:
    """A player outside a browser: it sends an Origin header only if the test gives one."""
    with PoolManager() as pool:
        yield Player(pool, server.url)
