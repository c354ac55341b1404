"""Builds the objects that change keys from the settings: for commands and scheduled jobs only.

What serves requests never imports this module (rule 11).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Protocol, TypedDict, Unpack
from urllib.parse import urlsplit

import boto3
import botocore.session

from tokensvc.arns import Region
from tokensvc.aws import AwsClients, AwsTerms, session_of
from tokensvc.aws_dates import require_offset_seconds
from tokensvc.clock import Clock, Moment
from tokensvc.errors import IvsUnavailable
from tokensvc.ivs.channels import get_channel
from tokensvc.ivs.key_pairs import IvsKeyPairs
from tokensvc.keyring.binding import Binding
from tokensvc.keyring.changes import Decision, OnChange, RingChange, ignore_change
from tokensvc.keyring.checks.doctor import Doctor, RegionToExamine
from tokensvc.keyring.checks.files import DeploymentFiles
from tokensvc.keyring.custody.base import Custody
from tokensvc.keyring.custody.file import FileCustody
from tokensvc.keyring.custody.kms import KmsCustody
from tokensvc.keyring.custody.moving import MovingCustody
from tokensvc.keyring.custody.secrets_manager import SecretsManagerCustody
from tokensvc.keyring.effects import Canary, Effects, KeyPairsInIvs
from tokensvc.keyring.model import Act, Ring
from tokensvc.keyring.probes import FailedProbe, failed_probes
from tokensvc.keyring.reporting.record import RecordStore
from tokensvc.keyring.revocation import declare_compromised
from tokensvc.keyring.ring_document import RingStore
from tokensvc.keyring.rotator import Rotator
from tokensvc.net import is_loopback, is_loopback_url
from tokensvc.overdue import overdue_revocations
from tokensvc.playback.canary import EdgeCanary
from tokensvc.service import build_state
from tokensvc.settings import Settings
from tokensvc.settings.custody_secrets import key_encryption_secrets
from tokensvc.settings.model import CustodySettings
from tokensvc.signer_loaders import scheme_of_url, unknown_custody
from tokensvc.state.base import State
from tokensvc.state.reserve import Reserve

# For commands, which should wait and retry: IVS allows 3 to 5 calls a second of most operations
# (IVS: service-quotas). While IVS hangs, they end within about 20 s.
COMMAND_TERMS = AwsTerms(read_timeout_seconds=5.0, max_attempts=6, patience_seconds=14.0)
# For an emergency, in which no key signs until IVS has answered or has not.
_HASTY_TERMS = AwsTerms(read_timeout_seconds=2.0, max_attempts=2, patience_seconds=4.0)
# For a custody: the calls of one step, such as to make a key in KMS, end within about a minute.
_CUSTODY_TERMS = AwsTerms(read_timeout_seconds=5.0, max_attempts=3, patience_seconds=14.0)
_NO_RETRIES = AwsTerms(read_timeout_seconds=30.0, max_attempts=1)
_DAY_SECONDS = 86_400


class RegionInIvs(KeyPairsInIvs, Protocol):
    """The key pairs of one region, and where they are."""

    @property
    def endpoint(self) -> str:
        """The URL of IVS in the region. Raises IvsUnavailable."""
        ...


class Overrides(TypedDict, total=False):
    """The parts that a caller may pass in; whoever passes a part closes it."""

    state: State
    custody: Custody
    clients: AwsClients
    hasty_clients: AwsClients
    key_pairs: Callable[[Region], RegionInIvs]
    canary: Callable[[Region], Canary | None]
    on_change: OnChange


@dataclass(frozen=True)
class Operations:
    """What changes keys. State, custody and AWS clients are opened once, when first used.

    Every part that is used raises SettingsInvalid when the state, the custody or the secret of the
    settings can't be used, and IvsUnavailable when the AWS configuration or credentials are
    invalid.

    Attributes:
        settings: the settings.
        clock: the clock.
        by: the name under which changes are recorded.
        overrides: parts that are used instead of the ones that the settings describe.
        resources: closes what was opened here.
        opened_custodies: the custodies that were opened here, by region; None for all regions.
    """

    settings: Settings
    clock: Clock
    by: str
    overrides: Overrides
    resources: ExitStack = field(default_factory=ExitStack)
    opened_custodies: dict[Region | None, Custody] = field(default_factory=dict)

    def close(self) -> None:
        """Close what was opened here."""
        self.resources.close()

    def with_settings(self, settings: Settings) -> Operations:
        """The same state and AWS clients, with other settings and the custody that they describe.

        The part that opened the state and the clients closes them.
        """
        overrides: Overrides = {
            **self.overrides,
            "state": self.state,
            "clients": self.clients,
            "hasty_clients": self.hasty_clients,
        }
        return Operations(settings, self.clock, self.by, overrides)

    @cached_property
    def state(self) -> State:
        """The shared state."""
        return self.overrides.get("state") or self.resources.enter_context(
            closing(build_state(self.settings, self.clock))
        )

    def custody(self, region: Region) -> Custody:
        """The custody of that region's private keys. A custody of files has those of all regions.

        Each is opened once.
        """
        if (given := self.overrides.get("custody")) is not None:
            return given
        where = region if self.settings.custody.is_in_aws else None
        if where not in self.opened_custodies:
            self.opened_custodies[where] = build_custody(
                self.settings.custody, region, self.custody_clients, self.clock
            )
        return self.opened_custodies[where]

    @cached_property
    def custody_clients(self) -> AwsClients:
        """AWS clients of a custody in AWS, for all regions."""
        return self.overrides.get("clients") or self.resources.enter_context(
            closing(AwsClients(_CUSTODY_TERMS, clock=self.clock))
        )

    @cached_property
    def clients(self) -> AwsClients:
        """AWS clients with long timeouts and many retries, for all regions."""
        return self.overrides.get("clients") or self.resources.enter_context(
            closing(AwsClients(COMMAND_TERMS, clock=self.clock))
        )

    @cached_property
    def hasty_clients(self) -> AwsClients:
        """AWS clients that soon give up, for all regions."""
        return self.overrides.get("hasty_clients") or self.resources.enter_context(
            closing(AwsClients(_HASTY_TERMS, clock=self.clock))
        )

    @cached_property
    def reserve(self) -> Reserve | None:
        """The disk space that is kept for an emergency; None for a state without a file."""
        scheme, _, rest = self.settings.state.url.partition(":")
        return Reserve(Path(rest)) if scheme == "sqlite" else None

    def make_room(self) -> None:
        """Free the reserve if the disk of the state is full. Call it first in an emergency."""
        if self.reserve is not None:
            self.reserve.make_room()

    def declare_compromised(self, region: Region, key_ids: Collection[str], reason: str) -> Ring:
        """The region's ring with those key pairs marked compromised: they must stop signing.

        This needs the state only: no custody, no IVS and no AWS credentials.

        Raises:
            KeyNotFound: when the ring has no key pair with one of those IDs. Nothing was changed.
            StateUnavailable, StateDamaged, StateConflict: when it could not be saved.
        """
        act = Act(self.clock.now(), self.by, reason)
        ring = declare_compromised(RingStore(self.state, region), key_ids, act)
        for key_id in key_ids:
            if ring.pair(key_id).is_compromised:  # A retired one can't be marked any more.
                self._on_change(RingChange(region, Decision.DECLARE_COMPROMISED, key_id, act))
        return ring

    def ring(self, region: Region) -> Ring | None:
        """That region's stored ring, read now; None when the region has no ring yet.

        Raises:
            StateUnavailable, StateDamaged: when the ring can't be read.
        """
        stored = RingStore(self.state, region).load()
        return None if stored is None else stored.ring

    def key_pairs(self, region: Region) -> RegionInIvs:
        """The key pairs that IVS holds in that region."""
        make = self.overrides.get("key_pairs")
        return IvsKeyPairs(self.clients, region) if make is None else make(region)

    def rotator(self, region: Region) -> Rotator:
        """The rotator of that region's key pairs.

        A region that the settings no longer name is decommissioned.
        """
        key_pairs = self.key_pairs(region)
        is_real = "key_pairs" not in self.overrides
        effects = Effects(
            self.custody(region),
            key_pairs,
            self.clock,
            self.by,
            self._canary(region),
            hasty_key_pairs=IvsKeyPairs(self.hasty_clients, region) if is_real else None,
            account_id=cache(partial(self._account_id, region)),
            failed_probes=partial(self._failed_probes, region),
        )
        if self.reserve is not None:
            self.reserve.make()
        return Rotator(
            RingStore(self.state, region),
            effects,
            binding=Binding(region, self.settings.ivs.account_id, self._endpoint(region)),
            terms=self.settings.rotation_terms(),
            keep_standby=self.settings.rotation.keep_standby,
            decommissioning=region not in self.settings.ivs.regions,
            on_change=self._on_change,
        )

    def doctor(self, regions: Sequence[Region]) -> Doctor:
        """The doctor that examines those regions: configured ones, or ones that were removed."""
        return Doctor(
            tuple(self._region_to_examine(region) for region in regions),
            self.ring,
            self.custody,
            self.clock,
            self.settings.ivs.regions,
            _files_of(self.settings),
            lambda: RecordStore(self.state).load(),
            lambda: overdue_revocations(self.state, self.clock),
        )

    @property
    def _on_change(self) -> OnChange:
        return self.overrides.get("on_change", ignore_change)

    def _endpoint(self, region: Region) -> str:
        """The endpoint to which the region's ring is bound."""
        try:
            return bound_endpoint(self.key_pairs(region).endpoint)
        except IvsUnavailable:
            # No IVS can be called with this AWS configuration, so no other one than the ring's. A
            # compromised key can be replaced all the same.
            ring = self.ring(region)
            if ring is None:
                raise
            return ring.endpoint

    def _account_id(self, region: Region) -> str:
        """The account of the AWS credentials. Raises IvsUnavailable when AWS STS does not say it.

        AWS is not asked about credentials that are meant for Local IVS.
        """
        clients = self.hasty_clients
        endpoint, sts = clients.endpoint(region), clients.endpoint(region, "sts")
        if is_loopback_url(endpoint) and not is_loopback_url(sts):
            raise IvsUnavailable(f"{endpoint} has no AWS STS beside it.")
        return clients.account_id(region)

    def _failed_probes(self, region: Region) -> Sequence[FailedProbe]:
        return failed_probes(self.state, region, self.clock.now())

    def _canary(self, region: Region) -> Canary | None:
        make = self.overrides.get("canary")
        if make is not None:
            return make(region)
        channel_arn = self.settings.canary_channel(region)
        if channel_arn is None:
            return None
        return EdgeCanary(channel_arn, partial(get_channel, self.clients), self.clock)

    def _region_to_examine(self, region: Region) -> RegionToExamine:
        settings, key_pairs = self.settings, self.key_pairs(region)
        return RegionToExamine(
            region=region,
            account_id=settings.ivs.account_id,
            read_endpoint=lambda: bound_endpoint(key_pairs.endpoint),
            read_held=key_pairs.held,
            # After `read_held`, whose answers have dates, also if they are refusals.
            read_clock_offset_seconds=lambda: require_offset_seconds(
                key_pairs.dated_answer(), Moment.of(self.clock)
            ),
            clock_skew_seconds=settings.rotation.clock_skew_seconds,
            key_age_warning_seconds=settings.rotation.key_age_warning_days * _DAY_SECONDS,
            terms=settings.rotation_terms(),
            keep_standby=settings.rotation.keep_standby,
            has_canary=settings.canary_channel(region) is not None,
            reconcile_overdue_seconds=settings.rotation.reconcile_overdue_seconds,
            read_failed_probes=partial(self._failed_probes, region),
            decommissioning=region not in settings.ivs.regions,
        )


