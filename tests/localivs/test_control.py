"""The control API: faults, clock and last requests, over HTTP."""

from __future__ import annotations

import socket
import struct
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

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


MISSING_ARN = "arn:aws:ivs:us-west-2:123456789012:channel/doesNotExist"
HUGE = 10**400  # No float is that large.
LIST_CHANNELS = (
    b"POST /ListChannels HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n"
    b"Authorization: AWS4-HMAC-SHA256 Credential=any/20270115/us-west-2/ivs/aws4_request, "
    b"SignedHeaders=host, Signature=any\r\n\r\n"
)


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


def test_a_refusal_that_is_lost_is_lost_too(server: LocalIvsServer, ivs: IVSClient) -> None:
    """The network doesn't look at what it loses: the call met its fault, and got no 404."""
    plan(server, operation="DeleteChannel", kind="lose_answer")
    with pytest.raises(ConnectionClosedError):
        ivs.delete_channel(arn=MISSING_ARN)
    assert waiting(server) == []
    with pytest.raises(ivs.exceptions.ResourceNotFoundException):
        ivs.delete_channel(arn=MISSING_ARN)


def test_a_planned_failure_of_ivs_looks_like_one(server: LocalIvsServer, ivs: IVSClient) -> None:
    """InternalServerException as the model has it, whose text botocore doesn't find."""
    plan(server, operation="ListChannels", kind="error", error="InternalServerException")
    with pytest.raises(ivs.exceptions.InternalServerException) as caught:
        ivs.list_channels()
    assert caught.value.response["Error"]["Message"] == ""
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500


def test_a_call_may_be_refused_late(server: LocalIvsServer, ivs: IVSClient) -> None:
    """0.3 s, then the error."""
    plan(server, operation="ListChannels", kind="error", error="ServiceUnavailable", seconds=0.3)
    began = time.monotonic()
    with pytest.raises(ClientError, match="ServiceUnavailable"):
        ivs.list_channels()
    assert 0.3 <= time.monotonic() - began < 5


def test_a_client_that_hangs_up_before_its_answer_is_lost_is_no_failure(
    server: LocalIvsServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Its connection is gone when it is to be closed: nothing is logged as an error."""
    plan(server, operation="ListChannels", kind="lose_answer", seconds=0.2)
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port)) as connection:
        connection.sendall(LIST_CHANNELS)
        while waiting(server):
            time.sleep(0.01)
        # Closing resets the connection instead of ending it (SO_LINGER: on, 0 s).
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    while not urllib3.request("GET", f"{server.url}/_local/requests").json()["requests"]:
        time.sleep(0.01)
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []


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
        ({"operation": "*", "kind": "drop", "times": 10**30}, "times"),
        ({"operation": "*", "kind": "slow", "seconds": HUGE}, "seconds"),
        ({"operation": "*", "kind": "slow", "second": 5}, "second"),
        ({"operation": "*", "kind": "slow", "error": "ThrottlingException"}, "kind error"),
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


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "fault"), ("POST", "clock"), ("GET", "clock/")]
)
def test_what_the_control_api_does_not_have_leads_to_what_it_has(
    server: LocalIvsServer, method: str, path: str
) -> None:
    """404 in its own form: who is here looks for no operation of AWS."""
    response = urllib3.request(method, f"{server.url}/_local/{path}")
    assert response.status == 404
    assert response.json()["error"] == (
        f"There is no {method} /_local/{path}; GET /_local/ lists what there is."
    )


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8001", "127.0.0.1.evil.example"])
def test_a_page_whose_name_was_pointed_here_cannot_use_the_control_api(
    server: LocalIvsServer, host: str
) -> None:
    """DNS rebinding makes any page same-origin, but its name stays in the Host header."""
    for path in ("/_local/faults", "/_local/overview", "/"):
        response = urllib3.request("GET", server.url + path, headers={"Host": host})
        assert response.status == 403
        assert "http://127.0.0.1" in response.json()["error"]


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:9", "127.0.0.1", "[::1]:8001", "10.0.0.7"]
)
def test_the_control_api_is_there_by_any_address_and_as_localhost(
    server: LocalIvsServer, host: str
) -> None:
    """No name server can point these elsewhere."""
    response = urllib3.request("GET", f"{server.url}/_local/faults", headers={"Host": host})
    assert response.status == 200


@pytest.mark.parametrize(
    "body",
    [b"[" * 200_000, b'{"channel_arn": "\\ud800", "live": true}', b"\xff", b""],
    ids=lambda body: str(body[:25]),
)
def test_what_is_no_json_object_is_refused(server: LocalIvsServer, body: bytes) -> None:
    """400, however odd: nested too deeply, half of a surrogate pair, no UTF-8, nothing."""
    headers = {"Content-Type": "application/json"}
    url = f"{server.url}/_local/streams"
    response = urllib3.request("PUT", url, body=body, headers=headers)
    assert (response.status, response.json()) == (
        400,
        {"error": "Send a JSON object with Content-Type: application/json."},
    )


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


@pytest.mark.parametrize(
    "offset",
    ["1", None, True, 1e12, pytest.param(HUGE, id="huge"), float("nan"), float("inf")],
)
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
