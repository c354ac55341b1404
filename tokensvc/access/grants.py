"""Grants: what a caller may request, and what the caller gets.

A grant names channels and caps. `scope` finds the grant that covers a channel, before any call to
IVS; `decide` turns the requested options into the options that the token is signed with:

1. A grant covers a channel by the channel's ARN, or by `channel/*` for one account and region.
2. The first grant that covers the channel decides, in the order of the caller's grants.
3. A TTL or a resolution above the cap is lowered to the cap and is not an error; the response says
   what was granted.
4. With a viewer ID or for single use the TTL is at most 540 seconds: IVS accepts 600, and clocks
   differ.
5. If a grant lists origins, the requested origins must be covered by them; without requested
   origins the grant's own are used. Another origin is refused, because the page would otherwise
   find out only when playback fails.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from tokensvc.access.callers import Caller
from tokensvc.arns import ChannelArn, parse_region
from tokensvc.errors import InvalidArn, InvalidRequest, NotEntitled, Problem
from tokensvc.token.claims import GRANTED_UNDER_TEN_MINUTE_RULE_SECONDS, PlaybackOptions, Resolution

_EVERY_CHANNEL = re.compile(r"arn:aws:ivs:([a-z0-9-]+):([0-9]+):channel/\*", re.ASCII)
# What the leading * of an origin matches: part of a host name, which may itself begin with *. No
# slash, colon or comma, so that only the beginning of a host name can match.
_HOST_PREFIX = re.compile(r"[a-z0-9_.*-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Grant:
    """What a caller that has this grant may request.

    Attributes:
        name: the name of the grant in the settings.
        channels: ARNs and patterns as `parse_channel_pattern` returns them.
        max_ttl_seconds: the maximum TTL of a token; None means the limit of the service.
        allowed_origins: the origins that playback may come from; if empty, the request decides.
        maximum_resolution: the highest rendition offered; if None, the request decides.
        viewer_id: whether each request must have a viewer ID.
    """

    name: str
    channels: tuple[str, ...]
    max_ttl_seconds: int | None = None
    allowed_origins: tuple[str, ...] = ()
    maximum_resolution: Resolution | None = None
    viewer_id: Literal["required", "optional"] = "optional"

    def covers(self, arn: ChannelArn) -> bool:
        """Whether the grant covers the channel."""
        every_channel = f"arn:aws:ivs:{arn.region}:{arn.account_id}:channel/*"
        return str(arn) in self.channels or every_channel in self.channels


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of the service, which apply under every grant.

    Attributes:
        ttl_seconds: the TTL of a token when the request has none.
        max_ttl_seconds: the maximum TTL of any token.
    """

    ttl_seconds: int = 300
    max_ttl_seconds: int = 3_600


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestedOptions:
    """The options of a request; None, False and () mean that the option was not requested.

    Attributes:
        viewer_id: the ID of the viewer.
        ttl_seconds: how many seconds after signing playback may start.
        allowed_origins: the origins that playback may come from.
        strict_origin_enforcement: whether every request must come from them.
        single_use: whether the token is valid for one start of playback only.
        maximum_resolution: the highest rendition requested.
    """

    viewer_id: str | None = None
    ttl_seconds: int | None = None
    allowed_origins: tuple[str, ...] = ()
    strict_origin_enforcement: bool = False
    single_use: bool = False
    maximum_resolution: Resolution | None = None

    @property
    def has_ten_minute_rule(self) -> bool:
        """Whether IVS accepts at most ten minutes (IVS: private-channels-generate-tokens)."""
        return self.viewer_id is not None or self.single_use


def parse_channel_pattern(text: str) -> str:
    """The text, if it is the ARN of a channel, or `…:channel/*` with an account and a region.

    Raises:
        InvalidArn: when it is neither; a pattern can't span accounts or regions.
    """
    if match := _EVERY_CHANNEL.fullmatch(text):
        parse_region(match[1])
        return text
    try:
        return str(ChannelArn.parse(text))
    except InvalidArn as exc:
        raise InvalidArn(
            exc.detail,
            hint="Use the ARN of a channel, or `arn:aws:ivs:REGION:ACCOUNT:channel/*`.",
        ) from exc


