"""The control API: faults, clock and last requests, over HTTP."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import boto3
import pytest
import urllib3
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError
from botocore.exceptions import ConnectionError as BotoConnectionError

from tests.support.local_ivs import LocalIvsServer

if TYPE_CHECKING:
    from mypy_boto3_ivs import IVSClient

    from tests.support.clock import ManualClock


def plan(server: LocalIvsServer, **fault: Any) -> None:
    """Plan a fault over HTTP."""
    response = urllib3.request("POST", f"{server.url}/_local/faults", json=fault)
    assert response.status == 201, response.data


def waiting(server: LocalIvsServer) -> list[dict[str, Any]]:
    """The faults that no call has met yet."""
    faults: list[dict[str, Any]] = urllib3.request("GET", f"{server.url}/_local/faults").json()[
        "faults"
    ]
    return faults


def test_an_operation_fails_as_often_as_planned(server: LocalIvsServer, ivs: IVSClient) -> None:
    """Twice ServiceUnavailable 503, then as ever; other operations are not touched."""
    plan(server, operation="BatchGetChannel", kind="error", error="ServiceUnavailable", times=2)
    arn = ivs.create_channel()["channel"]["arn"]
    for left in (1, 0):
        with pytest.raises(ClientError) as caught:
            ivs.batch_get_channel(arns=[arn])
        assert caught.value.response["Error"]["Code"] == "ServiceUnavailable"
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
        assert [fault["times"] for fault in waiting(server)] == ([left] if left else [])
    assert len(ivs.batch_get_channel(arns=[arn])["channels"]) == 1


def test_a_failed_call_has_no_effect(server: LocalIvsServer, ivs: IVSClient) -> None:
    """PendingVerification 403, and no channel."""
    plan(server, operation="CreateChannel", kind="error", error="PendingVerification")
    with pytest.raises(ivs.exceptions.PendingVerification):
        ivs.create_channel()
    assert ivs.list_channels()["channels"] == []


def test_a_star_is_any_operation_and_faults_come_in_order(
    server: LocalIvsServer, ivs: IVSClient
) -> None:
    """First planned, first met."""
    plan(server, operation="*", kind="error", error="AccessDeniedException")
    plan(server, operation="ListStreams", kind="error", error="ValidationException")
    with pytest.raises(ivs.exceptions.AccessDeniedException):
        ivs.list_streams()
    with pytest.raises(ivs.exceptions.ValidationException):
        ivs.list_streams()
    ivs.list_streams()


def test_a_slow_call_is_answered_late(server: LocalIvsServer, ivs: IVSClient) -> None:
    """0.3 s late, and rightly."""
    plan(server, operation="CreateChannel", kind="slow", seconds=0.3)
    began = time.monotonic()
    assert ivs.create_channel()["channel"]["arn"]
    assert 0.3 <= time.monotonic() - began < 5


def test_a_dropped_call_has_no_effect(server: LocalIvsServer, ivs: IVSClient) -> None:
    """The connection closes without an answer."""
    plan(server, operation="CreateChannel", kind="drop")
    with pytest.raises(ConnectionClosedError):
        ivs.create_channel()
    assert ivs.list_channels()["channels"] == []


def test_a_call_whose_answer_is_lost_has_its_effect(server: LocalIvsServer, ivs: IVSClient) -> None:
    """What every client has to be ready for: done, and not told."""
    plan(server, operation="CreateChannel", kind="lose_answer")
    with pytest.raises(ConnectionClosedError):
        ivs.create_channel(name="done")
    assert [channel["name"] for channel in ivs.list_channels()["channels"]] == ["done"]


def test_a_call_may_time_out_after_its_effect(server: LocalIvsServer, ivs: IVSClient) -> None:
    """Silence for longer than the client's read time-out."""
    plan(server, operation="CreateChannel", kind="lose_answer", seconds=1)
    hasty = boto3.client(
        "ivs",
        region_name="us-west-2",
        endpoint_url=server.url,
        aws_access_key_id="123456789012",
        aws_secret_access_key="secret",
        config=Config(read_timeout=0.2, retries={"total_max_attempts": 1}),
    )
    with pytest.raises((ReadTimeoutError, BotoConnectionError)):
        hasty.create_channel(name="done")
    hasty.close()
    assert [channel["name"] for channel in ivs.list_channels()["channels"]] == ["done"]


def test_a_bad_request_takes_no_fault(server: LocalIvsServer, ivs: IVSClient) -> None:
    """The fault waits for a call that would have been served."""
    plan(server, operation="CreateChannel", kind="error", error="ConflictException")
    with pytest.raises(ivs.exceptions.ValidationException):
        ivs.create_channel(name="a b")
    assert len(waiting(server)) == 1


