"""Tables of DynamoDB in a stand-in, with a state in each."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from random import Random

from tests.support.aws import EXAMPLE_ACCOUNT, EndpointSession
from tests.support.clock import ManualClock
from tokensvc.arns import Region
from tokensvc.aws import AwsClients, AwsTerms
from tokensvc.clock import Clock
from tokensvc.state.dynamodb import DynamoDbState
from tokensvc.state.dynamodb_address import TableAddress
from tokensvc.state.dynamodb_creation import TableMaker

ONE_TRY = AwsTerms(connect_timeout_seconds=1.0, read_timeout_seconds=5.0, max_attempts=1)
REGION = Region("us-west-2")


@dataclass
class Table:
    """A table in the stand-in at `url`.

    Attributes:
        url: the endpoint of DynamoDB.
        address: the region and the name of the table.
        opened: closes the states that were opened.
    """

    url: str
    address: TableAddress = field(
        default_factory=lambda: TableAddress(REGION, f"state-{secrets.token_hex(6)}")
    )
    opened: ExitStack = field(default_factory=ExitStack)
    _clients: dict[tuple[str, AwsTerms], AwsClients] = field(default_factory=dict)

    def clients(self, url: str | None = None, terms: AwsTerms = ONE_TRY) -> AwsClients:
        """Clients of DynamoDB at that URL; by default they try once.

        All states share them, because a client takes as long to create as many calls of it.
        """
        at = (url or self.url, terms)
        if at not in self._clients:
            make_session = partial(EndpointSession, endpoint_url=at[0])
            self._clients[at] = AwsClients(terms, make_session)
        return self._clients[at]

    def make(self) -> list[str]:
        """Make the table. Returns what was reported."""
        sentences: list[str] = []
        TableMaker(self.clients(), self.address, ManualClock(), sentences.append).make()
        return sentences

    def state(
        self, url: str | None = None, *, terms: AwsTerms = ONE_TRY, clock: Clock | None = None
    ) -> DynamoDbState:
        """A state in the table, as another process would open it, through a proxy at that URL."""
        return self.opened.enter_context(
            closing(
                DynamoDbState(
                    self.address,
                    self.clients(url, terms),
                    self.clients(url, terms),
                    clock or ManualClock(),
                    EXAMPLE_ACCOUNT,
                    Random(1),  # noqa: S311 # Spreads pauses.
                )
            )
        )


@contextmanager
def table_with_state(url: str) -> Iterator[Table]:
    """A new table with a state in it, whose states are closed when the block ends."""
    table = Table(url)
    with table.opened:
        table.make()
        table.state().create()
        yield table
