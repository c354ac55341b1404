"""The channels on which a viewer who is kicked from all of them may be watching."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from local_ivs.testing import Account, LocalIvsServer

from tests.support.aws import set_aws_endpoint
from tokensvc.arns import ChannelPattern, parse_region
from tokensvc.aws import AwsClients, AwsTerms
from tokensvc.errors import IvsUnavailable
from tokensvc.playback.revocation.every_channel import every_channel

OREGON = parse_region("us-west-2")
EVERY = ChannelPattern.parse("arn:aws:ivs:us-west-2:123456789012:channel/*")


@pytest.fixture(name="account")
def _account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Account]:
    with LocalIvsServer(tmp_path) as server:
        set_aws_endpoint(monkeypatch, tmp_path, server.url)
        yield Account(server, "123456789012")


@pytest.fixture(name="clients")
def _clients(account: Account) -> Iterator[AwsClients]:
    clients = AwsClients(AwsTerms(max_attempts=1))
    yield clients
    clients.close()


def test_live_channels_are_first_then_named_ones_then_the_others(
    account: Account, clients: AwsClients
) -> None:
    """Each once, and none that no grant covers."""
    named = account.create_channel(live=False).arn
    offline = account.create_channel(live=False).arn
    live = [account.create_channel().arn for _ in range(2)]
    pattern = ChannelPattern.parse(named)

    found = [str(arn) for arn in every_channel(clients, OREGON, [EVERY, pattern])]
    narrow = [
        str(arn) for arn in every_channel(clients, OREGON, [pattern, ChannelPattern.parse(live[0])])
    ]

    assert set(found[:2]) == set(live)
    assert found[2:] == [named, offline]
    assert narrow == [live[0], named]


def test_a_region_without_grants_has_none(account: Account, clients: AwsClients) -> None:
    """IVS is not called there."""
    account.create_channel()

    assert every_channel(clients, parse_region("eu-west-1"), [EVERY]) == ()


def test_a_list_that_fails_is_an_error(clients: AwsClients, account: Account) -> None:
    """It is never taken for no channels: the kick stays pending."""
    account.server.__exit__(None, None, None)

    with pytest.raises(IvsUnavailable):
        every_channel(clients, OREGON, [EVERY])
