"""The player page with real parts: Local IVS, SQLite, key files, and HTTP between them."""

from __future__ import annotations

import contextlib
import io
import threading
from dataclasses import dataclass
from functools import partial
from random import SystemRandom
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from local_ivs.edge.refusals import Reason, TokenRefusedError
from local_ivs.edge.verifier import verify as edge_verify
from local_ivs.edge_reader import EdgeReader
from werkzeug.serving import WSGIRequestHandler, make_server

from tests.support.aws import EXAMPLE_ACCOUNT, set_aws_endpoint
from tests.support.local_ivs import EXAMPLE_REGION, LocalIvsServer
from tokensvc.access.api_keys import DOCUMENT_NAME, ApiKeys
from tokensvc.access.callers import Caller
from tokensvc.access.grants import Grant
from tokensvc.arns import ChannelArn, parse_region
from tokensvc.audit import JsonLinesAudit
from tokensvc.aws import AwsClients, AwsTerms
from tokensvc.clock import SystemClock
from tokensvc.ivs.channels import get_channel, get_channels
from tokensvc.ivs.directory import ChannelDirectory, DirectoryTerms
from tokensvc.ivs.key_pairs import IvsKeyPairs
from tokensvc.keyring.custody.file import FileCustody
from tokensvc.keyring.effects import Steps
from tokensvc.keyring.model import Terms
from tokensvc.keyring.ring_document import RingStore
from tokensvc.keyring.rotator import Binding, Rotator
from tokensvc.keyring.view import RingView
from tokensvc.playback.issuance import PlaybackIssuer, PlaybackLimits
from tokensvc.service import Service
from tokensvc.state.sqlite import SqliteState
from tokensvc.state.watch import Watched
from tokensvc.web.app import create_app
from tokensvc.web.demo.blueprint import create_blueprint
from tokensvc.web.demo.urls import Demo

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

REGION = parse_region(EXAMPLE_REGION)
CLOCK = SystemClock()


@dataclass(frozen=True)
class DemoSite:
    """A running page and the parts behind it. `url` is `http://127.0.0.1:port`."""

    url: str
    app: Flask
    demo: Demo
    local_ivs: LocalIvsServer
    audit: io.StringIO

    def refusal(self, playback_url: str) -> tuple[Reason, str]:
        """The reason and the message with which Local IVS's verifier refuses the URL's token.

        The verifier is called directly. Fails if it accepts the token.
        """
        (token,) = parse_qs(urlsplit(playback_url).query).get("token", [None])
        arn = self.demo.channel_arn
        now = self.demo.clock.now()
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
    """Run the page with a live private channel and an active key pair."""
    audit = io.StringIO()
    with contextlib.ExitStack() as stack:
        local_ivs = stack.enter_context(LocalIvsServer(folder / "local-ivs"))
        set_aws_endpoint(stack.enter_context(pytest.MonkeyPatch.context()), folder, local_ivs.url)
        clients = stack.enter_context(contextlib.closing(AwsClients(AwsTerms())))
        state = stack.enter_context(contextlib.closing(SqliteState(folder / "state", CLOCK)))
        channel_arn, other_channel_arn = (
            ChannelArn.parse(local_ivs.client().create_channel(authorized=True)["channel"]["arn"])
            for _ in range(2)
        )
        local_ivs.go_live(str(channel_arn))
        grant = Grant("demo", (str(channel_arn), str(other_channel_arn)))
        service = _service(
            state, _custody_with_active_pair(folder, state, clients), clients, grant, audit
        )
        service.start()
        stack.callback(service.close)
        demo = Demo(
            issuer=service.issuer,
            caller=Caller("demo-page", "The player page", (grant.name,)),
            view=service.rings[REGION],
            clock=CLOCK,
            channel_arn=channel_arn,
            other_channel_arn=other_channel_arn,
            edge_origin=local_ivs.url,
        )
        app = create_app(service, demo=create_blueprint(demo))
        url = stack.enter_context(_served(app))
        yield DemoSite(url, app, demo, local_ivs, audit)


def _custody_with_active_pair(folder: Path, state: SqliteState, clients: AwsClients) -> FileCustody:
    """Create a key pair, make it active, and return the custody of its private key."""
    custody = FileCustody(folder / "keys", b"k" * 32, CLOCK)
    key_pairs = IvsKeyPairs(clients, REGION)
    Rotator(
        RingStore(state, REGION),
        Steps(custody, key_pairs, CLOCK, by="test"),
        binding=Binding(REGION, EXAMPLE_ACCOUNT, key_pairs.endpoint),
        terms=Terms(publish_delay_seconds=0),
    ).reconcile(lambda _: None)
    return custody


def _service(
    state: SqliteState, custody: FileCustody, clients: AwsClients, grant: Grant, audit: io.StringIO
) -> Service:
    rings = {REGION: RingView(REGION, state, custody, CLOCK, refresh_seconds=1)}
    issuer = PlaybackIssuer(
        channel_names={},
        grants={grant.name: grant},
        directory=ChannelDirectory(
            partial(get_channel, clients),
            partial(get_channels, clients),
            CLOCK,
            DirectoryTerms(),
            SystemRandom(),
        ),
        rings=rings,
        limits=PlaybackLimits(),
        audit=JsonLinesAudit(audit),
        clock=CLOCK,
    )
    keys: Watched[ApiKeys] = Watched(
        state, DOCUMENT_NAME, ApiKeys.decode, clock=CLOCK, refresh_seconds=60
    )
    return Service(issuer, keys, rings, view_max_age_seconds=120, clock=CLOCK, clients=clients)


class _QuietHandler(WSGIRequestHandler):
    """Logs no request."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Log nothing."""


@contextlib.contextmanager
def _served(app: Flask) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_QuietHandler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
