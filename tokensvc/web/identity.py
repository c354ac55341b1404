"""Authenticate a request: `Authorization: Bearer tsk_…` is the only way to send an API key.

With one way, a proxy that strips or logs credentials has one header to handle. Refused sign-ins are
audited.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokensvc.access.api_keys import AUTHENTICATION_HINT, ApiKeys, authenticate
from tokensvc.access.callers import Caller
from tokensvc.clock import Moment
from tokensvc.errors import Unauthenticated
from tokensvc.service import Service
from tokensvc.web.headers import request_id_of
from tokensvc.web.proxies import client_address_of

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


def authenticate_request(environ: WSGIEnvironment, service: Service) -> Caller:
    """The caller whose API key the request carries.

    Raises:
        Unauthenticated: when the request has no valid API key of this service.
        StateUnavailable: when the cached API keys are too old and the state can't be read.
        AuditUnavailable, OSError: when the refusal can't be audited.
    """
    moment = Moment.of(service.clock)
    try:
        caller = _authenticate(environ, service, moment)
    except Unauthenticated as exc:
        exc.has_credentials = "HTTP_AUTHORIZATION" in environ
        service.refused_sign_ins.record(
            moment,
            client_address=client_address_of(environ, service.trusted_proxies),
            request_id=request_id_of(environ),
            key_id=exc.key_id,
        )
        raise
    service.api_key_uses.note(caller.caller_id, moment.now)
    return caller


def _authenticate(environ: WSGIEnvironment, service: Service, moment: Moment) -> Caller:
    scheme, _, credentials = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    if scheme.lower() != "bearer":
        raise Unauthenticated("The request has no API key.", hint=AUTHENTICATION_HINT)
    # RFC 6750 §2.1 allows spaces before it. No other byte of what was sent is ignored: `strip()`
    # would also remove control characters and the Latin-1 blanks.
    presented = credentials.lstrip(" ")
    return authenticate(current_api_keys(service, moment), presented, moment.now)


def current_api_keys(service: Service, moment: Moment) -> ApiKeys:
    """The API keys, at that moment no older than `access_max_age_seconds`.

    Raises:
        StateUnavailable: when the cached API keys are older and the state can't be read.
    """
    # A revoked key must not stay valid for longer than this because the state can't be read.
    return service.api_keys.within(service.access_max_age_seconds, moment)
