"""Builds the objects that serve requests from the settings, in plain functions.

Nothing here has a thread, a socket or an open database until it is started or used, so that it may
be built before a fork.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random

from tokensvc.access import api_keys
from tokensvc.access.api_keys import ApiKeys
from tokensvc.arns import Region
from tokensvc.audit import Audit
from tokensvc.aws import AwsClients, AwsTerms
from tokensvc.clock import Clock
from tokensvc.errors import SettingsInvalid
from tokensvc.ivs.channels import get_channel, get_channels
from tokensvc.ivs.directory import ChannelDirectory
from tokensvc.ivs.kept_answers import KeptAnswers
from tokensvc.keyring.custody.base import Custody
from tokensvc.keyring.custody.file import FileCustody
from tokensvc.keyring.custody.secret import load_key_encryption_secret
from tokensvc.keyring.view import RingView
from tokensvc.playback.issuance import PlaybackIssuer
from tokensvc.settings import Settings
from tokensvc.settings.model import CustodySettings
from tokensvc.state.base import State
from tokensvc.state.sqlite import SqliteState
from tokensvc.state.watch import Watched


@dataclass(frozen=True, slots=True)
class Service:
    """The objects with which a web worker serves requests. Start it in the worker, after the fork.

    Attributes:
        issuer: issues playback tokens.
        api_keys: the API keys, watched for changes.
        rings: the view of each configured region's ring.
        view_max_age_seconds: the maximum age of the API keys that still authenticate a caller.
        clients: the AWS clients.
        clock: the clock.
    """

    issuer: PlaybackIssuer
    api_keys: Watched[ApiKeys]
    rings: Mapping[Region, RingView]
    view_max_age_seconds: float
    clients: AwsClients
    clock: Clock

    def start(self) -> None:
        """Read the API keys and rings, and watch them for changes from now on.

        Raises:
            StateUnavailable, StateDamaged: when the shared state can't be read.
        """
        self.api_keys.start()
        for view in self.rings.values():
            view.start()

    def close(self) -> None:
        """Stop watching, and close the connections."""
        self.api_keys.close()
        for view in self.rings.values():
            view.close()
        self.clients.close()


def build(
    settings: Settings,
    clock: Clock,
    audit: Audit,
    *,
    state: State | None = None,
    custody: Custody | None = None,
    clients: AwsClients | None = None,
) -> Service:
    """The objects that a web worker uses to serve requests, not started yet.

    Raises:
        SettingsInvalid: when the state, the custody or the secret of the settings can't be used.
    """
    state = state or build_state(settings.state.url, clock)
    custody = custody or build_custody(settings.custody, clock)
    clients = clients or AwsClients(AwsTerms())
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
            partial(get_channels, clients),
            clock,
            settings.directory_terms(),
            Random(),  # noqa: S311 # Spreads look-ups in time; not used for anything secret.
            KeptAnswers(state, clock, settings.directory.capacity),
        ),
        rings=rings,
        limits=settings.playback_limits(),
        audit=audit,
        clock=clock,
    )
    watched_api_keys: Watched[ApiKeys] = Watched(
        state,
        api_keys.DOCUMENT_NAME,
        ApiKeys.decode,
        clock=clock,
        refresh_seconds=refresh_seconds,
    )
    return Service(
        issuer=issuer,
        api_keys=watched_api_keys,
        rings=rings,
        view_max_age_seconds=settings.rotation.view_max_age_seconds,
        clients=clients,
        clock=clock,
    )


def build_state(url: str, clock: Clock) -> State:
    """The state at `sqlite:FILE`.

    Raises:
        SettingsInvalid: when the URL has another scheme.
    """
    scheme, _, rest = url.partition(":")
    match scheme:
        case "sqlite":
            return SqliteState(Path(rest), clock)
        case _:
            raise SettingsInvalid(
                f"state.url has an unknown scheme: {scheme!r}.",
                hint="Set state.url to sqlite:FILE.",
            )


def build_custody(settings: CustodySettings, clock: Clock) -> Custody:
    """The custody at `file:FOLDER`, with the key-encryption secret that it needs.

    Raises:
        SettingsInvalid: when the URL has another scheme, or the secret can't be used.
    """
    scheme, _, rest = settings.url.partition(":")
    match scheme:
        case "file":
            folder = Path(rest)
            return FileCustody(
                folder,
                _key_encryption_secret(settings, folder),
                clock,
                previous_secret=_previous_key_encryption_secret(settings, folder),
            )
        case _:
            raise SettingsInvalid(
                f"custody.url has an unknown scheme: {scheme!r}.",
                hint="Set custody.url to file:FOLDER.",
            )


def _key_encryption_secret(settings: CustodySettings, keys_folder: Path) -> bytes:
    if settings.key_encryption_secret is not None:
        return load_key_encryption_secret(settings.key_encryption_secret.get_secret_value())
    if settings.key_encryption_secret_file is not None:
        return load_key_encryption_secret(
            settings.key_encryption_secret_file, keys_folder=keys_folder
        )
    raise SettingsInvalid(
        "No key-encryption secret is set, but custody.url is file:FOLDER.",
        hint="Create one with `(umask 077; openssl rand -base64 32 > FILE)` and set"
        " custody.key_encryption_secret_file to FILE.",
    )


def _previous_key_encryption_secret(settings: CustodySettings, keys_folder: Path) -> bytes | None:
    if settings.previous_key_encryption_secret is not None:
        text = settings.previous_key_encryption_secret.get_secret_value()
        return load_key_encryption_secret(text)
    if settings.previous_key_encryption_secret_file is not None:
        file = settings.previous_key_encryption_secret_file
        return load_key_encryption_secret(file, keys_folder=keys_folder)
    return None
