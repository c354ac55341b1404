"""The control API over HTTP: faults, clock and recent requests."""

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

from local_ivs.testing import LocalIvsServer

if TYPE_CHECKING:
    from mypy_boto3_ivs import IVSClient

    from local_ivs.testing import ManualClock


MISSING_ARN = "arn:aws:ivs:us-west-2:123456789012:channel/doesNotExist"
HUGE = 10**400  # Larger than any float.
ANY_SIGNATURE = (
    "AWS4-HMAC-SHA256 Credential=any/20270115/us-west-2/ivs/aws4_request,"
    " SignedHeaders=host, Signature=any"
)
LIST_CHANNELS = (
    b"POST /ListChannels HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n"
    b"Authorization: AWS4-HMAC-SHA256 Credential=any/20270115/us-west-2/ivs/aws4_request, "
    b"SignedHeaders=host, Signature=any\r\n\r\n"
)


def plan(server: LocalIvsServer, **fault: Any) -> None:
    """Plan a fault over HTTP."""
    response = urllib3.request("POST", f"{server.url}/_local/faults", json=fault)
    assert response.status == 201, response.data


def pending_faults(server: LocalIvsServer) -> list[dict[str, Any]]:
    """The faults that still apply to future calls."""
    faults: list[dict[str, Any]] = urllib3.request("GET", f"{server.url}/_local/faults").json()[
        "faults"
    ]
    return faults


def times_of(server: LocalIvsServer) -> list[int]:
    """How many more calls each pending fault applies to."""
    return [fault["times"] for fault in pending_faults(server)]


def test_an_operation_fails_as_many_times_as_planned(
    server: LocalIvsServer, ivs: IVSClient
) -> None:
    """Two calls get ServiceUnavailable 503, then it succeeds; other operations are unaffected."""
    plan(server, operation="BatchGetChannel", kind="error", error="ServiceUnavailable", times=2)
    arn = ivs.create_channel()["channel"]["arn"]
    for remaining in (1, 0):
        with pytest.raises(ClientError) as caught:
            ivs.batch_get_channel(arns=[arn])
        assert caught.value.response["Error"]["Code"] == "ServiceUnavailable"
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
        assert times_of(server) == ([remaining] if remaining else [])
    assert len(ivs.batch_get_channel(arns=[arn])["channels"]) == 1


def test_a_failed_call_has_no_effect(server: LocalIvsServer, ivs: IVSClient) -> None:
    """PendingVerification 403, and no channel is created."""
    plan(server, operation="CreateChannel", kind="error", error="PendingVerification")
    with pytest.raises(ivs.exceptions.PendingVerification):
        ivs.create_channel()
    assert ivs.list_channels()["channels"] == []


def test_a_star_matches_any_operation_and_faults_apply_in_order(
    server: LocalIvsServer, ivs: IVSClient
) -> None:
    """The fault that was planned first applies first."""
    plan(server, operation="*", kind="error", error="AccessDeniedException")
    plan(server, operation="ListStreams", kind="error", error="ValidationException")
    with pytest.raises(ivs.exceptions.AccessDeniedException):
        ivs.list_streams()
    with pytest.raises(ivs.exceptions.ValidationException):
        ivs.list_streams()
    ivs.list_streams()


def test_a_slow_call_succeeds_after_the_delay(server: LocalIvsServer, ivs: IVSClient) -> None:
    """After 0.3 s."""
    plan(server, operation="CreateChannel", kind="slow", seconds=0.3)
    began = time.monotonic()
    assert ivs.create_channel()["channel"]["arn"]
    assert 0.3 <= time.monotonic() - began < 5


def test_a_dropped_call_has_no_effect(server: LocalIvsServer, ivs: IVSClient) -> None:
    """The connection closes without a response."""
    plan(server, operation="CreateChannel", kind="drop")
    with pytest.raises(ConnectionClosedError):
        ivs.create_channel()
    assert ivs.list_channels()["channels"] == []


def test_a_call_whose_response_is_lost_has_its_effect(
    server: LocalIvsServer, ivs: IVSClient
) -> None:
    """Every client must handle a call that succeeded but returned nothing."""
    plan(server, operation="CreateChannel", kind="lose_response")
    with pytest.raises(ConnectionClosedError):
        ivs.create_channel(name="done")
    assert [channel["name"] for channel in ivs.list_channels()["channels"]] == ["done"]


def test_an_error_response_can_be_lost_too(server: LocalIvsServer, ivs: IVSClient) -> None:
    """The fault applies to a call that would return 404, and the client gets no 404."""
    plan(server, operation="DeleteChannel", kind="lose_response")
    with pytest.raises(ConnectionClosedError):
        ivs.delete_channel(arn=MISSING_ARN)
    assert pending_faults(server) == []
    with pytest.raises(ivs.exceptions.ResourceNotFoundException):
        ivs.delete_channel(arn=MISSING_ARN)


