"""From a request to its caller: `Authorization: Bearer tsk_…`, and no other way.

One way in, so that a proxy that strips or logs credentials has one header to know.
"""

from __future__ import annotations

from flask import Request

from tokensvc.access.api_keys import AUTHENTICATION_HINT, ApiKeys, authenticate
from tokensvc.access.callers import Caller
from tokensvc.clock import Moment
from tokensvc.errors import Unauthenticated
from tokensvc.web.service import Service


def caller_of(request: Request, service: Service) -> Caller:
    """The caller that the request has proved to come from.

    Raises:
        Unauthenticated: when it carries no API key of ours.
        StateUnavailable: when what is known of the keys is too old, and the state can't be read.
    """
    scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise Unauthenticated("The request carries no API key.", hint=AUTHENTICATION_HINT)
    return authenticate(known_api_keys(service, Moment.of(service.clock)), credentials.strip())


def known_api_keys(service: Service, moment: Moment) -> ApiKeys:
    """The API keys, known to be no older at that moment than `view_max_age_seconds`.

    Raises:
        StateUnavailable: when they are, and the state can't be read.
    """
    reading = service.api_keys.latest()
    if reading.age_seconds(moment) <= service.view_max_age_seconds:
        return reading.value
    # A key that was revoked longer ago than this must not go on opening doors because the state
    # can't be read. As for the ring, an old view is read anew before anything is refused.
    service.api_keys.refresh()
    return service.api_keys.latest().value
