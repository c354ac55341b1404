"""The documented rates, with a manual clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from local_ivs.calls import Caller
from local_ivs.errors import ThrottlingError
from local_ivs.limits import CALLS_PER_SECOND, Rates
from local_ivs.operations import READING, WRITING
from local_ivs.testing import LocalIvsServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from local_ivs.testing import ManualClock

CALLER = Caller(region="us-west-2", account_id="123456789012")
MISSING_ARN = "arn:aws:ivs:us-west-2:123456789012:channel/doesNotExist"


@pytest.fixture
def server(tmp_path: Path, clock: ManualClock) -> Iterator[LocalIvsServer]:
    """Local IVS with AWS's rates."""
    with LocalIvsServer(tmp_path, clock, throttle=True) as server:
        yield server


def test_the_sixth_listing_within_a_second_is_throttled(
    server: LocalIvsServer, clock: ManualClock
) -> None:
    """429 ThrottlingException; one second after the first call it is accepted again."""
    ivs = server.client()
    for _ in range(5):
        ivs.list_channels()
    clock.advance(0.999)
    with pytest.raises(ClientError) as caught:
        ivs.list_channels()
    assert caught.value.response["Error"]["Code"] == "ThrottlingException"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 429
    clock.advance(0.001)
    ivs.list_channels()


def test_rates_are_per_operation_account_and_region(server: LocalIvsServer) -> None:
    """Other operations, accounts and regions are counted separately."""
    ivs = server.client()
    for _ in range(5):
        ivs.list_channels()
    ivs.list_streams()
    server.client("eu-west-1").list_channels()
    server.client(account="210987654321").list_channels()
    with pytest.raises(ClientError, match="ThrottlingException"):
        ivs.list_channels()


def test_a_throttled_call_has_no_effect(server: LocalIvsServer, clock: ManualClock) -> None:
    """The sixth channel isn't created."""
    ivs = server.client()
    for _ in range(5):
        ivs.create_channel()
    with pytest.raises(ClientError, match="ThrottlingException"):
        ivs.create_channel()
    clock.advance(1)
    assert len(ivs.list_channels()["channels"]) == 5


def test_moving_the_clock_back_does_not_throttle_for_long(
    server: LocalIvsServer, clock: ManualClock
) -> None:
    """Calls with a time in the future no longer count."""
    ivs = server.client()
    for _ in range(5):
        ivs.list_channels()
    clock.advance(-3600)
    ivs.list_channels()


def test_calls_in_another_order_than_their_times_share_the_rate() -> None:
    """As with threads: five calls, each 1 ms earlier than the last, are admitted; a sixth isn't."""
    rates = Rates()
    for late in range(5):
        rates.admit("GetChannel", CALLER, {}, 100.0 - late / 1000)
    with pytest.raises(ThrottlingError):
        rates.admit("GetChannel", CALLER, {}, 99.995)


def test_metadata_has_a_rate_per_channel() -> None:
    """Five per second into one channel, 155 per second into all channels of an account."""
    rates = Rates()

    def put(channel: int) -> None:
        rates.admit("PutMetadata", CALLER, {"channelArn": f"{MISSING_ARN}{channel}"}, 100.0)

    for _ in range(5):
        put(0)
    with pytest.raises(ThrottlingError, match=r"\b5\b"):
        put(0)
    for call in range(150):
        put(1 + call // 5)
    with pytest.raises(ThrottlingError, match=r"\b155\b"):
        put(99)


def test_every_served_operation_has_a_rate() -> None:
    """The rates list exactly the served operations."""
    assert set(CALLS_PER_SECOND) == set(READING) | set(WRITING)
    assert CALLS_PER_SECOND["ImportPlaybackKeyPair"] == 3
    assert CALLS_PER_SECOND["StartViewerSessionRevocation"] == 10
    assert CALLS_PER_SECOND["BatchStartViewerSessionRevocation"] == 2


@given(st.lists(st.floats(min_value=0, max_value=1.5), max_size=60))
def test_no_second_admits_more_than_the_rate(pauses: list[float]) -> None:
    """For any pauses between calls, any window of one second contains at most five calls."""
    rates, now, admitted = Rates(), 1_000.0, list[float]()
    for pause in pauses:
        now += pause
        try:
            rates.admit("GetChannel", CALLER, {}, now)
        except ThrottlingError:
            continue
        admitted.append(now)
    for first, sixth in zip(admitted, admitted[5:], strict=False):
        assert sixth >= first + 1.0
