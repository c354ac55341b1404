"""A custody in moto with faults, of either kind, for tests that are the same for both."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial

from tests.support.aws_faults import AwsFaults
from tests.support.clock import ManualClock
from tokensvc.arns import Region
from tokensvc.aws import AwsClients, AwsTerms
from tokensvc.keyring.custody.kms import KmsCustody
from tokensvc.keyring.custody.secrets_manager import SecretsManagerCustody

REGION = Region("eu-west-1")
ONE_TRY = AwsTerms(read_timeout_seconds=10.0, max_attempts=1)
HASTY = AwsTerms(connect_timeout_seconds=0.5, read_timeout_seconds=1.0, max_attempts=1)

AwsCustody = SecretsManagerCustody | KmsCustody


@dataclass(frozen=True)
class Place:
    """One process with a custody in AWS.

    Attributes:
        clients: its clients, which try each call once.
        clock: its clock.
        custody: the custody.
        faults: the faults of its calls.
        other: the custody of another process, without faults.
    """

    clients: AwsClients
    clock: ManualClock
    custody: AwsCustody
    faults: AwsFaults
    other: AwsCustody


@contextmanager
def place_of(kind: str, terms: AwsTerms = ONE_TRY) -> Iterator[Place]:
    """A process with a custody of that kind, `kms` or `secretsmanager`."""
    clock = ManualClock(time.time())  # As that of moto, which sets the dates of deletions.
    with closing(AwsClients(terms)) as clients, closing(AwsClients(AwsTerms())) as others:
        client = clients.kms(REGION) if kind == "kms" else clients.secrets_manager(REGION)
        yield Place(
            clients,
            clock,
            _custody(kind, clients, clock),
            AwsFaults(client),
            _custody(kind, others, clock),
        )


def _custody(kind: str, clients: AwsClients, clock: ManualClock) -> AwsCustody:
    if kind == "kms":
        return KmsCustody(partial(clients.kms, REGION), REGION, "alias/tokensvc/", clock)
    client = partial(clients.secrets_manager, REGION)
    return SecretsManagerCustody(client, REGION, "tokensvc/", clock)
