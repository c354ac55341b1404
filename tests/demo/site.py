"""The example application with real parts: Local IVS, the service, and HTTP between all of them."""

from __future__ import annotations

import contextlib
import io
import os
import socket
import threading
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from local_ivs.edge.refusals import Reason, TokenRefusedError
from local_ivs.edge.verifier import verify as edge_verify
from local_ivs.edge_reader import EdgeReader
from local_ivs.testing import LocalIvsServer
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from demo.backend import create_app
from demo.configuration import Configuration
from demo.launcher import servers
from demo.launcher.folder import DemoFolder, Users
from demo.launcher.ports import listen
from demo.launcher.preparing import prepare
from tests.support.aws import EndpointSession
from tokensvc.arns import ChannelArn
from tokensvc.audit import JsonLinesAudit
from tokensvc.aws import AwsClients
from tokensvc.clock import Moment, SystemClock
from tokensvc.operations import COMMAND_TERMS
from tokensvc.service import Service, build
from tokensvc.settings import load_settings
from tokensvc.token.p384 import PublicKey
from tokensvc.web.app import create_app as create_service_app

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CLOCK = SystemClock()


@dataclass(frozen=True)
class DemoSite:
    """A running example application and the parts behind it.

    Attributes:
        url: the base URL of the page and its backend, `http://127.0.0.1:port`.
        service_url: the base URL of the service.
        app: the example backend.
        configuration: how it is configured.
        channel_arn: the private channel that plays.
        service: the service's parts.
        local_ivs: Amazon IVS.
        audit: what the service wrote to its audit log.
    """

    url: str
    service_url: str
    app: Flask
    configuration: Configuration
    channel_arn: ChannelArn
    service: Service
    local_ivs: LocalIvsServer
    audit: io.StringIO

    def active_key(self) -> tuple[str, PublicKey]:
        """The ID and the public key of the key pair that signs."""
        active = self.service.rings[self.channel_arn.region].active(Moment.of(CLOCK))
        return active.key_id, active.signer.public_key

    def refusal(self, playback_url: str) -> tuple[Reason, str]:
        """The reason and the message with which Local IVS's verifier refuses the URL's token.

        The verifier is called directly. Fails if it accepts the token.
        """
        (token,) = parse_qs(urlsplit(playback_url).query).get("token", [None])
        arn = self.channel_arn
        now = CLOCK.now()
        reader = EdgeReader(self.local_ivs.app.extensions["local_ivs_database"])
        with pytest.raises(TokenRefusedError) as refused:
            edge_verify(
                token,
                channel_arn=str(arn),
                public_keys=reader.public_keys(arn.region, arn.account_id, now),
                now=now,
            )
        return refused.value.reason, str(refused.value)


@contextlib.contextmanager
def running_demo_site(folder: Path) -> Iterator[DemoSite]:
    """Prepare the demo as its launcher does, and run it in this process."""
    audit = io.StringIO()
    with contextlib.ExitStack() as stack:
        local_ivs = stack.enter_context(LocalIvsServer(folder / "local-ivs"))
        demo_folder = DemoFolder(folder / "demo")
        demo_folder.path.mkdir()
        # Not by the environment: the site lives longer than the environment of any one test.
        session = partial(EndpointSession, endpoint_url=local_ivs.url)
        clients = stack.enter_context(contextlib.closing(AwsClients(COMMAND_TERMS, session)))
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        page_origin = f"http://127.0.0.1:{listener.getsockname()[1]}"
        issuer_listener = stack.enter_context(listen(0, "ISSUER_PORT", CLOCK))
        issuer = stack.enter_context(servers.issuer(demo_folder, issuer_listener, os.environ))
        issuer.wait_until_ready("/.well-known/openid-configuration", CLOCK)
        users = Users(issuer.url, page_origin)
        api_key = prepare(demo_folder, local_ivs.url, 8000, clients, CLOCK, users)
        settings = load_settings(demo_folder.settings, {})
        service = build(settings, CLOCK, JsonLinesAudit(audit), clients=clients)
        stack.callback(service.close)
        service.start()
        service_url = stack.enter_context(served(create_service_app(service)))
        configuration = Configuration(
            service_url=service_url,
            api_key=api_key,
            channel="demo",
            other_channel="other",
            edge_url=local_ivs.url,
            moderator_key=demo_folder.moderator_key.read_text().strip(),
            issuer_url=issuer.url,
        )
        app = create_app(configuration)
        url = stack.enter_context(served(app, listener))
        channel_arn = settings.channels["demo"]
        yield DemoSite(url, service_url, app, configuration, channel_arn, service, local_ivs, audit)


class _QuietHandler(WSGIRequestHandler):
    """Logs no request."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Log nothing."""


@contextlib.contextmanager
def served(app: Flask, listener: socket.socket | None = None) -> Iterator[str]:
    """Serve the application on a free port or on this socket, and return its base URL."""
    port, fd = (0, None) if listener is None else (listener.getsockname()[1], listener.fileno())
    server: BaseWSGIServer = make_server(
        "127.0.0.1", port, app, threaded=True, request_handler=_QuietHandler, fd=fd
    )
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