def test_a_planned_failure_looks_like_a_failure_of_ivs(
    server: LocalIvsServer, ivs: IVSClient
) -> None:
    """InternalServerException as in the model; botocore doesn't find its text."""
    plan(server, operation="ListChannels", kind="error", error="InternalServerException")
    with pytest.raises(ivs.exceptions.InternalServerException) as caught:
        ivs.list_channels()
    assert caught.value.response["Error"]["Message"] == ""
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500


def test_an_error_can_be_delayed(server: LocalIvsServer, ivs: IVSClient) -> None:
    """The error comes after 0.3 s."""
    plan(server, operation="ListChannels", kind="error", error="ServiceUnavailable", seconds=0.3)
    began = time.monotonic()
    with pytest.raises(ClientError, match="ServiceUnavailable"):
        ivs.list_channels()
    assert 0.3 <= time.monotonic() - began < 5


def test_a_client_that_closes_its_connection_first_causes_no_error(
    server: LocalIvsServer, caplog: pytest.LogCaptureFixture
) -> None:
    """The connection is already closed when the fault closes it: no error is logged."""
    plan(server, operation="ListChannels", kind="lose_response", seconds=0.2)
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port)) as connection:
        connection.sendall(LIST_CHANNELS)
        while pending_faults(server):
            time.sleep(0.01)
        # Closing resets the connection instead of ending it (SO_LINGER: on, 0 s).
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    while not urllib3.request("GET", f"{server.url}/_local/requests").json()["requests"]:
        time.sleep(0.01)
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []


def test_a_call_can_time_out_after_its_effect(server: LocalIvsServer, ivs: IVSClient) -> None:
    """No response within the client's read timeout."""
    plan(server, operation="CreateChannel", kind="lose_response", seconds=1)
    impatient = boto3.client(
        "ivs",
        region_name="us-west-2",
        endpoint_url=server.url,
        aws_access_key_id="123456789012",
        aws_secret_access_key="secret",
        config=Config(read_timeout=0.2, retries={"total_max_attempts": 1}),
    )
    with pytest.raises((ReadTimeoutError, BotoConnectionError)):
        impatient.create_channel(name="done")
    impatient.close()
    give_up_at = time.monotonic() + 20
    # On a busy machine, the client may give up before the server has read the request.
    while not (channels := ivs.list_channels()["channels"]):
        assert time.monotonic() < give_up_at
        time.sleep(0.05)
    assert [channel["name"] for channel in channels] == ["done"]


def test_an_invalid_request_triggers_no_fault(server: LocalIvsServer, ivs: IVSClient) -> None:
    """The fault stays pending until a valid call."""
    plan(server, operation="CreateChannel", kind="error", error="ConflictException")
    with pytest.raises(ivs.exceptions.ValidationException):
        ivs.create_channel(name="a b")
    assert len(pending_faults(server)) == 1


def test_pending_faults_can_be_deleted(server: LocalIvsServer, ivs: IVSClient) -> None:
    """After DELETE, calls succeed again."""
    plan(server, operation="*", kind="drop", times=100)
    assert urllib3.request("DELETE", f"{server.url}/_local/faults").status == 200
    assert pending_faults(server) == []
    ivs.list_channels()


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        ({}, "operation"),
        ({"operation": "NoSuch", "kind": "drop"}, "NoSuch"),
        ({"operation": "*", "kind": "explode"}, "slow, error, drop, lose_response"),
        ({"operation": "*", "kind": "error"}, "ThrottlingException"),
        ({"operation": "*", "kind": "error", "error": "NoSuchException"}, "PendingVerification"),
        ({"operation": "*", "kind": "slow", "seconds": -1}, "seconds"),
        ({"operation": "*", "kind": "slow", "seconds": 301}, "seconds"),
        ({"operation": "*", "kind": "slow", "seconds": "1"}, "seconds"),
        ({"operation": "*", "kind": "drop", "times": 0}, "times"),
        ({"operation": "*", "kind": "drop", "times": True}, "times"),
        ({"operation": "*", "kind": "drop", "times": 10**30}, "times"),
        ({"operation": "*", "kind": "slow", "seconds": HUGE}, "seconds"),
        ({"operation": "*", "kind": "slow", "second": 5}, "second"),
        ({"operation": "*", "kind": "slow", "error": "ThrottlingException"}, "error"),
    ],
)
def test_an_invalid_fault_is_refused(
    server: LocalIvsServer, fault: dict[str, Any], named: str
) -> None:
    """400, the error names the member or the allowed values, and nothing is planned."""
    response = urllib3.request("POST", f"{server.url}/_local/faults", json=fault)
    assert response.status == 400
    assert named in response.json()["error"]
    assert pending_faults(server) == []


