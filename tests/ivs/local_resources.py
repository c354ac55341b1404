"""A channel in Local IVS and AWS clients for it, for tests of functions that commands call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import urllib3
from local_ivs.testing import LocalIvsServer

from tests.support.aws import set_aws_endpoint
from tokensvc.arns import ChannelArn
from tokensvc.aws import AwsClients, AwsTerms


@dataclass(frozen=True)
class LocalChannel:
    """A channel in Local IVS.

    Attributes:
        server: Local IVS.
        clients: AWS clients for it, without retries.
        arn: the channel's ARN.
    """

    server: LocalIvsServer
    clients: AwsClients
    arn: ChannelArn

    def is_private(self) -> bool:
        """Whether playback needs a token."""
        return self.server.client().get_channel(arn=str(self.arn))["channel"]["authorized"]

    def is_live(self) -> bool:
        """Whether the channel has a stream."""
        return bool(self.server.client().list_streams()["streams"])

    def stream_keys(self) -> list[str]:
        """The ARNs of the channel's stream keys."""
        listed = self.server.client().list_stream_keys(channelArn=str(self.arn))
        return [stream_key["arn"] for stream_key in listed["streamKeys"]]

    def go_live(self) -> None:
        """Start a stream."""
        self.server.go_live(str(self.arn))

    def plan_error(self, operation: str, error: str, times: int = 1) -> None:
        """Let Local IVS refuse the operation with that error."""
        fault = {"operation": operation, "kind": "error", "error": error, "times": times}
        url = f"{self.server.url}/_local/faults"
        response = urllib3.request("POST", url, json=fault, retries=False)
        assert response.status == 201, response.data


@contextmanager
def local_channel(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *, private: bool
) -> Iterator[LocalChannel]:
    """A channel in a new Local IVS."""
    with LocalIvsServer(folder) as server:
        set_aws_endpoint(monkeypatch, folder, server.url)
        arn = server.client().create_channel(name="show", authorized=private)["channel"]["arn"]
        clients = AwsClients(AwsTerms(max_attempts=1))
        yield LocalChannel(server, clients, ChannelArn.parse(arn))
        clients.close()
