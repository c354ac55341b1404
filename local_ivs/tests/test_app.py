"""The application around the API: failures and limits."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
import urllib3
from botocore.exceptions import ClientError

from local_ivs.testing import LocalIvsServer, ManualClock

if TYPE_CHECKING:
    from pathlib import Path


def test_every_caller_gets_an_error_that_names_the_damaged_state_file(tmp_path: Path) -> None:
    """500 InternalServerException; nothing is written to the file."""
    state = tmp_path / "local-ivs.sqlite3"
    state.write_bytes(b"damaged" * 1000)
    with LocalIvsServer(tmp_path) as server:
        response = urllib3.request("GET", f"{server.url}/healthz", retries=False)
        assert response.status == 500
        assert response.headers["x-amzn-ErrorType"] == "InternalServerException"
        assert str(state) in response.json()["exceptionMessage"]
        playing = urllib3.request(
            "GET", f"{server.url}/api/video/v1/us-west-2.123456789012.channel.x.m3u8"
        )
        assert playing.status == 500
        assert str(state) in playing.json()["exceptionMessage"]
    assert state.read_bytes() == b"damaged" * 1000


def test_a_damaged_state_file_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One line without a traceback: AWS's clients don't show the text of such an error."""
    state = tmp_path / "local-ivs.sqlite3"
    state.write_bytes(b"damaged" * 1000)
    with caplog.at_level(logging.ERROR), LocalIvsServer(tmp_path) as server:
        urllib3.request("GET", f"{server.url}/healthz", retries=False)
    (record,) = caplog.records
    assert str(state) in record.message
    assert record.exc_info is None


def test_a_replaced_state_file_is_used_without_a_restart(tmp_path: Path) -> None:
    """Requests succeed again after the damaged file is deleted."""
    state = tmp_path / "local-ivs.sqlite3"
    state.write_bytes(b"damaged" * 1000)
    with LocalIvsServer(tmp_path) as server:
        assert urllib3.request("GET", f"{server.url}/healthz").status == 500
        state.unlink()
        assert urllib3.request("GET", f"{server.url}/healthz").status == 200


def test_every_response_is_dated_by_the_clock_of_local_ivs(tmp_path: Path) -> None:
    """Clients compare their own clock with this Date, also when they are refused."""
    with LocalIvsServer(tmp_path, ManualClock()) as server:
        refused = urllib3.request("POST", f"{server.url}/ListPlaybackKeyPairs", body=b"{}")
        server.set_clock_offset(-3600)
        played = urllib3.request("GET", f"{server.url}/healthz")
    assert refused.status == 403
    assert refused.headers["x-amzn-RequestId"]
    dates = (refused.headers["Date"], played.headers["Date"])
    assert dates == ("Fri, 15 Jan 2027 08:00:00 GMT", "Fri, 15 Jan 2027 07:00:00 GMT")


def test_an_unexpected_exception_is_a_server_error_of_the_api(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An SDK gets a modeled 500; the log contains the exception, the response doesn't."""
    server = LocalIvsServer(tmp_path)

    def fail() -> str:
        raise ZeroDivisionError("inner secret")

    server.app.add_url_rule("/fail", view_func=fail)
    with caplog.at_level(logging.ERROR), server:
        response = urllib3.request("GET", f"{server.url}/fail", retries=False)
    assert response.status == 500
    assert response.headers["x-amzn-ErrorType"] == "InternalServerException"
    assert b"inner secret" not in response.data
    assert "inner secret" in caplog.text


def test_other_methods_on_the_routes_beside_the_api_are_unknown_operations(tmp_path: Path) -> None:
    """POST /healthz is not an operation of IVS."""
    with LocalIvsServer(tmp_path) as server:
        response = urllib3.request("POST", f"{server.url}/healthz", retries=False)
        assert response.headers["x-amzn-ErrorType"] == "UnknownOperationException"


def test_clients_see_failures_as_client_errors(tmp_path: Path) -> None:
    """boto3 reads the error name of a failure of Local IVS itself."""
    (tmp_path / "local-ivs.sqlite3").write_bytes(b"damaged" * 1000)
    with LocalIvsServer(tmp_path) as server:
        ivs = server.client()
        with pytest.raises(ClientError, match="InternalServerException"):
            ivs.list_channels()
