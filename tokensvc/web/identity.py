"""Authenticate a request: `Authorization: Bearer` with an API key, or with a token of an issuer.

With one way, a proxy that strips or logs credentials has one header to handle. Refused sign-ins are
audited.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokensvc.access import api_key_text
from tokensvc.access.api_keys import AUTHENTICATION_HINT, ApiKeys, authenticate
from tokensvc.access.callers import Caller
from tokensvc.clock import Moment
from tokensvc.errors import RateLimited, Unauthenticated
from tokensvc.service import Service
from tokensvc.web.headers import request_id_of
from tokensvc.web.proxies import client_address_of
from tokensvc.web.waiting_pool import CALLER_ID

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


def authenticate_request(
    environ: WSGIEnvironment, service: Service, *, is_counted: bool = True
) -> Caller:
    """The caller whose API key or token the request carries.

    Args:
        environ: the request (PEP 3333).
        service: the service.
        is_counted: whether it counts here for the rate limit of its caller. Playback URLs are
            counted by their routes.

    Raises:
        Unauthenticated: when the request has neither a valid API key nor a valid token.
        RateLimited: when too many tokens from the client's address were not valid, or the caller
            is at its rate limit.
        IssuerUnavailable: when the keys of the token's issuer can't be fetched.
        StateUnavailable: when the cached API keys are too old and the state can't be read.
        AuditUnavailable, OSError: when the refusal can't be audited.
    """
    moment = Moment.of(service.clock)
    try:
        caller = _authenticate(environ, service, moment)
    except (Unauthenticated, RateLimited) as exc:
        _record_refusal(exc, environ, service, moment)
        raise
    environ[CALLER_ID] = caller.caller_id
    if caller.identity is None:
        service.api_key_uses.note(caller.caller_id, moment.now)
    if is_counted and service.request_limits is not None:
        service.request_limits.count_operation(environ, caller, request_id_of(environ))
    return caller


def _record_refusal(
    refusal: Unauthenticated | RateLimited,
    environ: WSGIEnvironment,
    service: Service,
    moment: Moment,
) -> None:
    client_address = client_address_of(environ, service.trusted_proxies)
    key_id = refusal.key_id if isinstance(refusal, Unauthenticated) else None
    service.refused_sign_ins.record(
        moment,
        code=refusal.code,
        rule=refusal.rule,
        client_address=client_address,
        request_id=request_id_of(environ),
        key_id=key_id,
    )
    if not isinstance(refusal, Unauthenticated):
        if service.oidc is not None:
            service.oidc.note_limited()
        return
    presented = _presented(environ)
    refusal.has_credentials = presented is not None
    if service.oidc is not None and presented is not None and _is_token(presented):
        service.oidc.note_refused(moment, client_address)


def _authenticate(environ: WSGIEnvironment, service: Service, moment: Moment) -> Caller:
    presented = _presented(environ)
    if presented is None:
        raise _nothing_presented(service)
    if service.oidc is not None and _is_token(presented):
        return service.oidc.remembered(presented, moment) or service.oidc.authenticate(
            presented, moment, client_address_of(environ, service.trusted_proxies)
        )
    return authenticate(current_api_keys(service, moment), presented, moment.now)


def _nothing_presented(service: Service) -> Unauthenticated:
    if service.oidc is None:
        return Unauthenticated("The request has no API key.", hint=AUTHENTICATION_HINT)
    return Unauthenticated(
        "The request has neither an API key nor a token of an issuer.",
        hint="Send `Authorization: Bearer` and a token of a configured issuer, or an API key.",
    )


def _presented(environ: WSGIEnvironment) -> str | None:
    """The API key or token that the request carries, not checked; None if it carries none."""
    scheme, _, credentials = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    if scheme.lower() != "bearer":
        return None
    # RFC 6750 §2.1 allows spaces before it. No other byte of what was sent is ignored: `strip()`
    # would also remove control characters and the Latin-1 blanks.
    presented: str = credentials.lstrip(" ")
    return presented


def _is_token(presented: str) -> bool:
    """Whether it is meant to be a token of an issuer, perhaps one that is no JWT."""
    return not presented.startswith(api_key_text.PREFIX)


def current_api_keys(service: Service, moment: Moment) -> ApiKeys:
    """The API keys, at that moment no older than `access_max_age_seconds`.

    Raises:
        StateUnavailable: when the cached API keys are older and the state can't be read.
    """
    # A revoked key must not stay valid for longer than this because the state can't be read.
    return service.api_keys.within(service.access_max_age_seconds, moment)
