"""A complete deployment with real parts, from the ring and an API key to the Flask app."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import SystemRandom
from typing import Any, Unpack

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.keyring.rings import REGION
from tests.keyring.world import World, world_in
from tests.support.aws import EndpointSession
from tests.support.settings import settings_in
from tests.support.snapshot import Snapshot
from tokensvc.access import api_keys
from tokensvc.access.api_keys import ApiKeys
from tokensvc.access.callers import Caller, Scope
from tokensvc.access.refused_sign_ins import RefusedSignIns
from tokensvc.arns import ChannelArn
from tokensvc.audit import Audit, AuditEvent
from tokensvc.aws import AwsClients, AwsTerms
from tokensvc.clock import Clock
from tokensvc.ivs.cache_entry import DirectoryTerms
from tokensvc.ivs.directory import ChannelDirectory
from tokensvc.ivs.lookups import FetchBatch
from tokensvc.ivs.model import Channel
from tokensvc.ivs.turns import Unlimited
from tokensvc.keyring.model import KeyState
from tokensvc.playback.issuance import PlaybackIssuer
from tokensvc.playback.recent_decisions import RecentDecisions
from tokensvc.service import Overrides, Service, build
from tokensvc.settings import Settings
from tokensvc.settings.model import PlaybackSettings
from tokensvc.state.base import NEW
from tokensvc.token.p384 import PublicKey
from tokensvc.web.app import create_app

EVERY_CHANNEL = f"arn:aws:ivs:{REGION}:123456789012:channel/*"
GRANTS = {
    "open": {"channels": [EVERY_CHANNEL]},
    "website": {
        "channels": [EVERY_CHANNEL],
        "max_ttl_seconds": 120,
        "allowed_origins": ["https://*.example.com"],
        "maximum_resolution": "HD",
        "viewer_id": "required",
    },
    "germany": {
        "channels": [EVERY_CHANNEL],
        "countries": ["DE"],
        "trust_viewer_country": True,
    },
    "preview": {"channels": [EVERY_CHANNEL], "max_watch_seconds": 30},
    "other-region": {"channels": ["arn:aws:ivs:us-east-1:123456789012:channel/*"]},
}
OPEN = Caller("00000000000a", "open backend", ("open",))
WEBSITE = Caller("00000000000b", "website", ("website",))
OTHER_REGION = Caller("00000000000c", "other region", ("other-region",))


@dataclass
class MemoryAudit:
    """An audit log in memory. With `fails`, it raises the error of a full disk."""

    events: list[AuditEvent] = field(default_factory=list)
    fails: bool = False

    failure = None

    def write(self, event: AuditEvent) -> None:
        """Append the event to `events`."""
        if self.fails:
            raise OSError("No space left on device")
        self.events.append(event)


@dataclass
class Deployment:
    """The parts of one worker.

    Attributes:
        world: the state, the custody, the ring, the clock and Local IVS.
        channel: a private channel with the name `demo`.
        public_channel: a public channel with the name `lobby`.
        audit: the audit log.
        settings: the settings of the service.
        service: the started service.
        key: the text of an API key with the grant `open`.
        create_app: makes the application over a service: with the direct route, or Flask alone.
    """

    world: World
    channel: ChannelArn
    public_channel: ChannelArn
    audit: MemoryAudit
    settings: Settings
    service: Service
    key: str
    create_app: Callable[[Service], Flask] = create_app

    @property
    def issuer(self) -> PlaybackIssuer:
        """The issuer."""
        return self.service.issuer

    @property
    def active_key_id(self) -> str:
        """The ID of the active key pair of the stored ring."""
        active = self.world.ring.active
        assert active is not None
        return active.key_id

    @property
    def public_keys(self) -> dict[str, PublicKey]:
        """The public keys of all key pairs in IVS, by key ID."""
        pairs = self.world.ring.in_state(KeyState.PUBLISHED, KeyState.ACTIVE, KeyState.RETIRING)
        return {pair.key_id: pair.public_key for pair in pairs if pair.public_key}

    def app(self) -> Flask:
        """The app over the service."""
        return self.create_app(self.service)

    def client(self) -> FlaskClient:
        """A client of the app, without credentials."""
        return self.app().test_client()

    def client_of(self, service: Service) -> FlaskClient:
        """A client of the app over another service."""
        return self.create_app(service).test_client()

    def client_with_fetch(self, fetch: Callable[[ChannelArn], Channel]) -> FlaskClient:
        """A client, without credentials, of an app that looks up channels with `fetch`."""
        directory = directory_over(fetch, self.world.clock)
        return self.client_of(self.service_with(issuer=self.issuer_with(directory=directory)))

    def service_with(self, **changes: Any) -> Service:
        """The service with some parts replaced."""
        return dataclasses.replace(self.service, **changes)

    def service_with_ops_page(self) -> Service:
        """The service with the operator's page, which sees the decisions of this service alone."""
        recent = RecentDecisions(self.audit, self.world.clock)
        issuer = self.issuer_with(audit=recent, directory=self.service.directory)
        refused = RefusedSignIns(recent)
        return self.service_with(
            issuer=issuer, audit=recent, refused_sign_ins=refused, recent_decisions=recent
        )

    def issuer_with(
        self,
        *,
        audit: Audit | None = None,
        playback: PlaybackSettings | None = None,
        **overrides: Unpack[Overrides],
    ) -> PlaybackIssuer:
        """An issuer like the service's, with another audit log, other limits or other parts."""
        settings = self.settings
        if playback is not None:
            settings = settings.model_copy(update={"playback": playback})
        parts: Overrides = {
            "state": self.world.state,
            "turns": Unlimited(),
            "rings": self.service.rings,
            "bans": self.service.bans,
        }
        parts.update(overrides)
        return build(settings, self.world.clock, audit or self.audit, **parts).issuer

    def read_state_again(self) -> None:
        """Do what the threads of the service do every few seconds."""
        self.service.api_keys.refresh()
        self.service.bans.refresh()
        for view in self.service.rings.values():
            view.refresh()

    def new_key(self, name: str, *grants: str, scopes: tuple[Scope, ...] = ("mint",)) -> str:
        """The text of a new API key, which the service has already seen."""
        text = _saved_key(self.world, name, grants, scopes)
        self.service.api_keys.refresh()
        return text


