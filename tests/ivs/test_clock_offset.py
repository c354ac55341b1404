"""The offset of a clock from IVS's clock, by the dates of IVS's answers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from local_ivs.testing import LocalIvsServer

from tests.support.aws import set_aws_endpoint
from tests.support.clock import ManualClock
from tokensvc.arns import Region
from tokensvc.aws import AwsClients, AwsTerms
from tokensvc.ivs.clock_offset import clock_offset_seconds, nearest_offset

OREGON = Region("us-west-2")


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[AwsClients]:
    """Clients of a Local IVS, whose answers have dates from this machine's clock."""
    with LocalIvsServer(tmp_path) as server:
        set_aws_endpoint(monkeypatch, tmp_path, server.url)
        clients = AwsClients(AwsTerms())
        yield clients
        clients.close()


@pytest.mark.parametrize(
    ("sent_at", "ivs_at", "received_at", "offset"),
    [
        (100.2, 100, 100.4, 0.0),
        (100.9, 100, 101.9, 0.0),  # IVS answered at some time in the second 100.
        (111.0, 100, 111.2, 10.0),  # At least 10 s ahead: 100 may be 100.99.
        (90.0, 100, 90.5, -9.5),
        (90.0, 100, 105.0, 0.0),  # A slow answer shows no certain offset.
    ],
    ids=["exact", "within the second", "ahead", "behind", "slow"],
)
def test_the_offset_is_the_smallest_that_explains_the_answer(
    sent_at: float, ivs_at: float, received_at: float, offset: float
) -> None:
    """A Date has whole seconds, and the call has a duration."""
    assert nearest_offset(sent_at, ivs_at, received_at) == pytest.approx(offset)


@pytest.mark.parametrize("off_seconds", [-3_600, 0, 3_600])
def test_a_clock_is_compared_with_the_date_of_a_real_answer(
    clients: AwsClients, off_seconds: int
) -> None:
    """An hour behind, correct, and an hour ahead."""
    clock = ManualClock(time.time() + off_seconds)

    assert clock_offset_seconds(clients, OREGON, clock) == pytest.approx(off_seconds, abs=60)
