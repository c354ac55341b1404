"""Make what a deployment needs in AWS: for `tokensvc init --aws`, and jobs that do the same."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

from tokensvc.aws import AwsClients, AwsTerms
from tokensvc.clock import Clock
from tokensvc.errors import SettingsInvalid
from tokensvc.net import is_loopback_url
from tokensvc.service import build_state
from tokensvc.settings import Settings
from tokensvc.state.dynamodb_address import TableAddress
from tokensvc.state.dynamodb_creation import TableMaker

# A job that is run once can wait: AWS allows few changes of tables a second.
_TERMS = AwsTerms(read_timeout_seconds=10.0, max_attempts=8)


def make_state(settings: Settings, clock: Clock, report: Callable[[str], None]) -> None:
    """Make the table that `state.url` names, and begin the state in it. It can be run again.

    Args:
        settings: the settings.
        clock: measures the waiting.
        report: gets a sentence about each step.

    Raises:
        SettingsInvalid: when the state is in no table, or the AWS credentials are of another
            account. Nothing was made.
        IvsUnavailable: when AWS STS does not say the account of the credentials.
        StateRefused: when a permission is missing, or the table that exists can't be used.
        StateUnavailable: when DynamoDB can't be called, or the table is not ready in time.
    """
    address = _address(settings)
    with closing(AwsClients(_TERMS, clock=clock)) as clients:
        _require_account(settings.ivs.account_id, clients, address)
        TableMaker(clients, address, clock, report).make()
    with closing(build_state(settings, clock)) as state:
        state.create()
    report("The table has a state.")


def _address(settings: Settings) -> TableAddress:
    scheme, _, rest = settings.state.url.partition(":")
    if scheme != "dynamodb":
        raise SettingsInvalid(
            f"state.url is {settings.state.url}, which needs nothing in AWS.",
            hint="To share the state among several machines, set state.url to"
            " dynamodb:REGION/TABLE.",
        )
    return TableAddress.parse(rest)


def _require_account(account_id: str, clients: AwsClients, address: TableAddress) -> None:
    """Check the account before anything is made in it. A stand-in for AWS has none."""
    if is_loopback_url(clients.endpoint(address.region, "dynamodb")):
        return
    found = clients.account_id(address.region)
    if found != account_id:
        raise SettingsInvalid(
            f"The AWS credentials are of account {found}, but ivs.account_id is {account_id}."
            " Nothing was made.",
            hint="Use credentials of that account, or correct ivs.account_id.",
        )
