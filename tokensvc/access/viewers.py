"""Who the viewer of a request is, and in which country.

A caller with an identity is a person who watches, and gets the own viewer ID: without one, a token
could not be revoked, and with another one, the person could evade a ban. The country is that of the
client, as a trusted proxy says. If all grants that apply have `acts_for_viewers`, the caller is a
backend with a token of its own, and is treated as one with an API key.

A backend names its viewers. The country of its client would be its own, so only the request can
name that of the viewer, and it counts if the grant trusts the backend.
"""

from __future__ import annotations

from tokensvc.access.callers import Caller, Identity
from tokensvc.access.countries import country_in
from tokensvc.access.grant import Grant
from tokensvc.access.requests import PlaybackRequest
from tokensvc.errors import CountryNotAllowed, InvalidRequest, NotEntitled, Problem


def viewer_id_of(grant: Grant, caller: Caller, request: PlaybackRequest) -> str | None:
    """The viewer ID of the token; None if it has none.

    Raises:
        InvalidRequest: when the grant requires a viewer ID and the request has none.
        NotEntitled: when a viewer requests a URL for another viewer.
    """
    if caller.identity is not None and not grant.acts_for_viewers:
        return _own_viewer_id(caller.identity, request)
    if grant.viewer_id != "optional" and request.viewer_id is None:
        raise _invalid(
            "viewer_id",
            "viewer_id_required",
            f"The grant {grant.name} requires a viewer ID.",
            hint="Set `viewer_id` to the ID of the viewer.",
        )
    return request.viewer_id


def _own_viewer_id(identity: Identity, request: PlaybackRequest) -> str:
    current = identity.viewer_ids[0]
    # Under a previous secret it is the same viewer, who has it from an earlier response.
    if request.viewer_id is not None and request.viewer_id not in identity.viewer_ids:
        message = "The caller is the viewer, and may not request a URL for another viewer."
        raise NotEntitled(
            message,
            hint="Leave out `viewer_id`: the service sets it. For a backend that requests URLs for"
            " viewers, set `acts_for_viewers` in its grants.",
            problems=(Problem("viewer_id", "viewer_id_of_another", message),),
        )
    return current


def country_of_viewer(
    grant: Grant, caller: Caller, request: PlaybackRequest, client_country: str | None
) -> str | None:
    """The country of the viewer, from the source that counts for this caller; None if unknown.

    `client_country` is the country of the client, as a trusted proxy says.

    Raises:
        CountryNotAllowed: when several grants allow no country in common.
        InvalidRequest: when the request names a country and may not, or when it is not one.
    """
    if grant.countries is not None and not grant.countries:
        raise _not_allowed(
            "countries_disjoint",
            f"The grants {grant.name} of this caller allow no country in common.",
            hint="Add a common country to `countries` of each, or give the caller one of them"
            " only.",
        )
    if caller.identity is not None and not grant.acts_for_viewers:
        if request.viewer_country is None:
            return client_country
        raise _invalid(
            "viewer_country",
            "viewer_country_not_accepted",
            "The caller is the viewer, and may not name the country.",
            hint="Leave out `viewer_country`: the service has it from its proxy.",
        )
    if request.viewer_country is None:
        return None
    if country_in(request.viewer_country) is None:
        raise _invalid(
            "viewer_country",
            "country_code",
            "The viewer's country must be a code of ISO 3166-1 alpha-2, such as DE.",
            hint="Leave out `viewer_country` if the country is not known.",
        )
    if grant.countries is not None and not grant.trust_viewer_country:
        raise _invalid(
            "viewer_country",
            "viewer_country_not_trusted",
            f"The grant {grant.name} does not trust this caller to name the viewer's country.",
            hint="Set `trust_viewer_country` in each of these grants that lists countries.",
        )
    return request.viewer_country if grant.trust_viewer_country else None


def require_country(grant: Grant, country: str | None) -> None:
    """Return if the grant allows viewers in that country; None is one that is not known.

    Raises:
        CountryNotAllowed: when it does not.
    """
    if grant.countries is None:
        return
    if country is None:
        if grant.unknown_country == "allow":
            return
        raise _not_allowed(
            "country_unknown",
            "The country of the viewer is not known.",
            hint="A backend names it in `viewer_country`, if its grants have"
            " `trust_viewer_country`. For viewers with a token of their own, a trusted proxy names"
            " it in the header that section `[viewer_country]` of the settings configures.",
        )
    if country not in grant.countries:
        raise _not_allowed(
            "country_not_granted",
            f"Viewers in {country} may not watch this channel.",
            hint="To allow it, add the country to `countries` of each grant that lists some.",
            country=country,
        )


def _not_allowed(
    rule: str, message: str, *, hint: str, country: str | None = None
) -> CountryNotAllowed:
    problem = Problem("viewer_country", rule, message)
    refusal = CountryNotAllowed(message, hint=hint, problems=(problem,))
    refusal.country = country
    return refusal


def _invalid(field: str, rule: str, message: str, *, hint: str) -> InvalidRequest:
    return InvalidRequest(message, hint=hint, problems=(Problem(field, rule, message),))