def test_a_page_of_another_origin_cannot_use_the_control_api(server: LocalIvsServer) -> None:
    """A form's content type is refused, and no CORS header allows a script to send another one."""
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
    assert pending_faults(server) == []


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "fault"), ("POST", "clock"), ("GET", "clock/")]
)
def test_an_unknown_call_of_the_control_api_names_the_call_that_lists_all(
    server: LocalIvsServer, method: str, path: str
) -> None:
    """404 in the control API's format, not an error of the IVS API."""
    response = urllib3.request(method, f"{server.url}/_local/{path}")
    assert response.status == 404
    document = response.json()
    assert set(document) == {"error"}
    assert f"{method} /_local/{path} " in document["error"]
    assert "`GET /_local/`" in document["error"]


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8001", "127.0.0.1.evil.example"])
def test_dns_rebinding_cannot_reach_the_control_api(server: LocalIvsServer, host: str) -> None:
    """DNS rebinding makes any page same-origin, but the Host header still has its name."""
    for path in ("/_local/faults", "/_local/overview", "/"):
        response = urllib3.request("GET", server.url + path, headers={"Host": host})
        assert response.status == 403
        assert "http://127.0.0.1" in response.json()["error"]


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8001", "127.0.0.1.evil.example"])
def test_dns_rebinding_cannot_reach_the_api(server: LocalIvsServer, host: str) -> None:
    """403 as an error of the API, and nothing is done, although any signature is valid."""
    headers = {"Host": host, "Authorization": ANY_SIGNATURE, "Content-Type": "application/json"}
    for operation in ("CreateChannel", "ListChannels"):
        url = f"{server.url}/{operation}"
        response = urllib3.request("POST", url, json={}, headers=headers)
        assert response.status == 403
        assert response.headers["x-amzn-ErrorType"] == "AccessDeniedException"
        assert "http://127.0.0.1" in response.json()["exceptionMessage"]
    assert server.client().list_channels()["channels"] == []


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:9", "127.0.0.1", "[::1]:8001", "10.0.0.7"]
)
def test_the_apis_are_served_under_any_ip_address_and_as_localhost(
    server: LocalIvsServer, host: str
) -> None:
    """DNS can't point these names elsewhere."""
    response = urllib3.request("GET", f"{server.url}/_local/faults", headers={"Host": host})
    assert response.status == 200
    headers = {"Host": host, "Authorization": ANY_SIGNATURE}
    response = urllib3.request("POST", f"{server.url}/ListChannels", json={}, headers=headers)
    assert response.status == 200


@pytest.mark.parametrize(
    "body",
    [b"[" * 200_000, b'{"channel_arn": "\\ud800", "live": true}', b"\xff", b""],
    ids=lambda body: str(body[:25]),
)
def test_a_body_that_is_not_a_json_object_is_refused(server: LocalIvsServer, body: bytes) -> None:
    """400 for deep nesting, an unpaired surrogate, bytes that aren't UTF-8, and an empty body."""
    headers = {"Content-Type": "application/json"}
    url = f"{server.url}/_local/streams"
    response = urllib3.request("PUT", url, body=body, headers=headers)
    assert response.status == 400
    document = response.json()
    assert set(document) == {"error"}
    assert "Content-Type: application/json" in document["error"]


def test_the_offset_of_the_clock_survives_the_server(
    server: LocalIvsServer, ivs: IVSClient, clock: ManualClock, channel_arn: str
) -> None:
    """A stream starts an hour ahead; a restarted server still has the offset."""
    response = urllib3.request("PUT", f"{server.url}/_local/clock", json={"offset_seconds": 3600})
    expected = {"now": "2027-01-15T09:00:00.000Z", "offset_seconds": 3600.0}
    assert response.json() == expected
    server.go_live(channel_arn)
    start = ivs.get_stream(channelArn=channel_arn)["stream"]["startTime"]
    assert start.isoformat() == "2027-01-15T09:00:00+00:00"
    folder = server.database.path.parent
    with LocalIvsServer(folder, clock) as restarted:
        assert urllib3.request("GET", f"{restarted.url}/_local/clock").json() == expected
        back = urllib3.request(
            "PUT", f"{restarted.url}/_local/clock", json={"offset_seconds": -0.5}
        )
        assert back.json()["now"] == "2027-01-15T07:59:59.500Z"


@pytest.mark.parametrize(
    "offset",
    ["1", None, True, 1e12, pytest.param(HUGE, id="huge"), float("nan"), float("inf")],
)
def test_an_invalid_clock_offset_is_refused(server: LocalIvsServer, offset: object) -> None:
    """It must be a number of seconds, at most ten years; otherwise the clock is unchanged."""
    response = urllib3.request("PUT", f"{server.url}/_local/clock", json={"offset_seconds": offset})
    assert response.status == 400
    now = urllib3.request("GET", f"{server.url}/_local/clock").json()
    assert now["offset_seconds"] == 0.0


def test_recent_requests_are_listed_without_urls_and_secrets(
    server: LocalIvsServer, ivs: IVSClient, channel_arn: str
) -> None:
    """Newest first: operation or route, caller, status and error; no token and no session ID."""
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