def test_faults_are_forgotten_on_request(server: LocalIvsServer, ivs: IVSClient) -> None:
    """DELETE clears them; calls are served again."""
    plan(server, operation="*", kind="drop", times=100)
    assert urllib3.request("DELETE", f"{server.url}/_local/faults").status == 200
    assert waiting(server) == []
    ivs.list_channels()


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        ({}, "operation"),
        ({"operation": "NoSuch", "kind": "drop"}, "NoSuch"),
        ({"operation": "*", "kind": "explode"}, "slow, error, drop, lose_answer"),
        ({"operation": "*", "kind": "error"}, "ThrottlingException"),
        ({"operation": "*", "kind": "error", "error": "NoSuchException"}, "error must be one of"),
        ({"operation": "*", "kind": "slow", "seconds": -1}, "seconds"),
        ({"operation": "*", "kind": "slow", "seconds": 301}, "seconds"),
        ({"operation": "*", "kind": "slow", "seconds": "1"}, "seconds"),
        ({"operation": "*", "kind": "drop", "times": 0}, "times"),
        ({"operation": "*", "kind": "drop", "times": True}, "times"),
    ],
)
def test_a_fault_that_means_nothing_is_refused(
    server: LocalIvsServer, fault: dict[str, Any], named: str
) -> None:
    """400 with the rule, and nothing is planned."""
    response = urllib3.request("POST", f"{server.url}/_local/faults", json=fault)
    assert response.status == 400
    assert named in response.json()["error"]
    assert waiting(server) == []


def test_a_page_of_another_origin_cannot_use_the_control_api(server: LocalIvsServer) -> None:
    """A form's content type is refused, and no CORS header lets a script send another."""
    response = urllib3.request(
        "POST",
        f"{server.url}/_local/faults",
        body=b'{"operation": "*", "kind": "drop"}',
        headers={"Content-Type": "text/plain", "Origin": "https://evil.example"},
    )
    assert response.status == 400
    preflight = urllib3.request(
        "OPTIONS", f"{server.url}/_local/faults", headers={"Origin": "https://evil.example"}
    )
    assert "Access-Control-Allow-Origin" not in preflight.headers
    assert waiting(server) == []


def test_the_clock_can_be_moved_and_stays_moved(
    server: LocalIvsServer, ivs: IVSClient, clock: ManualClock, channel_arn: str
) -> None:
    """A stream that begins an hour ahead; the offset outlives the server."""
    response = urllib3.request("PUT", f"{server.url}/_local/clock", json={"offset_seconds": 3600})
    expected = {"now": "2027-01-15T09:00:00.000Z", "offset_seconds": 3600.0}
    assert response.json() == expected
    server.go_live(channel_arn)
    start = ivs.get_stream(channelArn=channel_arn)["stream"]["startTime"]
    assert start.isoformat() == "2027-01-15T09:00:00+00:00"
    folder = server.app.extensions["local_ivs_database"].path.parent
    with LocalIvsServer(folder, clock) as again:
        assert urllib3.request("GET", f"{again.url}/_local/clock").json() == expected
        back = urllib3.request("PUT", f"{again.url}/_local/clock", json={"offset_seconds": -0.5})
        assert back.json()["now"] == "2027-01-15T07:59:59.500Z"


@pytest.mark.parametrize("offset", ["1", None, True, 1e12, float("nan"), float("inf")])
def test_an_offset_that_is_no_time_is_refused(server: LocalIvsServer, offset: object) -> None:
    """A number of seconds, at most ten years; else the clock stays as it is."""
    response = urllib3.request("PUT", f"{server.url}/_local/clock", json={"offset_seconds": offset})
    assert response.status == 400
    now = urllib3.request("GET", f"{server.url}/_local/clock").json()
    assert now["offset_seconds"] == 0.0


def test_the_last_requests_are_told_without_urls_and_secrets(
    server: LocalIvsServer, ivs: IVSClient, channel_arn: str
) -> None:
    """Newest first: operation or route, caller, status and error; no token, no session."""
    url = ivs.get_channel(arn=channel_arn)["channel"]["playbackUrl"]
    urllib3.request("GET", f"{url}?token=secret-token")
    with pytest.raises(ClientError):
        ivs.get_channel(arn=channel_arn + "x")
    response = urllib3.request("GET", f"{server.url}/_local/requests")
    assert b"secret-token" not in response.data
    shown = [
        (each["method"], each["what"], each["status"], each["error"])
        for each in response.json()["requests"]
    ]
    assert shown == [
        ("POST", "GetChannel", 404, "ResourceNotFoundException"),
        ("GET", "/api/video/v1/<name>.m3u8", 404, ""),
        ("POST", "GetChannel", 200, ""),
        ("POST", "CreateChannel", 200, ""),
    ]
    latest = response.json()["requests"][0]
    assert (latest["account_id"], latest["region"]) == ("123456789012", "us-west-2")
    assert latest["at"] == "2027-01-15T08:00:00.000Z"
    assert latest["milliseconds"] >= 0