def build(
    settings: Settings, clock: Clock, *, by: str, **overrides: Unpack[Overrides]
) -> Operations:
    """What changes keys, in the name `by`. Nothing is opened yet; close it after use."""
    return Operations(settings, clock, by, overrides)


def build_ivs_clients(environment: Mapping[str, str], *, retry: bool) -> AwsClients:
    """AWS clients that need no settings: the environment selects the account and the region.

    Without `retry` each call is sent once, for calls that must not be repeated.
    """
    terms = COMMAND_TERMS if retry else _NO_RETRIES
    return AwsClients(terms, partial(_session, environment))


def build_custody(
    settings: CustodySettings, region: Region, clients: AwsClients, clock: Clock
) -> Custody:
    """The custody of that region's private keys, or both while one replaces the other.

    Raises:
        SettingsInvalid: when a URL has another scheme, or the secret can't be used.
    """
    custodies = [_custody_at(url, settings, region, clients, clock) for url in settings.urls]
    if settings.former_url is None:
        return custodies[0]
    newest, former = custodies
    return MovingCustody(
        scheme_of_url(settings.url), newest, scheme_of_url(settings.former_url), former
    )


def _custody_at(
    url: str, settings: CustodySettings, region: Region, clients: AwsClients, clock: Clock
) -> Custody:
    _, _, rest = url.partition(":")
    match scheme_of_url(url):
        case "file":
            secret, previous_secret = key_encryption_secrets(settings, Path(rest))
            return FileCustody(Path(rest), secret, clock, previous_secret=previous_secret)
        case "secretsmanager":
            client = partial(clients.secrets_manager, region)
            return SecretsManagerCustody(
                client, region, rest, clock, kms_key=settings.secrets_kms_key
            )
        case "kms":
            return KmsCustody(partial(clients.kms, region), region, rest, clock)
        case _:
            raise unknown_custody(url)


def _files_of(settings: Settings) -> DeploymentFiles:
    return DeploymentFiles(
        keys_folder=_path_in(settings.custody.files_url or "", "file"),
        secret_files=settings.secret_files,
        state_file=_path_in(settings.state.url, "sqlite"),
    )


def _path_in(url: str, scheme: str) -> Path | None:
    found, _, path = url.partition(":")
    return Path(path) if found == scheme else None


def bound_endpoint(endpoint_url: str) -> str:
    """The endpoint to which a ring is bound. A loopback endpoint is reduced to its scheme.

    Local IVS keeps its key pairs when it is started on another port, so its ring must stay valid.
    """
    if is_loopback_url(endpoint_url):
        return f"{urlsplit(endpoint_url).scheme}://loopback"
    return endpoint_url


def _session(environment: Mapping[str, str], core: botocore.session.Session) -> boto3.Session:
    session = session_of(core)
    endpoint = environment.get("AWS_ENDPOINT_URL_IVS") or environment.get("AWS_ENDPOINT_URL", "")
    host = urlsplit(endpoint).hostname
    if host and is_loopback(host) and session.get_credentials() is None:
        # Local IVS does not check signatures, so it needs no real credentials.
        core.set_credentials("local-ivs", "unchecked")
    return session
