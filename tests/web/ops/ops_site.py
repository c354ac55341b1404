"""A service with the operator's page, in whose ring a key pair drains since 20 minutes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from playwright.sync_api import Page, expect

from tests.keyring.rings import REGION
from tests.support.deployment import Deployment, deployment_in
from tests.support.serving import serving
from tokensvc.keyring.reporting.record import RecordStore, RegionRecord
from tokensvc.service import Service

HOUR = 3_600
DRAINED_FOR_SECONDS = 1_200


@dataclass(frozen=True)
class OpsSite:
    """The service.

    Attributes:
        url: its address.
        deployment: its parts.
        client: a client of the same service, with the API key of a backend.
        operator_key: an API key with the scope `operate`.
        draining: the ID of the key pair that drains.
    """

    url: str
    deployment: Deployment
    client: FlaskClient
    operator_key: str
    draining: str

    def request(self, channel: str, viewer_id: str | None = None) -> None:
        """Request a playback URL, which may be refused."""
        self.client.post("/v1/playback-urls", json={"channel": channel, "viewer_id": viewer_id})

    def pass_time(self, page: Page, seconds: int) -> None:
        """Let the time pass for the service and for the page."""
        self.deployment.world.clock.advance(seconds)
        page.clock.fast_forward(seconds * 1_000)

    def sign_in(self, page: Page) -> None:
        """Enter the key of the operator, and wait for the data."""
        enter(page, self.operator_key)
        expect(page.get_by_role("heading", name=f"Region {REGION}")).to_be_visible()


def enter(page: Page, key: str) -> None:
    """Enter an API key."""
    page.get_by_label("API key with the scope").fill(key)
    page.get_by_role("button", name="Show").click()


@contextmanager
def running_ops_site(folder: Path) -> Iterator[OpsSite]:
    """Run it in this process, with a clock that stands still."""
    with pytest.MonkeyPatch.context() as monkeypatch, deployment_in(folder, monkeypatch) as parts:
        service = parts.service_with_ops_page()
        parts.world.clock.advance(HOUR)
        draining = parts.active_key_id
        _rotate(parts, service)
        app = parts.create_app(service)
        client = app.test_client()
        client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {parts.key}"
        key = parts.new_key("ann", scopes=("operate",))
        with serving(app) as url:
            site = OpsSite(url, parts, client, key, draining)
            _use(site)
            yield site


def _rotate(parts: Deployment, service: Service) -> None:
    """As `tokensvc keys rotate` and `tokensvc keys reconcile` do."""
    world = parts.world
    world.rotator().request_rotation(reason="monthly")
    world.reconcile()
    now = world.clock.now()
    run = RegionRecord(attempted_at=now, by="ann@ops-1", code="", succeeded_at=now)
    RecordStore(world.state).update(lambda record: record.with_region(REGION, run, ()))
    world.clock.advance(DRAINED_FOR_SECONDS)
    parts.read_state_again()
    service.reconciles.watched.refresh()


def _use(site: OpsSite) -> None:
    """Requests and a ban, so that each table has rows."""
    for channel in ("demo", "demo", "lobby", "demo", "evening", "demo"):
        site.request(channel, "viewer-17")
        site.deployment.world.clock.advance(3)
    moderator = site.deployment.new_key("mod", "open", scopes=("moderate",))
    site.client.post(
        "/v1/viewer-session-revocations",
        json={"viewer_id": "viewer-18", "channel": "demo", "ban_seconds": 600},
        headers={"Authorization": f"Bearer {moderator}"},
    )
    site.deployment.read_state_again()
