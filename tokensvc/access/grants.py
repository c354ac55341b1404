"""Which grant applies to a request, and what the caller gets.

A grant names channels and caps. `scope` finds the grant that covers a channel, before any call to
IVS; `decide` turns a request into the options that the token is signed with:

1. A grant covers a channel by the channel's ARN, or by `channel/*` for one account and region. It
   applies if the caller's identity meets its conditions (`when`), and with
   `viewer_id = "from-identity"` only if the caller has an identity.
2. Of all grants of the caller that apply, the tightest caps apply together.
3. A TTL or a resolution above the cap is lowered to the cap and is not an error; the response says
   what was granted. Strict origin enforcement and single use apply if any of them forces it.
4. With a viewer ID or for single use the TTL is at most 540 seconds: IVS accepts 600, and clocks
   differ.
5. If a grant lists origins, the requested origins must be covered by them; without requested
   origins the grant's own are used. Another origin is refused, because the page would otherwise
   find out only when playback fails.
6. A caller with an identity is the viewer, and gets the own viewer ID in every token, whatever the
   grants say: `tokensvc.access.viewers`. If they list countries, that of the viewer must be among
   them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tokensvc.access import origins
from tokensvc.access.callers import Caller
from tokensvc.access.grant import Grant, Limits, combine
from tokensvc.access.requests import PlaybackRequest
from tokensvc.access.viewers import country_of_viewer, require_country, viewer_id_of
from tokensvc.arns import ChannelArn
from tokensvc.errors import NotEntitled, Problem
from tokensvc.ivs.limits import GRANTED_UNDER_TEN_MINUTE_RULE_SECONDS
from tokensvc.token.claims import PlaybackOptions, Resolution

__all__ = ["Grant", "Granted", "Limits", "decide", "granted_ttl_seconds", "not_entitled", "scope"]

_SHOWN_ORIGINS = 5


@dataclass(frozen=True, slots=True)
class Granted:
    """What a grant allows for a request. The TTL also depends on the key pair that signs.

    Attributes:
        request: the request, with the viewer ID and the options that the grant forces.
        requested: the request as the caller sent it.
        grant: the grant that covers the channel.
        limits: the limits of the service.
        allowed_origins: the granted origins.
        maximum_resolution: the granted resolution.
        country: the country of the viewer, if it is known from a source that counts.
    """

    request: PlaybackRequest
    requested: PlaybackRequest
    grant: Grant
    limits: Limits
    allowed_origins: tuple[str, ...]
    maximum_resolution: Resolution | None
    country: str | None = None

    def options(self, longest_ttl_seconds: int) -> PlaybackOptions:
        """The options of a token that a key pair with this longest TTL signs."""
        return PlaybackOptions(
            ttl_seconds=granted_ttl_seconds(
                self.request, self.grant, self.limits, longest_ttl_seconds
            ),
            allowed_origins=self.allowed_origins,
            strict_origin_enforcement=self.request.strict_origin_enforcement,
            single_use=self.request.single_use,
            maximum_resolution=self.maximum_resolution,
        )

    def limited(self, ttl_seconds: int) -> str | None:
        """The options that a grant or a limit has changed, for the audit; None if there are none.

        They have the names of the request's members, with commas between them: an option that was
        requested and is lower now, or that was not requested and is forced.
        """
        asked, got = self.requested, self.request
        changed = []
        if asked.ttl_seconds is not None and ttl_seconds < asked.ttl_seconds:
            changed.append("ttl_seconds")
        if self.allowed_origins != asked.allowed_origins:
            changed.append("allowed_origins")
        if got.strict_origin_enforcement and not asked.strict_origin_enforcement:
            changed.append("strict_origin_enforcement")
        if got.single_use and not asked.single_use:
            changed.append("single_use")
        if self.maximum_resolution != asked.maximum_resolution:
            changed.append("maximum_resolution")
        return ",".join(changed) or None


def scope(grants: Mapping[str, Grant], caller: Caller, arn: ChannelArn) -> Grant:
    """One grant with the tightest caps of all the caller's grants that apply to the channel.

    A grant that was removed from the settings covers no channel.

    Raises:
        NotEntitled: when no grant of the caller applies to the channel, or when they allow no
            origin in common, or do not agree whether the caller is the viewer.
    """
    applying: list[Grant] = []
    is_covered = False
    for name in caller.grants:
        grant = grants.get(name)
        if grant is None or not grant.covers(arn):
            continue
        is_covered = True
        is_conditional = grant.when or grant.viewer_id == "from-identity"
        if not is_conditional or not grant.unmet(caller):
            applying.append(grant)
    if not applying:
        raise not_entitled(caller, audit_rule="grant_conditions" if is_covered else None)
    if len(applying) == 1:
        return applying[0]
    if caller.identity is not None and len({grant.acts_for_viewers for grant in applying}) > 1:
        raise _disagreement(applying)
    return combine(applying)


def not_entitled(caller: Caller, *, audit_rule: str | None = None) -> NotEntitled:
    """The refusal of a channel that no grant of the caller covers, or that is not configured.

    It is the same for both, and has no ARN: a caller can't find out which names exist, nor the
    account of a channel that it may not play. Only the audit has the `audit_rule`, which says more.
    """
    if caller.identity is not None:  # Possibly a person, for whom the names mean nothing.
        allow = "To allow it, add the channel to a grant of the issuer of the token."
    elif caller.grants:
        allow = (
            f"To allow it, add the channel to a grant of this caller: {', '.join(caller.grants)}."
        )
    else:
        allow = "To allow it, add a section `[grants.NAME]` with this channel to the settings."
    message = "No grant of this caller covers the requested channel."
    return NotEntitled(
        message,
        hint="Check the ARN of the channel, or its name in section `[channels]` of the settings."
        f" {allow}",
        problems=(Problem("channel", "no_grant", message),),
        audit_rule=audit_rule,
    )


def _disagreement(grants: Sequence[Grant]) -> NotEntitled:
    names = ", ".join(sorted(grant.name for grant in grants))
    message = f"The grants {names} don't agree whether this caller is the viewer or a backend."
    return NotEntitled(
        message,
        hint="Set `acts_for_viewers` in all of them, or in none.",
        problems=(Problem("channel", "acts_for_viewers_differs", message),),
    )


def decide(
    grant: Grant,
    caller: Caller,
    request: PlaybackRequest,
    limits: Limits,
    client_country: str | None = None,
) -> Granted:
    """What the grant allows for the request, within the limits of the service.

    Args:
        grant: the grant that `scope` has found.
        caller: who sent the request.
        request: the request.
        limits: the limits of the service.
        client_country: the country of the client, as a trusted proxy says; None if unknown.

    Raises:
        InvalidRequest: when the grant requires a viewer ID and the request has none, or when the
            country in the request is not one, or does not count.
        NotEntitled: when the grant does not allow a requested origin, or when a viewer requests a
            URL for another one.
        CountryNotAllowed: when the grant does not allow the country of the viewer.
    """
    viewer_id = viewer_id_of(grant, caller, request)
    country = None
    if grant.countries is not None or client_country or request.viewer_country is not None:
        country = country_of_viewer(grant, caller, request, client_country)
        require_country(grant, country)
    return Granted(
        _as_forced(grant, request, viewer_id),
        request,
        grant,
        limits,
        allowed_origins=_granted_origins(grant, request),
        maximum_resolution=_granted_resolution(grant, request),
        country=country,
    )


def granted_ttl_seconds(
    request: PlaybackRequest, grant: Grant, limits: Limits, longest_ttl_seconds: int
) -> int:
    """The TTL of a token, after every cap. Only the entitlement hook may lower it further.

    Args:
        request: its TTL, or else the default of `limits`, is lowered to the lowest cap. With a
            viewer ID or for single use, 540 seconds are a cap.
        grant: its maximum is a cap, if it has one.
        limits: the maximum of the service is a cap.
        longest_ttl_seconds: the cap of the key pair that signs (rule 4 of rotation).
    """
    ttl_seconds = limits.ttl_seconds if request.ttl_seconds is None else request.ttl_seconds
    caps = [ttl_seconds, limits.max_ttl_seconds, longest_ttl_seconds]
    if grant.max_ttl_seconds is not None:
        caps.append(grant.max_ttl_seconds)
    if request.has_ten_minute_rule:
        caps.append(GRANTED_UNDER_TEN_MINUTE_RULE_SECONDS)
    return min(caps)


def _as_forced(grant: Grant, request: PlaybackRequest, viewer_id: str | None) -> PlaybackRequest:
    strict = request.strict_origin_enforcement or grant.strict_origin_enforcement
    single_use = request.single_use or grant.single_use
    if (viewer_id, strict, single_use) == (
        request.viewer_id,
        request.strict_origin_enforcement,
        request.single_use,
    ):
        return request  # The usual case, which costs nothing.
    return replace(
        request, viewer_id=viewer_id, strict_origin_enforcement=strict, single_use=single_use
    )


def _granted_resolution(grant: Grant, request: PlaybackRequest) -> Resolution | None:
    cap, requested = grant.maximum_resolution, request.maximum_resolution
    if cap is None or requested is None:
        return cap or requested
    return min(cap, requested)


def _granted_origins(grant: Grant, request: PlaybackRequest) -> tuple[str, ...]:
    if not request.allowed_origins or not grant.allowed_origins:
        return request.allowed_origins or grant.allowed_origins
    outside = [
        origin
        for origin in request.allowed_origins
        if not any(origins.is_covered(origin, granted) for granted in grant.allowed_origins)
    ]
    if outside:
        raise NotEntitled(
            f"The grant {grant.name} does not allow playback from {_first_of(outside)}.",
            hint=f"Use origins that the grant allows: {_first_of(grant.allowed_origins)}.",
            problems=tuple(
                Problem("allowed_origins", "origin_not_granted", f"{origin} is not allowed.")
                for origin in outside
            ),
        )
    return request.allowed_origins


def _first_of(listed: Sequence[str]) -> str:
    more = len(listed) - _SHOWN_ORIGINS
    return ", ".join(listed[:_SHOWN_ORIGINS]) + (f" and {more} more" if more > 0 else "")