@dataclass(frozen=True)
class _Beginning:
    """What every deployment begins with: an active key pair, a standby and a live channel."""

    snapshot: Snapshot
    now: float
    channel: ChannelArn
    public_channel: ChannelArn
    key: str


@functools.cache
def _beginning() -> _Beginning:
    """Made once in each process."""
    with (
        tempfile.TemporaryDirectory() as folder,
        pytest.MonkeyPatch.context() as monkeypatch,
        world_in(Path(folder), monkeypatch) as world,
    ):
        world.create_active_and_standby()
        ivs = world.ivs.client()
        channel = ivs.create_channel(name="demo", authorized=True)["channel"]["arn"]
        lobby = ivs.create_channel(name="lobby", authorized=False)["channel"]["arn"]
        world.ivs.go_live(channel)
        key = _saved_key(world, "backend", ("open",))
        return _Beginning(
            Snapshot.of(world.folder),
            world.clock.now(),
            ChannelArn.parse(channel),
            ChannelArn.parse(lobby),
            key,
        )


@contextlib.contextmanager
def deployment_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    """A deployment with an active key pair, a standby and a live channel."""
    begin = _beginning()
    with world_in(folder, monkeypatch) as world:
        begin.snapshot.restore(folder)
        world.clock.advance(begin.now - world.clock.now())
        audit = MemoryAudit()
        channels = {"demo": str(begin.channel), "lobby": str(begin.public_channel)}
        settings = settings_in(folder, channels=channels, grants=GRANTS)
        # Not by the environment: tests that share a deployment change it for others of their own.
        session = partial(EndpointSession, endpoint_url=world.ivs.url)
        with (
            closing(AwsClients(AwsTerms(), session, clock=world.clock)) as clients,
            closing(
                build(
                    settings,
                    world.clock,
                    audit,
                    state=world.state,
                    clients=clients,
                    turns=Unlimited(),  # Turns take time, and this clock stands still.
                )
            ) as service,
        ):
            service.start()
            service.clock_watch.look()  # The first one, so that none happens later by chance.
            yield Deployment(
                world, begin.channel, begin.public_channel, audit, settings, service, begin.key
            )


def directory_over(
    fetch: Callable[[ChannelArn], Channel],
    clock: Clock,
    fetch_batch: FetchBatch = lambda _: {},
) -> ChannelDirectory:
    """A directory with the default terms. By default, fetching a batch returns nothing."""
    return ChannelDirectory(fetch, fetch_batch, clock, DirectoryTerms(), SystemRandom())


def _saved_key(
    world: World, name: str, grants: tuple[str, ...], scopes: tuple[Scope, ...] = ("mint",)
) -> str:
    document = world.state.load(api_keys.DOCUMENT_NAME)
    keys, text = api_keys.create(
        ApiKeys.decode(document), name=name, grants=grants, now=world.clock.now(), scopes=scopes
    )
    version = document.version if document else NEW
    world.state.save(api_keys.DOCUMENT_NAME, keys.encode(), replacing=version)
    return text
