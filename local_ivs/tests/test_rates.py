"""Each operation's documented rate over HTTP, with a manual clock."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import urllib3

from local_ivs.testing import LocalIvsServer
from test_protocol import SIGNED

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from local_ivs.testing import ManualClock

# None of these exists: a call that returns "not found" is counted like any other.
CHANNEL = "arn:aws:ivs:us-west-2:123456789012:channel/doesNotExist"
STREAM_KEY = "arn:aws:ivs:us-west-2:123456789012:stream-key/doesNotExist"
KEY_PAIR = "arn:aws:ivs:us-west-2:123456789012:playback-key/doesNotExist"
VIEWER = {"channelArn": CHANNEL, "viewerId": "alice"}

# Calls per second, from AWS's page "Service Quotas", and a request that the service model allows.
RATES: list[tuple[int, str, dict[str, Any]]] = [
    (5, "CreateChannel", {}),
    (5, "GetChannel", {"arn": CHANNEL}),
    (5, "BatchGetChannel", {"arns": [CHANNEL]}),
    (5, "ListChannels", {}),
    (5, "UpdateChannel", {"arn": CHANNEL}),
    (5, "DeleteChannel", {"arn": CHANNEL}),
    (5, "CreateStreamKey", {"channelArn": CHANNEL}),
    (5, "GetStreamKey", {"arn": STREAM_KEY}),
    (5, "BatchGetStreamKey", {"arns": [STREAM_KEY]}),
    (5, "ListStreamKeys", {"channelArn": CHANNEL}),
    (5, "DeleteStreamKey", {"arn": STREAM_KEY}),
    (5, "GetStream", {"channelArn": CHANNEL}),
    (5, "ListStreams", {}),
    (5, "StopStream", {"channelArn": CHANNEL}),
    (5, "PutMetadata", {"channelArn": CHANNEL, "metadata": "hello"}),
    (3, "ImportPlaybackKeyPair", {"publicKeyMaterial": "no key"}),
    (3, "GetPlaybackKeyPair", {"arn": KEY_PAIR}),
    (3, "ListPlaybackKeyPairs", {}),
    (3, "DeletePlaybackKeyPair", {"arn": KEY_PAIR}),
    (10, f"GET tags/{CHANNEL}", {}),
    (10, f"POST tags/{CHANNEL}", {"tags": {"a": "b"}}),
    (10, f"DELETE tags/{CHANNEL}?tagKeys=a", {}),
    (10, "StartViewerSessionRevocation", VIEWER),
    (2, "BatchStartViewerSessionRevocation", {"viewerSessions": [VIEWER]}),
]


@pytest.fixture
def server(tmp_path: Path, clock: ManualClock) -> Iterator[LocalIvsServer]:
    """Local IVS with AWS's rates."""
    with LocalIvsServer(tmp_path, clock, throttle=True) as server:
        yield server


def test_each_operation_is_throttled_above_its_documented_rate(
    server: LocalIvsServer, clock: ManualClock
) -> None:
    """For all 24 operations: the first call above the rate gets 429; one second later none does."""
    with urllib3.PoolManager(headers={"Authorization": SIGNED}) as pool:

        def throttled(call: str, body: dict[str, Any]) -> bool:
            method, _, path = call.rpartition(" ")
            url, data = f"{server.url}/{path}", json.dumps(body)
            response = pool.request(method or "POST", url, body=data, retries=False)
            error = response.headers.get("x-amzn-ErrorType")
            assert (response.status == 429) == (error == "ThrottlingException")
            assert response.status < 500
            return response.status == 429

        allowed = {call: 0 for _, call, _ in RATES}
        for _, call, body in RATES:
            while not throttled(call, body):
                allowed[call] += 1
        assert allowed == {call: rate for rate, call, _ in RATES}
        clock.advance(1)
        assert not any(throttled(call, body) for _, call, body in RATES)
    assert len(RATES) == 24
