"""Helpers for tests of commands: resources in Local IVS, its faults, and the calls that it got."""

from __future__ import annotations

import urllib3

from tests.cli.conftest import Desk


def called_operations(desk: Desk) -> list[str]:
    """The operations that Local IVS has answered, oldest first, for any client."""
    response = urllib3.request("GET", f"{desk.ivs.url}/_local/requests", retries=False)
    assert response.status == 200, response.data
    return [request["what"] for request in reversed(response.json()["requests"])]


def plan_fault(desk: Desk, operation: str, kind: str, **members: object) -> None:
    """Plan a fault for the operation's next call, or for the next `times` calls."""
    response = urllib3.request(
        "POST",
        f"{desk.ivs.url}/_local/faults",
        json={"operation": operation, "kind": kind, **members},
        retries=False,
    )
    assert response.status == 201, response.data


def deny(desk: Desk, operation: str) -> None:
    """Deny the operation's next call; no client retries a denied call."""
    plan_fault(desk, operation, "error", error="AccessDeniedException")


def new_channel(desk: Desk, name: str, *, private: bool = True) -> str:
    """Create a channel and return its ARN."""
    client = desk.ivs.client()
    return client.create_channel(name=name, authorized=private)["channel"]["arn"]


def stream_key_of(desk: Desk, channel_arn: str) -> str:
    """The ARN of the channel's only stream key."""
    (summary,) = desk.ivs.client().list_stream_keys(channelArn=channel_arn)["streamKeys"]
    return summary["arn"]
