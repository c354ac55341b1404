"""Builds what authenticates callers with tokens of issuers from the settings."""

from __future__ import annotations

from tokensvc.access import recorded_secrets
from tokensvc.access.oidc import kept_keys, refreshes
from tokensvc.access.oidc.callers import Issuer, OidcCallers, OidcParts
from tokensvc.access.oidc.fetching import KeySource
from tokensvc.access.oidc.keeper import KeyKeeper
from tokensvc.access.oidc.kept_keys import KeptKeys
from tokensvc.access.oidc.refreshes import IssuerRefreshes, RefreshFollower
from tokensvc.access.oidc.remembered import RememberedTokens
from tokensvc.access.recorded_secrets import RecordedSecrets
from tokensvc.clock import Clock
from tokensvc.meter import Meter
from tokensvc.settings import Settings
from tokensvc.settings.issuers import IssuerSettings
from tokensvc.settings.viewer_id_secrets import viewer_ids_of
from tokensvc.state.base import State
from tokensvc.state.record_writer import RecordWriter
from tokensvc.state.shared_versions import SharedVersions
from tokensvc.state.watch import Watched


def build_oidc_callers(
    settings: Settings,
    clock: Clock,
    state: State,
    *,
    refresh_seconds: float,
    versions: SharedVersions,
    meter: Meter | None = None,
) -> OidcCallers | None:
    """The callers of the configured issuers, not started; None if there is no issuer.

    Args:
        settings: the settings.
        clock: the clock.
        state: where keys are kept, and where operators request that they are fetched.
        refresh_seconds: the interval between two reads of a document.
        versions: reads the versions of documents for all watchers of this process.
        meter: counts the sign-ins that are refused by their rate. Default: none.

    Raises:
        SettingsInvalid: when the viewer ID secrets can't be used.
    """
    if not settings.issuers:
        return None
    writer = RecordWriter(state, kept_keys.KIND)
    issuers = [
        _issuer(name, issuer, clock, state, writer) for name, issuer in settings.issuers.items()
    ]
    remembered = RememberedTokens()

    def forget(_: RecordedSecrets) -> None:
        remembered.clear()  # Its caller may have another viewer ID now.

    follower = RefreshFollower({each.terms.name: each.keeper.fetch_soon for each in issuers})
    parts = OidcParts(
        viewer_ids=viewer_ids_of(settings.viewer_ids),
        recorded=Watched(
            state,
            recorded_secrets.DOCUMENT_NAME,
            RecordedSecrets.decode,
            clock=clock,
            refresh_seconds=refresh_seconds,
            on_change=forget,
            versions=versions,
        ),
        remembered=remembered,
        refreshes=Watched(
            state,
            refreshes.DOCUMENT_NAME,
            IssuerRefreshes.decode,
            clock=clock,
            refresh_seconds=refresh_seconds,
            on_change=follower.note,
            versions=versions,
        ),
        writer=writer,
        meter=meter or Meter(),
    )
    return OidcCallers(issuers, parts)


def _issuer(
    name: str, settings: IssuerSettings, clock: Clock, state: State, writer: RecordWriter
) -> Issuer:
    terms = settings.terms(name)
    source = KeySource(name, terms.issuer, settings.jwks_url, ca_file=settings.ca_file)
    kept = KeptKeys(
        state,
        writer,
        name=name,
        issuer=terms.issuer,
        jwks_url=settings.jwks_url,
        valid_seconds=terms.keys_max_age_seconds,
    )
    return Issuer(terms, KeyKeeper(terms, source, kept, clock))
