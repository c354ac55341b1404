"""Grants: what a caller may request, and what the caller gets.

A grant names channels and caps. `scope` finds the grant that covers a channel, before any call to
IVS; `decide` turns a request into the options that the token is signed with:

1. A grant covers a channel by the channel's ARN, or by `channel/*` for one account and region.
2. Of all grants of the caller that cover the channel, the tightest caps apply together.
3. A TTL or a resolution above the cap is lowered to the cap and is not an error; the response says
   what was granted.
4. With a viewer ID or for single use the TTL is at most 540 seconds: IVS accepts 600, and clocks
   differ.
5. If a grant lists origins, the requested origins must be covered by them; without requested
   origins the grant's own are used. Another origin is refused, because the page would otherwise
   find out only when playback fails.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from tokensvc.access import origins
from tokensvc.access.callers import Caller
from tokensvc.access.requests import PlaybackRequest
from tokensvc.arns import ChannelArn, ChannelPattern
from tokensvc.errors import InvalidRequest, NotEntitled, Problem
from tokensvc.ivs.limits import GRANTED_UNDER_TEN_MINUTE_RULE_SECONDS
from tokensvc.token.claims import PlaybackOptions, Resolution

_SHOWN_ORIGINS = 5


@dataclass(frozen=True, slots=True)
class Grant:
    """What a caller that has this grant may request.

    Attributes:
        name: the name of the grant in the settings.
        channels: the channels that it covers.
        max_ttl_seconds: the maximum TTL of a token; None means the limit of the service.
        allowed_origins: the origins that playback may come from; if empty, the request decides.
        maximum_resolution: the highest rendition offered; if None, the request decides.
        viewer_id: whether each request must have a viewer ID.
        entitlement: whether the entitlement hook is asked.
    """

    name: str
    channels: frozenset[ChannelPattern]
    max_ttl_seconds: int | None = None
    allowed_origins: tuple[str, ...] = ()
    maximum_resolution: Resolution | None = None
    viewer_id: Literal["required", "optional"] = "optional"
    entitlement: bool = False

    def covers(self, arn: ChannelArn) -> bool:
        """Whether the grant covers the channel."""
        return not self.channels.isdisjoint(ChannelPattern.all_that_cover(arn))


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of the service, which apply under every grant.

    Attributes:
        ttl_seconds: the TTL of a token when the request has none.
        max_ttl_seconds: the maximum TTL of any token.
    """

    ttl_seconds: int = 300
    max_ttl_seconds: int = 3_600


@dataclass(frozen=True, slots=True)
class Granted:
    """What a grant allows for a request. The TTL also depends on the key pair that signs.

    Attributes:
        request: the request.
        grant: the grant that covers the channel.
        limits: the limits of the service.
        allowed_origins: the granted origins.
        maximum_resolution: the granted resolution.
    """

    request: PlaybackRequest
    grant: Grant
    limits: Limits
    allowed_origins: tuple[str, ...]
    maximum_resolution: Resolution | None

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


def scope(grants: Mapping[str, Grant], caller: Caller, arn: ChannelArn) -> Grant:
    """One grant with the tightest caps of all the caller's grants that cover the channel.

    A grant that was removed from the settings covers no channel.

    Raises:
        NotEntitled: when no grant of the caller covers the channel, or when they allow no origin
            in common.
    """
    covering = [
        grant
        for name in caller.grants
        if (grant := grants.get(name)) is not None and grant.covers(arn)
    ]
    if not covering:
        raise not_entitled(caller)
    combined = covering[0]
    for grant in covering[1:]:
        combined = _tightest(combined, grant)
    return combined


def _tightest(first: Grant, second: Grant) -> Grant:
    ttls = (first.max_ttl_seconds, second.max_ttl_seconds)
    resolutions = (first.maximum_resolution, second.maximum_resolution)
    return Grant(
        name=f"{first.name},{second.name}",
        channels=first.channels | second.channels,
        max_ttl_seconds=min((ttl for ttl in ttls if ttl is not None), default=None),
        allowed_origins=_common_origins(first, second),
        maximum_resolution=min((one for one in resolutions if one is not None), default=None),
        viewer_id="required" if "required" in (first.viewer_id, second.viewer_id) else "optional",
        entitlement=first.entitlement or second.entitlement,
    )


def _common_origins(first: Grant, second: Grant) -> tuple[str, ...]:
    if not first.allowed_origins or not second.allowed_origins:
        return first.allowed_origins or second.allowed_origins
    shared = origins.common(first.allowed_origins, second.allowed_origins)
    if not shared:
        raise NotEntitled(
            f"The grants {first.name} and {second.name} of this caller allow no origin in common.",
            hint="Add a common origin to `allowed_origins` of both, or give the API key one of"
            " them only.",
        )
    return shared


def not_entitled(caller: Caller) -> NotEntitled:
    """The refusal of a channel that no grant of the caller covers, or that is not configured.

    It is the same for both, and has no ARN: a caller can't find out which names exist, nor the
    account of a channel that it may not play.
    """
    allow = (
        f"To allow it, add the channel to a grant of this caller: {', '.join(caller.grants)}."
        if caller.grants
        else "To allow it, add a section `[grants.NAME]` with this channel to the settings."
    )
    return NotEntitled(
        "No grant of this caller covers the requested channel.",
        hint="Check the ARN of the channel, or its name in section `[channels]` of the settings."
        f" {allow}",
    )


def decide(grant: Grant, request: PlaybackRequest, limits: Limits) -> Granted:
    """What the grant allows for the request, within the limits of the service.

    Raises:
        InvalidRequest: when the grant requires a viewer ID and the request has none.
        NotEntitled: when the grant does not allow a requested origin.
    """
    if grant.viewer_id == "required" and request.viewer_id is None:
        message = f"The grant {grant.name} requires a viewer ID."
        raise InvalidRequest(
            message,
            hint="Set `viewer_id` to the ID of the viewer.",
            problems=(Problem("viewer_id", "viewer_id_required", message),),
        )
    return Granted(
        request,
        grant,
        limits,
        allowed_origins=_granted_origins(grant, request),
        maximum_resolution=_granted_resolution(grant, request),
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
    caps = (
        limits.max_ttl_seconds,
        longest_ttl_seconds,
        grant.max_ttl_seconds,
        GRANTED_UNDER_TEN_MINUTE_RULE_SECONDS if request.has_ten_minute_rule else None,
    )
    return min(ttl_seconds, *(cap for cap in caps if cap is not None))


def _granted_resolution(grant: Grant, request: PlaybackRequest) -> Resolution | None:
    caps = (grant.maximum_resolution, request.maximum_resolution)
    return min((cap for cap in caps if cap is not None), default=None)


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
