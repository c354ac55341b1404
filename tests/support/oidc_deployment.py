"""A deployment whose callers may sign in at a small issuer over real HTTP."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.state.watching import wait_until
from tests.support.deployment import Deployment
from tests.support.issuer_server import IssuerServer, issuer_server
from tests.support.oidc_tokens import AUDIENCE, SigningKey, signing_key
from tests.support.recording_meter import RecordingMeter
from tests.support.settings import NEVER_SECONDS, SECRET
from tokensvc.access import recorded_secrets
from tokensvc.access.oidc.callers import OidcCallers
from tokensvc.access.oidc.keeper import KeyKeeper
from tokensvc.access.viewer_ids import ViewerIds
from tokensvc.clock import Moment
from tokensvc.issuers import build_oidc_callers
from tokensvc.meter import Meter
from tokensvc.service import Service
from tokensvc.settings.issuers import IssuerSettings
from tokensvc.settings.viewer_ids import ViewerIdSettings
from tokensvc.state.shared_versions import SharedVersions

KEY = signing_key("ES256", "key-1")
SINGLE = "/v1/playback-urls"


@dataclass
class OidcDeployment:
    """The parts of a worker with one issuer, `main`.

    Attributes:
        deployment: everything else.
        issuer: the issuer, which publishes `KEY`.
        callers: what authenticates its callers, started.
        meter: records what they measure.
    """

    deployment: Deployment
    issuer: IssuerServer
    callers: OidcCallers
    meter: RecordingMeter = field(default_factory=RecordingMeter)

    @property
    def service(self) -> Service:
        """The service."""
        return self.deployment.service_with(oidc=self.callers)

    @property
    def client(self) -> FlaskClient:
        """A client of the service."""
        return self.deployment.client_of(self.service)

    @property
    def keeper(self) -> KeyKeeper:
        """Keeps the keys of the issuer."""
        return self.callers.issuers[0].keeper

    @property
    def now(self) -> Moment:
        """The present moment."""
        return Moment.of(self.deployment.world.clock)

    def token(self, key: SigningKey = KEY, **changes: object) -> str:
        """A token of the issuer that is valid for ten minutes from now."""
        now = int(self.now.now)
        return self.issuer.token(key, **{"iat": now, "exp": now + 600, **changes})

    def post(self, token: str, address: str = "198.51.100.7") -> TestResponse:
        """The response to a request for a URL of the channel `demo`, from that address."""
        return self.client.post(
            SINGLE,
            json={"channel": "demo"},
            headers={"Authorization": f"Bearer {token}"},
            environ_overrides={"REMOTE_ADDR": address},
        )

    def another_worker(self, **changes: Any) -> contextlib.AbstractContextManager[OidcCallers]:
        """What authenticates callers in another process with the same state."""
        return _callers(self.deployment, self.issuer.url, changes, self.meter)


@contextlib.contextmanager
def oidc_deployment(deployment: Deployment, **changes: Any) -> Iterator[OidcDeployment]:
    """That deployment with an issuer, whose settings have these changes."""
    recorded_secrets.record(deployment.world.state, ViewerIds([SECRET]))
    meter = RecordingMeter()
    with issuer_server(KEY) as issuer, _callers(deployment, issuer.url, changes, meter) as callers:
        made = OidcDeployment(deployment, issuer, callers, meter)
        wait_until(lambda: made.keeper.usable(made.now) is not None)
        yield made


@contextlib.contextmanager
def _callers(
    deployment: Deployment, issuer_url: str, changes: Mapping[str, Any], meter: Meter
) -> Iterator[OidcCallers]:
    values = {"issuer": issuer_url, "audience": (AUDIENCE,), "grants": ("open",), **changes}
    settings = deployment.settings.model_copy(
        update={
            "issuers": {"main": IssuerSettings.model_validate(values)},
            "viewer_ids": ViewerIdSettings.model_validate({"secret": SECRET.hex()}),
        }
    )
    clock, state = deployment.world.clock, deployment.world.state
    callers = build_oidc_callers(
        settings,
        clock,
        state,
        refresh_seconds=NEVER_SECONDS,
        versions=SharedVersions(state, clock),
        meter=meter,
    )
    assert callers is not None
    with closing(callers):
        callers.start()
        yield callers
