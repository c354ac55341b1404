"""Builds from the settings what kicks and bans viewers, for the service and for commands."""

from __future__ import annotations

from contextlib import ExitStack, closing

from tokensvc.access.bans.log import BanLog
from tokensvc.access.bans.view import BanView
from tokensvc.access.bans.writing import BanWriter
from tokensvc.access.recorded_secrets import load_recorded
from tokensvc.access.viewer_ids import ViewerIds
from tokensvc.arns import ChannelPattern
from tokensvc.audit import Audit
from tokensvc.aws import AwsClients, AwsTerms
from tokensvc.clock import Clock
from tokensvc.playback.revocation.calls import IvsRevocations
from tokensvc.playback.revocation.first_attempt import FirstAttempt
from tokensvc.playback.revocation.revoker import Revoker
from tokensvc.settings import Settings
from tokensvc.settings.viewer_id_secrets import viewer_ids_of
from tokensvc.state.base import State

# A failed call is made again by what made it, or what it was for stays pending.
FIRST_ATTEMPT_TERMS = AwsTerms(
    connect_timeout_seconds=0.5, read_timeout_seconds=1.0, max_attempts=1
)


def build_revoker(  # The parts that it brings together.
    settings: Settings,
    clock: Clock,
    state: State,
    bans: BanView,
    audit: Audit,
    clients: AwsClients | None,
    resources: ExitStack,
) -> Revoker:
    """What carries out the requests of moderators.

    Args:
        settings: the settings.
        clock: the clock.
        state: the shared state.
        bans: the bans that this process follows.
        audit: the audit log of every decision.
        clients: AWS clients; None to make some, which `resources` closes.
        resources: closes what is opened here.
    """
    if clients is None:
        clients = resources.enter_context(closing(AwsClients(FIRST_ATTEMPT_TERMS, clock=clock)))
    writer = BanWriter(BanLog(state, clock), clock, settings.ban_terms(), bans.refresh)
    return Revoker(
        channel_names=settings.channels,
        grants=settings.grants_by_name(),
        viewer_ids=lambda: recorded_viewer_ids(settings, state),
        issuers=configured_issuers(settings),
        bans=bans,
        writer=writer,
        first_attempt=first_attempt(settings, clock, writer, clients),
        audit=audit,
        clock=clock,
    )


def first_attempt(
    settings: Settings, clock: Clock, writer: BanWriter, clients: AwsClients
) -> FirstAttempt:
    """What carries out kicks and bans that were just stored."""
    ivs = IvsRevocations(clients, covered_channels(settings))
    return FirstAttempt(settings.ivs.regions, ivs, writer, clock)


def recorded_viewer_ids(settings: Settings, state: State) -> ViewerIds:
    """Computes the viewer IDs that every process of the deployment computes.

    Raises:
        SettingsInvalid: when no secret is set.
        SecretsNotRecorded: when others are set than the state records.
        StateUnavailable, StateDamaged: when the state can't be read.
    """
    viewer_ids = viewer_ids_of(settings.viewer_ids)
    load_recorded(state).require_still(viewer_ids)
    return viewer_ids


def configured_issuers(settings: Settings) -> frozenset[str]:
    """The `iss` of each issuer."""
    return frozenset(each.issuer for each in settings.issuers.values())


def covered_channels(settings: Settings) -> frozenset[ChannelPattern]:
    """The channels that any grant covers."""
    grants = settings.grants_by_name().values()
    return frozenset(pattern for grant in grants for pattern in grant.channels)
