"""Settings into objects: the only place that knows every room. Plain functions, no registry.

Nothing made here has a thread, a socket or an open database until it is started or used, so that
all of it may be made before a fork.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from urllib.parse import urlsplit

from flask import Flask

from tokensvc.access import api_keys
from tokensvc.access.api_keys import ApiKeys
from tokensvc.access.callers import Caller
from tokensvc.arns import ChannelArn, Region
from tokensvc.audit import Audit
from tokensvc.aws import AwsClients, AwsTerms, endpoint_of
from tokensvc.clock import Clock
from tokensvc.errors import SettingsInvalid
from tokensvc.ivs.channels import get_channel
from tokensvc.ivs.directory import ChannelDirectory
from tokensvc.ivs.key_pairs import IvsKeyPairs
from tokensvc.keyring.custody.base import Custody
from tokensvc.keyring.custody.file import FileCustody
from tokensvc.keyring.custody.secret import load_key_encryption_secret
from tokensvc.keyring.rotator import Binding, Rotator
from tokensvc.keyring.steps import Steps
from tokensvc.keyring.store import RingStore
from tokensvc.keyring.view import RingView
from tokensvc.playback.issuance import PlaybackIssuer
from tokensvc.settings import Settings
from tokensvc.settings.model import CustodySettings, DemoSettings
from tokensvc.settings.rules import is_loopback
from tokensvc.state.base import State
from tokensvc.state.following import Followed
from tokensvc.state.sqlite import SqliteState
from tokensvc.web.app import create_app
from tokensvc.web.demo.blueprint import create_blueprint
from tokensvc.web.demo.urls import Demo

EXTENSION = "tokensvc"
"""Where the Flask application keeps its service."""


@dataclass(frozen=True, slots=True)
class Service:
    """What one web worker answers from; to be started in the worker, after the fork.

    Attributes:
        issuer: the way of a request.
        api_keys: the API keys, followed.
        rings: the view of each configured region's ring.
        view_max_age_seconds: the oldest knowledge of the API keys that a caller is let in by.
        clock: the time.
    """

    issuer: PlaybackIssuer
    api_keys: Followed[ApiKeys]
    rings: Mapping[Region, RingView]
    view_max_age_seconds: float
    clock: Clock

    def start(self) -> None:
        """Read what is followed, and follow it from now on.

        Raises:
            StateUnavailable, StateDamaged: when the shared state can't be read.
        """
        self.api_keys.start()
        for view in self.rings.values():
            view.start()

    def close(self) -> None:
        """Stop following."""
        self.api_keys.close()
        for view in self.rings.values():
            view.close()


def build_state(url: str, clock: Clock) -> State:
    """The state that `sqlite:FILE` names.

    Raises:
        SettingsInvalid: when it names none that there is.
    """
    scheme, _, rest = url.partition(":")
    match scheme:
        case "sqlite":
            return SqliteState(Path(rest), clock)
        case _:
            raise SettingsInvalid(
                f"There is no state {scheme!r}.", way_out="Set state.url to sqlite:FILE."
            )


def build_custody(settings: CustodySettings, clock: Clock) -> Custody:
    """The custody that `file:FOLDER` names, with the key-encryption secret that it needs.

    Raises:
        SettingsInvalid: when it names none that there is, or the secret can't be used.
    """
    scheme, _, rest = settings.url.partition(":")
    match scheme:
        case "file":
            folder = Path(rest)
            return FileCustody(folder, _key_encryption_secret(settings, folder), clock)
        case _:
            raise SettingsInvalid(
                f"There is no custody {scheme!r}.", way_out="Set custody.url to file:FOLDER."
            )


def build_app(settings: Settings, clock: Clock, audit: Audit) -> Flask:
    """The WSGI application, its service under `extensions["tokensvc"]`, not started yet.

    Raises:
        SettingsInvalid: when the settings name what can't be used, or would show the player page
            with an IVS that is not on loopback.
        IvsUnavailable: in demo mode, when AWS's settings or credentials make no sense.
    """
    clients = build_clients()
    service = build_service(settings, clock, audit, clients=clients)
    page = None
    if settings.demo is not None:
        page = create_blueprint(_build_demo(settings.demo, settings.channels, service, clients))
    app = create_app(service, demo=page)
    app.extensions[EXTENSION] = service
    return app


def build_service(
    settings: Settings, clock: Clock, audit: Audit, *, clients: AwsClients
) -> Service:
    """What a web worker answers from, not started yet.

    Raises:
        SettingsInvalid: when the settings name what can't be used.
    """
    state = build_state(settings.state.url, clock)
    custody = build_custody(settings.custody, clock)
    refresh_seconds = settings.rotation.state_refresh_seconds
    rings = {
        region: RingView(region, state, custody, clock, refresh_seconds=refresh_seconds)
        for region in settings.ivs.regions
    }
    issuer = PlaybackIssuer(
        channel_names=settings.channels,
        grants=settings.grants_by_name(),
        directory=ChannelDirectory(
            partial(get_channel, clients),
            clock,
            settings.directory_terms(),
            Random(),  # noqa: S311 # Spreads look-ups in time; nothing secret comes of it.
        ),
        rings=rings,
        limits=settings.playback_limits(),
        audit=audit,
        clock=clock,
    )
    followed: Followed[ApiKeys] = Followed(
        state,
        api_keys.DOCUMENT_NAME,
        ApiKeys.decode,
        clock=clock,
        refresh_seconds=refresh_seconds,
    )
    return Service(
        issuer=issuer,
        api_keys=followed,
        rings=rings,
        view_max_age_seconds=settings.rotation.view_max_age_seconds,
        clock=clock,
    )


def build_clients() -> AwsClients:
    """AWS clients: credentials and endpoints are found the AWS way."""
    return AwsClients(AwsTerms())


def build_rotator(
    settings: Settings, region: Region, clock: Clock, *, by: str, clients: AwsClients
) -> Rotator:
    """What rotates that region's key pairs, in the name of `by`.

    Raises:
        SettingsInvalid: when the settings name what can't be used, or the region is not theirs.
        IvsUnavailable: when AWS's settings or credentials make no sense.
    """
    key_pairs = IvsKeyPairs(clients, region)
    return Rotator(
        RingStore(build_state(settings.state.url, clock), region),
        Steps(build_custody(settings.custody, clock), key_pairs, clock, by),
        binding=Binding(region, settings.ivs.account_id, bound_endpoint(key_pairs.endpoint)),
        terms=settings.rotation_terms(),
        keep_standby=settings.rotation.keep_standby,
    )


def bound_endpoint(endpoint_url: str) -> str:
    """The endpoint as a ring is bound to it: on loopback without its port.

    A Local IVS keeps its key pairs when it is started at another port, and so does its ring.
    """
    parts = urlsplit(endpoint_url)
    if parts.hostname and is_loopback(parts.hostname):
        return f"{parts.scheme}://loopback"
    return endpoint_url


def _build_demo(
    settings: DemoSettings,
    channels: Mapping[str, ChannelArn],
    service: Service,
    clients: AwsClients,
) -> Demo:
    channel_arn = channels[settings.channel]
    return Demo(
        issuer=service.issuer,
        caller=Caller(caller_id="demo", name="player page", grants=(settings.grant,)),
        view=service.rings[channel_arn.region],
        clock=service.clock,
        channel_arn=channel_arn,
        other_channel_arn=channels[settings.other_channel],
        edge_origin=endpoint_of(clients.ivs(channel_arn.region)),
    )


def _key_encryption_secret(settings: CustodySettings, keys_folder: Path) -> bytes:
    if settings.key_encryption_secret is not None:
        return load_key_encryption_secret(settings.key_encryption_secret.get_secret_value())
    if settings.key_encryption_secret_file is not None:
        return load_key_encryption_secret(
            settings.key_encryption_secret_file, keys_folder=keys_folder
        )
    raise SettingsInvalid(
        "The custody file: needs a key-encryption secret.",
        way_out="Set custody.key_encryption_secret_file: openssl rand -base64 32.",
    )
