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
from tokensvc.ivs.key_pairs import IvsKeyPairs
from tokensvc.keyring.custody.base import Custody
from tokensvc.keyring.custody.file import FileCustody
from tokensvc.keyring.custody.secret import load_key_encryption_secret
from tokensvc.keyring.rotator import Binding, Rotator
from tokensvc.keyring.steps import Steps
from tokensvc.keyring.store import RingStore
from tokensvc.keyring.view import RingView
from tokensvc.playback.canary import EdgeCanary
from tokensvc.playback.issuance import PlaybackIssuer
from tokensvc.settings import Settings
from tokensvc.settings.model import CustodySettings
from tokensvc.settings.rules import is_loopback
from tokensvc.state.base import State
from tokensvc.state.following import Watched
from tokensvc.state.sqlite import SqliteState

# IVS allows 3 to 5 calls a second of most operations (IVS: service-quotas).
PATIENT_TERMS = AwsTerms(read_timeout_seconds=10.0, max_attempts=8)


@dataclass(frozen=True, slots=True)
class Service:
    """What one web worker answers from; to be started in the worker, after the fork.

    Attributes:
        issuer: the way of a request.
        api_keys: the API keys, followed.
        rings: the view of each configured region's ring.
        view_max_age_seconds: the oldest knowledge of the API keys that a caller is let in by.
        clients: the way to AWS.
        clock: the time.
    """

    issuer: PlaybackIssuer
    api_keys: Watched[ApiKeys]
    rings: Mapping[Region, RingView]
    view_max_age_seconds: float
    clients: AwsClients
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
        """Stop following, and let go of connections."""
        self.api_keys.close()
        for view in self.rings.values():
            view.close()
        self.clients.close()


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
                f"There is no state {scheme!r}.", hint="Set state.url to sqlite:FILE."
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
            return FileCustody(
                folder,
                _key_encryption_secret(settings, folder),
                clock,
                previous_secret=_previous_key_encryption_secret(settings, folder),
            )
        case _:
            raise SettingsInvalid(
                f"There is no custody {scheme!r}.", hint="Set custody.url to file:FOLDER."
            )


def build_service(settings: Settings, clock: Clock, audit: Audit) -> Service:
    """What a web worker answers from, not started yet.

    Raises:
        SettingsInvalid: when the settings name what can't be used.
    """
    state = build_state(settings.state.url, clock)
    custody = build_custody(settings.custody, clock)
    clients = AwsClients(AwsTerms())
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
            Random(),  # noqa: S311 # Spreads look-ups in time; nothing secret comes of it.
            KeptAnswers(state, clock, settings.directory.capacity),
        ),
        rings=rings,
        limits=settings.playback_limits(),
        audit=audit,
        clock=clock,
    )
    followed: Watched[ApiKeys] = Watched(
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
        clients=clients,
        clock=clock,
    )


def build_patient_clients() -> AwsClients:
    """AWS clients for commands, which rather wait than fail."""
    return AwsClients(PATIENT_TERMS)


def build_rotator(
    settings: Settings, region: Region, clock: Clock, *, by: str, clients: AwsClients
) -> Rotator:
    """What rotates that region's key pairs, in the name of `by`.

    A region that the settings no longer name is wound down.

    Raises:
        SettingsInvalid: when the settings name what can't be used.
        IvsUnavailable: when AWS's settings or credentials make no sense.
    """
    key_pairs = IvsKeyPairs(clients, region)
    canary_channel = settings.canary_channel(region)
    canary = None
    if canary_channel is not None:
        canary = EdgeCanary(canary_channel, partial(get_channel, clients), clock)
    return Rotator(
        RingStore(build_state(settings.state.url, clock), region),
        Steps(build_custody(settings.custody, clock), key_pairs, clock, by, canary),
        binding=Binding(region, settings.ivs.account_id, bound_endpoint(key_pairs.endpoint)),
        terms=settings.rotation_terms(),
        keep_standby=settings.rotation.keep_standby,
        decommissioning=region not in settings.ivs.regions,
    )


def bound_endpoint(endpoint_url: str) -> str:
    """The endpoint as a ring is bound to it: on loopback without its port.

    A Local IVS keeps its key pairs when it is started at another port, and so does its ring.
    """
    parts = urlsplit(endpoint_url)
    if parts.hostname and is_loopback(parts.hostname):
        return f"{parts.scheme}://loopback"
    return endpoint_url


def _key_encryption_secret(settings: CustodySettings, keys_folder: Path) -> bytes:
    if settings.key_encryption_secret is not None:
        return load_key_encryption_secret(settings.key_encryption_secret.get_secret_value())
    if settings.key_encryption_secret_file is not None:
        return load_key_encryption_secret(
            settings.key_encryption_secret_file, keys_folder=keys_folder
        )
    raise SettingsInvalid(
        "The custody file: needs a key-encryption secret.",
        hint="Set custody.key_encryption_secret_file: openssl rand -base64 32.",
    )


def _previous_key_encryption_secret(settings: CustodySettings, keys_folder: Path) -> bytes | None:
    if settings.previous_key_encryption_secret is not None:
        text = settings.previous_key_encryption_secret.get_secret_value()
        return load_key_encryption_secret(text)
    if settings.previous_key_encryption_secret_file is not None:
        file = settings.previous_key_encryption_secret_file
        return load_key_encryption_secret(file, keys_folder=keys_folder)
    return None