def scope(grants: Mapping[str, Grant], caller: Caller, arn: ChannelArn) -> Grant:
    """The first of the caller's grants that covers the channel.

    A grant that was removed from the settings covers no channel.

    Raises:
        NotEntitled: when no grant of the caller covers the channel.
    """
    for name in caller.grants:
        if (grant := grants.get(name)) is not None and grant.covers(arn):
            return grant
    hint = (
        f"Add the channel to a grant of this caller in the settings: {', '.join(caller.grants)}."
        if caller.grants
        else "Add a section `[grants.NAME]` with this channel to the settings."
    )
    raise NotEntitled(f"No grant of this caller covers the channel {arn}.", hint=hint)


def decide(grant: Grant, requested: RequestedOptions, limits: Limits) -> PlaybackOptions:
    """The granted options: what was requested, within the grant and the limits.

    Raises:
        InvalidRequest: when the grant requires a viewer ID and the request has none.
        NotEntitled: when the grant does not allow a requested origin.
    """
    if grant.viewer_id == "required" and requested.viewer_id is None:
        message = f"The grant {grant.name} requires a viewer ID."
        raise InvalidRequest(
            message,
            hint="Set `viewer_id` to the ID of the viewer.",
            problems=(Problem("viewer_id", "viewer_id_required", message),),
        )
    return PlaybackOptions(
        ttl_seconds=_granted_ttl_seconds(grant, requested, limits),
        allowed_origins=_granted_origins(grant, requested),
        strict_origin_enforcement=requested.strict_origin_enforcement,
        single_use=requested.single_use,
        maximum_resolution=_granted_resolution(grant, requested),
    )


def _granted_ttl_seconds(grant: Grant, requested: RequestedOptions, limits: Limits) -> int:
    caps = [limits.max_ttl_seconds]
    if grant.max_ttl_seconds is not None:
        caps.append(grant.max_ttl_seconds)
    if requested.has_ten_minute_rule:
        caps.append(GRANTED_UNDER_TEN_MINUTE_RULE_SECONDS)
    ttl_seconds = limits.ttl_seconds if requested.ttl_seconds is None else requested.ttl_seconds
    return min(ttl_seconds, *caps)


def _granted_resolution(grant: Grant, requested: RequestedOptions) -> Resolution | None:
    caps = (grant.maximum_resolution, requested.maximum_resolution)
    return min((cap for cap in caps if cap is not None), default=None)


def _granted_origins(grant: Grant, requested: RequestedOptions) -> tuple[str, ...]:
    if not requested.allowed_origins or not grant.allowed_origins:
        return requested.allowed_origins or grant.allowed_origins
    outside = [
        origin
        for origin in requested.allowed_origins
        if not any(_is_covered(origin, granted) for granted in grant.allowed_origins)
    ]
    if outside:
        raise NotEntitled(
            f"The grant {grant.name} does not allow playback from {', '.join(outside)}.",
            hint=f"Use origins that the grant allows: {', '.join(grant.allowed_origins)}.",
            problems=tuple(
                Problem("allowed_origins", "origin_not_granted", f"{origin} is not allowed.")
                for origin in outside
            ),
        )
    return requested.allowed_origins


def _is_covered(requested: str, granted: str) -> bool:
    """Whether IVS allows for `granted` every origin that it allows for `requested`."""
    requested, granted = requested.lower(), granted.lower()
    if granted in (requested, "*"):
        return True
    scheme, star, rest = granted.partition("://*")
    if not star or not requested.startswith(f"{scheme}://") or not requested.endswith(rest):
        return False
    prefix = requested[len(f"{scheme}://") : len(requested) - len(rest)]
    return _HOST_PREFIX.fullmatch(prefix) is not None
