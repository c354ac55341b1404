"""The callers with a token of an issuer: users of a web application, or programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from tokensvc.access.callers import Caller, Identity, Scope, caller_id_of_user
from tokensvc.access.oidc import failures
from tokensvc.access.oidc.failures import FailedVerifications
from tokensvc.access.oidc.keeper import KeyKeeper
from tokensvc.access.oidc.key_sets import IssuerKey
from tokensvc.access.oidc.refreshes import IssuerRefreshes
from tokensvc.access.oidc.remembered import RememberedTokens, Verified
from tokensvc.access.oidc.terms import IssuerTerms, refusal
from tokensvc.access.oidc.verification import (
    UnverifiedToken,
    expires_at,
    key_of,
    parse,
    verified_claims,
)
from tokensvc.access.recorded_secrets import RecordedSecrets
from tokensvc.access.viewer_ids import ViewerIds
from tokensvc.clock import Moment
from tokensvc.errors import IssuerUnavailable, Unauthenticated
from tokensvc.meter import Meter
from tokensvc.state.record_writer import RecordWriter
from tokensvc.state.watch import Watched
from tokensvc.waiting import at_once

SCOPE_PREFIX: Final = "tokensvc:"
"""A claim names the scope `mint` as `tokensvc:mint`, as it may name those of other services."""


@dataclass(frozen=True, slots=True)
class Issuer:
    """One issuer and its keys."""

    terms: IssuerTerms
    keeper: KeyKeeper


@dataclass(frozen=True, slots=True)
class OidcParts:
    """What runs beside the callers.

    Attributes:
        viewer_ids: computes viewer IDs.
        recorded: the viewer ID secrets that the deployment has. A change empties `remembered`.
        remembered: the tokens that were verified.
        refreshes: what operators request.
        writer: writes the keys that are kept for the next start.
        meter: counts the sign-ins that are refused by their rate.
    """

    viewer_ids: ViewerIds
    recorded: Watched[RecordedSecrets]
    remembered: RememberedTokens
    refreshes: Watched[IssuerRefreshes]
    writer: RecordWriter
    meter: Meter


class OidcCallers:
    """Authenticates callers by their tokens, for all threads of a process.

    Start it in the process that uses it, after any fork.
    """

    def __init__(self, issuers: Sequence[Issuer], parts: OidcParts) -> None:
        """Callers of these issuers, each with another `iss`; nothing is fetched yet."""
        self.issuers = tuple(issuers)
        self._by_iss: Mapping[str, Issuer] = {each.terms.issuer: each for each in issuers}
        self._parts = parts
        self._failures = FailedVerifications()

    def remembered(self, text: str, moment: Moment) -> Caller | None:
        """The caller with that token, if it was verified before and is still valid. Never waits."""
        return self._parts.remembered.caller(text, moment)

    def authenticate(self, text: str, moment: Moment, client_address: str) -> Caller:
        """The caller with that token, which is verified now. `note_refused` counts a refusal.

        Raises:
            Unauthenticated: when it is not valid.
            RateLimited: when too many tokens from that address were not valid.
            IssuerUnavailable: when the keys of its issuer can't be fetched.
            StateUnavailable: as `require_secrets` raises it.
            MustWait: when keys must be fetched first.
        """
        self._failures.require(client_address, moment.monotonic)
        token = parse(text)
        issuer = self._by_iss.get(token.issuer)
        if issuer is None:
            raise refusal("unknown_issuer")
        key, claims = _verified(token, issuer, moment)
        caller = self._caller(claims, issuer.terms)
        until = expires_at(claims, issuer.terms)
        verified = Verified(caller, issuer.keeper, key.thumbprint, until)
        self._parts.remembered.remember(text, verified)
        return caller

    def note_refused(self, moment: Moment, client_address: str) -> None:
        """A token from that address was not valid. Call it when nothing has to wait any more."""
        self._failures.note(client_address, moment.monotonic)

    def note_limited(self) -> None:
        """A token was not verified. Call it, too, when nothing has to wait any more."""
        self._parts.meter.limited(failures.LIMIT)

    def require_secrets(self) -> None:
        """Return if this process has the viewer ID secrets of the deployment. Never waits.

        Raises:
            SecretsNotRecorded: when it has others.
            StateUnavailable: when the record was not read yet.
        """
        self._parts.recorded.latest().value.require_still(self._parts.viewer_ids)

    def _caller(self, claims: Mapping[str, object], terms: IssuerTerms) -> Caller:
        self.require_secrets()
        parts = self._parts
        subject = str(claims["sub"])
        viewer_ids = parts.viewer_ids.of(terms.issuer, subject)
        return Caller(
            caller_id=caller_id_of_user(terms.name, viewer_ids[0]),
            name=terms.name,
            grants=terms.grants,
            scopes=scopes_of(claims, terms),
            identity=Identity(terms.issuer, subject, viewer_ids, MappingProxyType(dict(claims))),
        )

    def start(self) -> None:
        """Use the kept keys, and fetch and watch from now on.

        Raises:
            SettingsInvalid: when this process has other viewer ID secrets than the deployment.
        """
        parts = self._parts
        parts.writer.start()
        keepers = [issuer.keeper.start for issuer in self.issuers]
        at_once([parts.recorded.start, parts.refreshes.start, *keepers])
        if parts.recorded.failure is None:
            parts.recorded.latest().value.require(parts.viewer_ids)

    def close(self) -> None:
        """Stop fetching and watching."""
        keepers = [issuer.keeper.close for issuer in self.issuers]
        at_once([self._parts.refreshes.close, self._parts.recorded.close, *keepers])
        self._parts.writer.close()


def scopes_of(claims: Mapping[str, object], terms: IssuerTerms) -> tuple[Scope, ...]:
    """The scopes of a caller: those of the settings that its token names, or all of them.

    The claim is a list, or a text with blanks between scopes (RFC 8693 §4.2). Other white space is
    part of a scope.
    """
    if terms.scopes_claim is None:
        return terms.scopes
    value = claims.get(terms.scopes_claim)
    named = value.split(" ") if isinstance(value, str) else value if isinstance(value, list) else ()
    return tuple(scope for scope in terms.scopes if f"{SCOPE_PREFIX}{scope}" in named)


def _verified(
    token: UnverifiedToken, issuer: Issuer, moment: Moment
) -> tuple[IssuerKey, Mapping[str, object]]:
    """The key of the token and its claims.

    Raises:
        Unauthenticated: when the token is not valid.
        IssuerUnavailable: when the keys can't be fetched.
    """
    terms, keeper = issuer.terms, issuer.keeper
    key = key_of(token, keeper.current(moment), terms)
    if key is not None:
        try:
            return key, verified_claims(token, key, terms, moment.now)
        except Unauthenticated as exc:
            if exc.problems[0].rule != "signature":
                raise
    # The issuer may have a new key: with another `kid`, with the same one, or with none.
    try:
        newer = key_of(token, keeper.with_unknown_key(moment), terms)
    except IssuerUnavailable:
        if key is None:
            raise
        newer = key
    if newer is None:
        raise refusal("unknown_key")
    if key is not None and newer.thumbprint == key.thumbprint:
        raise refusal("signature")
    return newer, verified_claims(token, newer, terms, moment.now)
