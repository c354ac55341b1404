"""Grants: what a caller may ask for, and what it is then given.

A grant names channels and caps. `scope` finds the grant that covers a channel, before anything is
asked of IVS; `decide` makes of what was asked the options that a token is signed with:

1. A channel is covered by its own ARN, or by every channel of one account in one region.
2. The first grant that covers it decides, in the order in which the caller holds them.
3. A longer life than allowed is shortened; the answer says what was granted. So is a higher
   resolution lowered: neither makes a request wrong.
4. With a viewer ID or for single use, 540 seconds at most: IVS takes 600, and clocks differ.
5. Where a grant lists origins, the asked ones lie within them, or the grant's own are used. A
   request for others is refused, as a page elsewhere would find out only when playing fails.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from tokensvc.access.callers import Caller
from tokensvc.arns import ChannelArn, parse_region
from tokensvc.claims import GRANTED_UNDER_TEN_MINUTE_RULE_SECONDS, PlaybackOptions, Resolution
from tokensvc.errors import InvalidArn, InvalidRequest, NotEntitled, Problem

_EVERY_CHANNEL = re.compile(r"arn:aws:ivs:([a-z0-9-]+):([0-9]+):channel/\*", re.ASCII)
# What a leading * of an origin may stand for: part of a host, possibly with a * of its own. No
# slash, colon or comma, so that nothing but a host's beginning passes for one.
_STANDS_FOR = re.compile(r"[a-z0-9_.*-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Grant:
    """What its holders may ask for.

    Attributes:
        name: its name in the settings.
        channels: ARNs and patterns as `parse_channel_pattern` gives them.
        max_ttl_seconds: the longest life of a token; None leaves it to the service's limit.
        allowed_origins: the origins that playback may come from; none leaves it to the request.
        maximum_resolution: the highest rendition offered; None leaves it to the request.
        viewer_id: whether each request has to name its viewer.
    """

    name: str
    channels: tuple[str, ...]
    max_ttl_seconds: int | None = None
    allowed_origins: tuple[str, ...] = ()
    maximum_resolution: Resolution | None = None
    viewer_id: Literal["required", "optional"] = "optional"

    def covers(self, arn: ChannelArn) -> bool:
        """Whether the channel is one of the grant's."""
        every_channel = f"arn:aws:ivs:{arn.region}:{arn.account_id}:channel/*"
        return str(arn) in self.channels or every_channel in self.channels


@dataclass(frozen=True, slots=True)
class Limits:
    """What no grant goes beyond.

    Attributes:
        ttl_seconds: the life of a token for which no other was asked.
        max_ttl_seconds: the longest life of any token.
    """

    ttl_seconds: int = 300
    max_ttl_seconds: int = 3_600


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedOptions:
    """What a request asks of a token; None, False and () ask for nothing.

    Attributes:
        viewer_id: who watches.
        ttl_seconds: how long after signing playback may start.
        allowed_origins: the origins that playback may come from.
        strict_origin_enforcement: whether every request must come from them.
        single_use: whether the token dies when it has started playback once.
        maximum_resolution: the highest rendition wanted.
    """

    viewer_id: str | None = None
    ttl_seconds: int | None = None
    allowed_origins: tuple[str, ...] = ()
    strict_origin_enforcement: bool = False
    single_use: bool = False
    maximum_resolution: Resolution | None = None

    @property
    def has_ten_minute_rule(self) -> bool:
        """Whether IVS takes ten minutes at most (IVS: private-channels-generate-tokens)."""
        return self.viewer_id is not None or self.single_use


def parse_channel_pattern(text: str) -> str:
    """The text, once it was found to be a channel's ARN, or `…:channel/*` of a region and account.

    Raises:
        InvalidArn: when it is neither; a pattern never reaches beyond one account and region.
    """
    if match := _EVERY_CHANNEL.fullmatch(text):
        parse_region(match[1])
        return text
    try:
        return str(ChannelArn.parse(text))
    except InvalidArn as exc:
        raise InvalidArn(
            exc.detail,
            hint="A grant names a channel's ARN, or arn:aws:ivs:REGION:ACCOUNT:channel/*.",
        ) from exc


def scope(grants: Mapping[str, Grant], caller: Caller, arn: ChannelArn) -> Grant:
    """The first of the caller's grants that covers the channel.

    A grant that the caller holds and the settings no longer have covers nothing.

    Raises:
        NotEntitled: when none does.
    """
    for name in caller.grants:
        if (grant := grants.get(name)) is not None and grant.covers(arn):
            return grant
    held = ", ".join(caller.grants) or "it has none yet, so begin with a section [grants.NAME]"
    raise NotEntitled(
        f"No grant of this caller covers the channel {arn}.",
        hint=f"An operator adds the channel to one of the caller's grants: {held}.",
    )


def decide(grant: Grant, asked: AskedOptions, limits: Limits) -> PlaybackOptions:
    """What is granted of what was asked; never more than the grant and the limits allow.

    Raises:
        InvalidRequest: when the grant needs a viewer ID and none is named.
        NotEntitled: when an origin is asked for that the grant doesn't list.
    """
    if grant.viewer_id == "required" and asked.viewer_id is None:
        message = f"The grant {grant.name} needs a viewer ID: name who watches."
        raise InvalidRequest(
            message, problems=(Problem("viewer_id", "viewer_id_required", message),)
        )
    return PlaybackOptions(
        ttl_seconds=_granted_ttl_seconds(grant, asked, limits),
        allowed_origins=_granted_origins(grant, asked),
        strict_origin_enforcement=asked.strict_origin_enforcement,
        single_use=asked.single_use,
        maximum_resolution=_granted_resolution(grant, asked),
    )


def _granted_ttl_seconds(grant: Grant, asked: AskedOptions, limits: Limits) -> int:
    caps = [limits.max_ttl_seconds]
    if grant.max_ttl_seconds is not None:
        caps.append(grant.max_ttl_seconds)
    if asked.has_ten_minute_rule:
        caps.append(GRANTED_UNDER_TEN_MINUTE_RULE_SECONDS)
    wanted = limits.ttl_seconds if asked.ttl_seconds is None else asked.ttl_seconds
    return min(wanted, *caps)


def _granted_resolution(grant: Grant, asked: AskedOptions) -> Resolution | None:
    wanted = (grant.maximum_resolution, asked.maximum_resolution)
    return min((one for one in wanted if one is not None), default=None)


def _granted_origins(grant: Grant, asked: AskedOptions) -> tuple[str, ...]:
    if not asked.allowed_origins or not grant.allowed_origins:
        return asked.allowed_origins or grant.allowed_origins
    outside = [
        origin
        for origin in asked.allowed_origins
        if not any(_lies_within(origin, granted) for granted in grant.allowed_origins)
    ]
    if outside:
        raise NotEntitled(
            f"The grant {grant.name} does not allow playback from {', '.join(outside)}.",
            hint=f"It allows {', '.join(grant.allowed_origins)}.",
            problems=tuple(
                Problem("allowed_origins", "origin_not_granted", f"{origin} is not allowed.")
                for origin in outside
            ),
        )
    return asked.allowed_origins


def _lies_within(asked: str, granted: str) -> bool:
    """Whether every origin that IVS lets through for `asked` it lets through for `granted`."""
    asked, granted = asked.lower(), granted.lower()
    if granted in (asked, "*"):
        return True
    scheme, star, rest = granted.partition("://*")
    if not star or not asked.startswith(f"{scheme}://") or not asked.endswith(rest):
        return False
    return _STANDS_FOR.fullmatch(asked[len(f"{scheme}://") : len(asked) - len(rest)]) is not None
