"""Local IVS over real HTTP, in a thread of the test process."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any, Self

import boto3
import urllib3
from botocore.config import Config
from werkzeug.serving import WSGIRequestHandler, make_server

from local_ivs.app import create_app
from local_ivs.clock import MovableClock, SystemClock
from local_ivs.config import LocalIvsConfig
from local_ivs.edge.refusals import TokenRefusedError
from local_ivs.edge.verifier import verify
from local_ivs.edge_reader import EdgeReader
from local_ivs.testing import conformance

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from botocore.awsrequest import AWSResponse
    from botocore.model import OperationModel
    from mypy_boto3_ivs import IVSClient

    from local_ivs.clock import Clock
    from local_ivs.database import Database

EXAMPLE_REGION = "us-west-2"
EXAMPLE_ACCOUNT = "123456789012"
POLL_SECONDS = 0.01  # How often the server checks whether it must stop.


class _Handler(WSGIRequestHandler):
    """Doesn't log requests, because playback URLs contain tokens; leaves the Date to the app."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Log nothing."""

    def send_response(self, code: int, message: str | None = None) -> None:
        """Send the status line, without the Date of the machine's clock."""
        self.send_response_only(code, message)


class LocalIvsServer:
    """Local IVS in a thread on a free port, with its state in `data_path`; a context manager.

    The server closes its clients. Each client validates every response against AWS's service model
    and raises AssertionError if it doesn't conform.

    Attributes:
        app: The Flask application.
        database: Its state.
        succeeded_operations: The operations that its clients have called successfully.
    """

    def __init__(
        self,
        data_path: Path,
        clock: Clock | None = None,
        *,
        throttle: bool = False,
        effect_delay_seconds: float = 0.0,
    ) -> None:
        """Bind a free port; requests are handled inside the `with` block.

        Args:
            data_path: The folder for the state; created if it doesn't exist.
            clock: The source of the time. Default: the machine's clock.
            throttle: Whether the request rates that IVS documents are enforced.
            effect_delay_seconds: The time until the import or delete of a key pair takes effect at
                the edge.
        """
        config = LocalIvsConfig(
            data_path=data_path, throttle=throttle, effect_delay_seconds=effect_delay_seconds
        )
        self.app = create_app(config, clock)
        self.database: Database = self.app.extensions["local_ivs_database"]
        self.succeeded_operations: set[str] = set()
        self._clock = MovableClock(clock or SystemClock(), self.database)
        self._server = make_server(
            "127.0.0.1", 0, self.app, threaded=True, request_handler=_Handler
        )
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(POLL_SECONDS,), daemon=True
        )
        self._clients: list[IVSClient] = []

    @property
    def url(self) -> str:
        """`http://127.0.0.1:port`, without a trailing slash."""
        return f"http://127.0.0.1:{self._server.port}"

    def client(self, region: str = EXAMPLE_REGION, account: str = EXAMPLE_ACCOUNT) -> IVSClient:
        """A boto3 client for that region and account, without retries."""
        client = boto3.client(
            "ivs",
            region_name=region,
            endpoint_url=self.url,
            aws_access_key_id=account,
            aws_secret_access_key="secret",  # noqa: S106 - Local IVS verifies no signature.
            config=Config(
                retries={"total_max_attempts": 1},
                connect_timeout=5,
                read_timeout=20,
                proxies={},  # A proxy in the environment can't reach this machine's loopback.
            ),
        )
        client.meta.events.register("after-call.ivs", self._validate_response)
        self._clients.append(client)
        return client

    def go_live(self, channel_arn: str) -> None:
        """Start a stream on the channel."""
        self._put("/_local/streams", {"channel_arn": channel_arn, "live": True})

    def go_offline(self, channel_arn: str) -> None:
        """Stop the channel's stream."""
        self._put("/_local/streams", {"channel_arn": channel_arn, "live": False})

    def set_clock_offset(self, offset_seconds: float) -> None:
        """Set Local IVS's clock ahead of the one that it was given, or behind if negative."""
        self._clock.move(offset_seconds)

    def refusal_of(self, channel_arn: str, token: str | None) -> TokenRefusedError | None:
        """The error with which the edge refuses this token for this channel now, with its reason.

        None if the token is valid. Then playback can still be refused: for the origin of a page,
        or because the token was used, its viewer was revoked or the channel is offline.
        """
        _, _, _, region, account_id, _ = channel_arn.split(":")
        now = self._clock.now()
        public_keys = EdgeReader(self.database).public_keys(region, account_id, now)
        try:
            verify(token, channel_arn=channel_arn, public_keys=public_keys, now=now)
        except TokenRefusedError as refusal:
            return refusal
        return None

    def _validate_response(
        self, http_response: AWSResponse, model: OperationModel, **_others: object
    ) -> None:
        status, headers = http_response.status_code, http_response.headers
        document: Any = json.loads(http_response.content or b"{}")
        if status < 300:  # noqa: PLR2004 - 2xx is success.
            self.succeeded_operations.add(model.name)
            problems = conformance.problems_of_success(model.name, status, document)
        else:
            error_type = headers["x-amzn-ErrorType"]
            problems = conformance.problems_of_error(model.name, status, error_type, document)
        if not headers["x-amzn-RequestId"]:
            problems.append("no x-amzn-RequestId")
        if problems:
            raise AssertionError(problems)

    def _put(self, path: str, document: dict[str, object]) -> None:
        response = urllib3.request("PUT", self.url + path, json=document, retries=False)
        if response.status != 200:  # noqa: PLR2004 - OK.
            raise AssertionError(response.data)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for client in self._clients:
            client.close()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self.database.close()
