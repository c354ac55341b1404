"""No test can connect to another machine by accident."""

from __future__ import annotations

import socket

import boto3
import pytest
from botocore.config import Config
from pytest_socket import SocketConnectBlockedError

pytestmark = pytest.mark.filterwarnings("ignore:A test tried to use socket:UserWarning")

OTHER_HOST = "192.0.2.1"  # For documentation only (RFC 5737).


def test_a_connection_to_another_host_is_refused() -> None:
    """Before a packet is sent."""
    with socket.socket() as other, pytest.raises(SocketConnectBlockedError):
        other.connect((OTHER_HOST, 443))


def test_a_call_to_aws_is_refused() -> None:
    """Also in a thread or in a fixture: the refusal is in `socket.connect` itself."""
    client = boto3.client(
        "ivs",
        region_name="us-west-2",
        endpoint_url=f"http://{OTHER_HOST}",
        aws_access_key_id="example",
        aws_secret_access_key="example",
        config=Config(retries={"total_max_attempts": 1}),
    )
    with pytest.raises(Exception, match="A test tried to use socket"):
        client.list_channels()
    client.close()


def test_loopback_can_be_connected_to() -> None:
    """Every test server listens there."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname()).close()
