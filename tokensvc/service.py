"""Builds the objects that serve requests from the settings, in plain functions.

Nothing here has a thread, a socket or an open database until it is started or used, so that it may
be built before a fork.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TypedDict, Unpack

from tokensvc.access import api_key_uses, api_keys
from tokensvc.access.api_key_uses import ApiKeyUses
from tokensvc.access.api_keys import ApiKeys
from tokensvc.access.bans.check import BanCheck
from tokensvc.access.bans.moderation import Moderation
from tokensvc.access.bans.view import BanView
from tokensvc.access.client_countries import ClientCountries
from tokensvc.access.entitlement import EntitlementHook
from tokensvc.access.oidc.callers import OidcCallers
from tokensvc.access.refused_sign_ins import RefusedSignIns
from tokensvc.access.request_limits import RequestLimits
from tokensvc.arns import Region
from tokensvc.audit import Audit, MeteredAudit
from tokensvc.aws import AwsClients, AwsTerms
from tokensvc.clock import Clock
from tokensvc.errors import SettingsInvalid
from tokensvc.hooks import build_entitlement_hook
from tokensvc.issuers import build_oidc_callers
from tokensvc.ivs.cache_entry import DirectoryTerms
from tokensvc.ivs.caller_shares import CallerShares
from tokensvc.ivs.clock_watch import ClockWatch
from tokensvc.ivs.directory import ChannelDirectory
from tokensvc.ivs.kept_answers import KIND
from tokensvc.ivs.shared_directory import shared_directory
from tokensvc.ivs.turns import Turns
from tokensvc.keyring import probes
from tokensvc.keyring.probes import ProbeRecorder
from tokensvc.keyring.reporting.watching import ReconcileWatch
from tokensvc.keyring.signers import SignerLoader
from tokensvc.keyring.view import RingView
from tokensvc.meter import Meter
from tokensvc.net import Network
from tokensvc.playback.issuance import PlaybackIssuer
from tokensvc.playback.recent_decisions import RecentDecisions
from tokensvc.playback.revocation.due_ends import DueEnds
from tokensvc.playback.revocation.revoker import Revoker
from tokensvc.playback.revocation.watching import RevocationWatch
from tokensvc.revokers import build_revoker
from tokensvc.settings import Settings
from tokensvc.signer_loaders import build_signer_loaders, custody_terms
from tokensvc.state.base import State
from tokensvc.state.dynamodb import RECORD_TERMS, STATE_TERMS, DynamoDbState
from tokensvc.state.dynamodb_address import TableAddress
from tokensvc.state.record_writer import RecordWriter
from tokensvc.state.replicas import Replicas
from tokensvc.state.shared_versions import SHARED_PART, SharedVersions
from tokensvc.state.sqlite import SqliteState
from tokensvc.state.watch import Watched
from tokensvc.waiting import at_once


@dataclass(frozen=True, slots=True)
class Service:
    """The objects with which a web worker serves requests. Start it in the worker, after the fork.

    Attributes:
        issuer: issues playback tokens.
        directory: what is known about channels.
        audit: the audit log of every decision.
        api_keys: the API keys, watched for changes.
        oidc: the callers with tokens of issuers; None if no issuer is configured.
        bans: the bans, watched for changes.
        moderation: makes and lifts bans.
        rings: the view of each configured region's ring.
        access_max_age_seconds: the maximum age of the API keys that still authenticate a caller,
            and of the bans.
        refused_sign_ins: audits the clients that were not authenticated.
        client_countries: the countries of clients, as a proxy says; None if none is configured.
        trusted_proxies: the networks of the proxies whose X-Forwarded headers are used.
        allowed_origins: the origins whose pages may request playback URLs (CORS).
        root_path: the path prefix under which the HTTP API is published, "" for none.
        answer_writer: writes IVS's answers about channels to the state, in the background.
        clock_watch: notices that the clock is off.
        entitlement_hook: the hook that grants may ask, if the settings have one.
        reconciles: notices that the schedule of the rotations does not run.
        probe_writer: writes whether this process can sign with each key pair, in the background.
        api_key_uses: records on which day each API key was used.
        use_writer: writes these days, in the background.
        replicas: counts the processes that share the rate limits.
        request_limits: the rate limits of callers and viewers; None if there are none.
        revoker: kicks and bans viewers, at the request of moderators.
        recent_decisions: the last decisions; None without the operator's page.
        keep_standby: whether the next key pair is created as soon as a switch is done.
        revocations: looks whether revocations are carried out.
        clock: the clock.
        resources: closes what was opened for this service, and nothing that was passed in.
    """

    issuer: PlaybackIssuer
    directory: ChannelDirectory
    audit: Audit
    api_keys: Watched[ApiKeys]
    oidc: OidcCallers | None
    bans: BanView
    moderation: Moderation
    rings: Mapping[Region, RingView]
    access_max_age_seconds: float
    refused_sign_ins: RefusedSignIns
    client_countries: ClientCountries | None
    trusted_proxies: tuple[Network, ...]
    allowed_origins: tuple[str, ...]
    root_path: str
    answer_writer: RecordWriter
    clock_watch: ClockWatch
    entitlement_hook: EntitlementHook | None
    reconciles: ReconcileWatch
    probe_writer: RecordWriter
    api_key_uses: ApiKeyUses
    use_writer: RecordWriter
    replicas: Replicas
    request_limits: RequestLimits | None
    revoker: Revoker
    recent_decisions: RecentDecisions | None
    keep_standby: bool
    revocations: RevocationWatch
    clock: Clock
    resources: ExitStack

    def read(self) -> None:
        """Read the API keys, bans and rings once, for a command that does not watch them.

        The clock is compared with that of IVS, if IVS can be reached. What IVS answers about
        channels is stored.

        Raises:
            StateUnavailable, StateDamaged: when the shared state can't be read.
        """
        self.api_keys.refresh()
        self.bans.refresh()
        for view in self.rings.values():
            view.refresh()
        self.answer_writer.start()
        self.clock_watch.look()

    def start(self) -> None:
        """Read the API keys, bans and rings, and watch them for changes from now on.

        What can't be read now is read again every `state_refresh_seconds`. The reads are made at
        once: while the state hangs, each waits for its time-out.
        """
        self.answer_writer.start()
        self.clock_watch.start()
        self.probe_writer.start()
        self.use_writer.start()
        self.replicas.start()
        at_once([watched.start for watched in self._watched()])

    def close(self) -> None:
        """Write the answers that are queued, stop watching, and close the connections."""
        self.clock_watch.close()
        self.answer_writer.close()
        self.probe_writer.close()
        self.use_writer.close()
        self.replicas.close()
        at_once([watched.close for watched in self._watched()])
        self.resources.close()

    def _watched(
        self,
    ) -> Sequence[Watched[ApiKeys] | BanView | ReconcileWatch | RingView | OidcCallers]:
        oidc = () if self.oidc is None else (self.oidc,)
        return (self.api_keys, self.bans, self.reconciles, *self.rings.values(), *oidc)


class Overrides(TypedDict, total=False):
    """The parts of a service that a caller may pass in; whoever passes a part closes it."""

    state: State
    signer_loader: SignerLoader
    clients: AwsClients
    directory: ChannelDirectory
    directory_terms: DirectoryTerms
    turns: Turns
    rings: Mapping[Region, RingView]
    bans: BanView
    meter: Meter


def build(
    settings: Settings, clock: Clock, audit: Audit, **overrides: Unpack[Overrides]
) -> Service:
    """The objects that a web worker uses to serve requests, not started yet.

    Args:
        settings: the settings.
        clock: the clock.
        audit: the audit log of every decision.
        overrides: parts that are used instead of the ones that the settings describe.

    Raises:
        SettingsInvalid: when the state, the custody or the secret of the settings can't be used.
    """
    resources = ExitStack()
    meter = overrides.get("meter") or Meter()
    if "meter" in overrides:  # A service without metrics pays nothing for them.
        audit = MeteredAudit(audit, meter)
    recent_decisions = RecentDecisions(audit, clock) if settings.service.ops_page else None
    audit = recent_decisions or audit
    state = overrides.get("state") or resources.enter_context(
        closing(build_state(settings, clock, meter))
    )
    clients = overrides.get("clients") or resources.enter_context(
        closing(AwsClients(AwsTerms(), clock=clock, meter=meter))
    )
    following = _following(settings, clock, state)
    replicas = Replicas(state, clock, least=settings.service.workers)
    answer_writer = RecordWriter(state, KIND)
    terms = overrides.get("directory_terms") or settings.directory_terms()
    turns = overrides.get("turns")
    shares = CallerShares.of(settings.limits.new_channels_per_second, replicas, clock)
    directory = overrides.get("directory") or resources.enter_context(
        closing(shared_directory(state, clients, clock, terms, answer_writer, turns, shares=shares))
    )
    probe_writer = RecordWriter(state, probes.KIND)
    use_writer = RecordWriter(state, api_key_uses.KIND)
    rings = overrides.get("rings")
    if rings is None:
        custody_clients = overrides.get("clients") or resources.enter_context(
            closing(AwsClients(custody_terms(settings), clock=clock, meter=meter))
        )
        given = overrides.get("signer_loader")
        loaders = (
            build_signer_loaders(settings, custody_clients, clock)
            if given is None
            else dict.fromkeys(settings.ivs.regions, given)
        )
        rings = _rings(settings, clock, state, loaders, probe_writer, following)
    clock_watch = ClockWatch(
        clients.ask_unsigned,
        settings.ivs.regions,
        clock,
        skew_seconds=settings.rotation.clock_skew_seconds,
    )
    clients.dates.listen(clock_watch.note)
    bans = overrides.get("bans") or BanView(state, clock, **following)
    entitlement_hook = build_entitlement_hook(settings, clock, meter, resources)
    issuer = PlaybackIssuer(
        channel_names=settings.channels,
        grants=settings.grants_by_name(),
        directory=directory,
        rings=rings,
        bans=BanCheck(bans, settings.state.access_max_age_seconds),
        due_ends=DueEnds(state),
        limits=settings.playback_limits(),
        audit=audit,
        clock=clock,
        clock_watch=clock_watch,
        meter=meter,
        entitlement_hook=entitlement_hook,
    )
    watched_api_keys: Watched[ApiKeys] = Watched(
        state,
        api_keys.DOCUMENT_NAME,
        ApiKeys.decode,
        clock=clock,
        on_change=api_keys.warn_of_unconfirmed,
        **following,
    )
    return Service(
        issuer=issuer,
        directory=directory,
        audit=audit,
        api_keys=watched_api_keys,
        oidc=build_oidc_callers(settings, clock, state, **following, meter=meter),
        bans=bans,
        moderation=Moderation.of(
            state, clock, settings.ban_terms(), bans, settings.grants_by_name(), settings.channels
        ),
        rings=rings,
        access_max_age_seconds=settings.state.access_max_age_seconds,
        refused_sign_ins=RefusedSignIns(audit),
        client_countries=settings.viewer_country.client_countries(settings.service.trusted_proxies),
        trusted_proxies=settings.service.trusted_proxies,
        allowed_origins=settings.cors.allowed_origins,
        root_path=settings.service.root_path,
        answer_writer=answer_writer,
        clock_watch=clock_watch,
        entitlement_hook=entitlement_hook,
        reconciles=ReconcileWatch(
            state,
            clock,
            settings.ivs.regions,
            overdue_after_seconds=settings.rotation.reconcile_overdue_seconds,
            **following,
        ),
        probe_writer=probe_writer,
        api_key_uses=ApiKeyUses(use_writer),
        use_writer=use_writer,
        replicas=replicas,
        request_limits=RequestLimits.of(
            settings.request_rates(),
            clock,
            replicas,
            settings.grants_by_name().values(),
            audit,
            has_people=bool(settings.issuers),
            meter=meter,
        ),
        revoker=build_revoker(
            settings, clock, state, bans, audit, overrides.get("clients"), resources
        ),
        recent_decisions=recent_decisions,
        keep_standby=settings.rotation.keep_standby,
        revocations=RevocationWatch(state, clock),
        clock=clock,
        resources=resources,
    )


class _Following(TypedDict):
    """How a worker follows the documents of the state: all of them by one read of their versions.

    A change is noticed within `state_refresh_seconds`, also by a pass that shares an earlier read.
    The interval differs from worker to worker, so that those of a fleet which start together don't
    go on reading together.
    """

    refresh_seconds: float
    versions: SharedVersions


def _following(settings: Settings, clock: Clock, state: State) -> _Following:
    longest = settings.rotation.state_refresh_seconds / (1.0 + SHARED_PART)
    spread = Random().uniform(0.9, 1.0)  # noqa: S311 # Spreads reads in time; nothing is secret.
    return {"refresh_seconds": spread * longest, "versions": SharedVersions(state, clock)}


def _rings(
    settings: Settings,
    clock: Clock,
    state: State,
    signer_loaders: Mapping[Region, SignerLoader],
    probe_writer: RecordWriter,
    following: _Following,
) -> Mapping[Region, RingView]:
    return {
        region: RingView(
            region,
            state,
            signer_loaders[region],
            clock,
            record_probe=ProbeRecorder(region, probe_writer, clock).record,
            **following,
        )
        for region in settings.ivs.regions
    }


def build_state(
    settings: Settings, clock: Clock, meter: Meter | None = None
) -> SqliteState | DynamoDbState:
    """The state at `sqlite:FILE` or `dynamodb:REGION/TABLE`.

    Raises:
        SettingsInvalid: when the URL has another scheme.
    """
    scheme, _, rest = settings.state.url.partition(":")
    match scheme:
        case "sqlite":
            return SqliteState(Path(rest), clock)
        case "dynamodb":
            return DynamoDbState(
                TableAddress.parse(rest),
                AwsClients(STATE_TERMS, clock=clock, meter=meter),
                AwsClients(RECORD_TERMS, clock=clock, meter=meter),
                clock,
                settings.ivs.account_id,
                Random(),  # noqa: S311 # Spreads attempts in time; not used for anything secret.
            )
        case _:
            raise SettingsInvalid(
                f"state.url has an unknown scheme: {scheme!r}.",
                hint="Set state.url to sqlite:FILE or dynamodb:REGION/TABLE.",
            )
