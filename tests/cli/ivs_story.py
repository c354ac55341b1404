"""What Local IVS was asked, and what is to go wrong with it, for tests of commands."""

from __future__ import annotations

import urllib3

from tests.cli.conftest import Desk


def operations_asked(desk: Desk) -> list[str]:
    """The operations that Local IVS has answered, oldest first, by whoever asked."""
    response = urllib3.request("GET", f"{desk.ivs.url}/_local/requests", retries=False)
    assert response.status == 200, response.data
    return [request["what"] for request in reversed(response.json()["requests"])]


def plan_fault(desk: Desk, operation: str, kind: str, **members: object) -> None:
    """Let the operation's next call, or `times` of them, go wrong."""
    response = urllib3.request(
        "POST",
        f"{desk.ivs.url}/_local/faults",
        json={"operation": operation, "kind": kind, **members},
        retries=False,
    )
    assert response.status == 201, response.data


def deny(desk: Desk, operation: str) -> None:
    """Let the operation's next call be refused; nothing tries that again."""
    plan_fault(desk, operation, "error", error="AccessDeniedException")


def new_channel(desk: Desk, name: str, *, private: bool = True) -> str:
    """The ARN of a new channel."""
    client = desk.ivs.client()
    return client.create_channel(name=name, authorized=private)["channel"]["arn"]


def stream_key_of(desk: Desk, channel_arn: str) -> str:
    """The ARN of the channel's only stream key."""
    (summary,) = desk.ivs.client().list_stream_keys(channelArn=channel_arn)["streamKeys"]
    return summary["arn"]
