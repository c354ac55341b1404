"""A grant as the settings have it, and one that combines several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeVar, get_args

from tokensvc.access import origins
from tokensvc.access.callers import Caller
from tokensvc.access.conditions import Condition
from tokensvc.arns import ChannelArn, ChannelPattern, Region
from tokensvc.errors import NotEntitled, Problem
from tokensvc.token.claims import Resolution

ViewerIdRule = Literal["optional", "required", "from-identity"]

_STRICTNESS: Final[Sequence[ViewerIdRule]] = get_args(ViewerIdRule)
_Cap = TypeVar("_Cap", int, Resolution)


@dataclass(frozen=True, slots=True)
class Grant:
    """What a caller that has this grant may request.

    Attributes:
        name: the name of the grant in the settings; of several, their names between commas.
        channels: the channels that it covers.
        max_ttl_seconds: the maximum TTL of a token; None means the limit of the service.
        allowed_origins: the origins that playback may come from; if empty, the request decides.
        maximum_resolution: the highest rendition offered; if None, the request decides.
        viewer_id: whether each request must have a viewer ID. With `from-identity` the grant
            applies only to callers with an identity, who get their own.
        when: conditions on the claims of the caller's identity. The grant applies if all hold.
        strict_origin_enforcement: whether every token has it, requested or not.
        single_use: whether every token is for single use, requested or not.
        countries: the countries of viewers, ISO 3166-1 alpha-2; None means every country.
        unknown_country: whether viewers whose country is not known are refused.
        trust_viewer_country: whether the country in a backend's request counts.
        acts_for_viewers: whether a caller with an identity is a backend, and not the viewer.
        entitlement: whether the entitlement hook is asked.
        max_watch_seconds: how long after its begin a session is ended; None means that it is not.
    """

    name: str
    channels: frozenset[ChannelPattern]
    max_ttl_seconds: int | None = None
    allowed_origins: tuple[str, ...] = ()
    maximum_resolution: Resolution | None = None
    viewer_id: ViewerIdRule = "optional"
    when: tuple[Condition, ...] = ()
    strict_origin_enforcement: bool = False
    single_use: bool = False
    countries: frozenset[str] | None = None
    unknown_country: Literal["refuse", "allow"] = "refuse"
    trust_viewer_country: bool = False
    acts_for_viewers: bool = False
    entitlement: bool = False
    max_watch_seconds: int | None = None
    # Of `channels`, as tuples: each request looks here, and the hash of a tuple runs no Python.
    _parts: frozenset[tuple[Region, str, str]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Prepare for `covers`."""
        parts = frozenset(
            (each.region, each.account_id, each.resource_id) for each in self.channels
        )
        object.__setattr__(self, "_parts", parts)

    def covers(self, arn: ChannelArn) -> bool:
        """Whether the grant covers the channel."""
        region, account_id, resource_id = arn.region, arn.account_id, arn.resource_id
        parts = self._parts
        return (region, account_id, resource_id) in parts or (region, account_id, "*") in parts

    def unmet(self, caller: Caller) -> Sequence[str]:
        """Why the grant does not apply to the caller, as texts for operators; empty if it does."""
        if caller.identity is None:
            needs = ["viewer_id = 'from-identity'"] if self.viewer_id == "from-identity" else []
            return [*needs, *map(str, self.when)]
        claims = caller.identity.claims
        return [str(condition) for condition in self.when if not condition.holds(claims)]


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of the service, which apply under every grant.

    Attributes:
        ttl_seconds: the TTL of a token when the request has none.
        max_ttl_seconds: the maximum TTL of any token.
    """

    ttl_seconds: int = 300
    max_ttl_seconds: int = 3_600


def combine(grants: Sequence[Grant]) -> Grant:
    """One grant that allows only what each of these allows, whatever their order.

    Raises:
        NotEntitled: when they allow no origin in common.
    """
    if len(grants) == 1:
        return grants[0]
    grants = sorted(grants, key=lambda grant: grant.name)
    about_countries = [grant for grant in grants if grant.countries is not None]
    return Grant(
        name=",".join(grant.name for grant in grants),
        channels=frozenset().union(*(grant.channels for grant in grants)),
        max_ttl_seconds=_lowest([grant.max_ttl_seconds for grant in grants]),
        allowed_origins=_common_origins(grants),
        maximum_resolution=_lowest([grant.maximum_resolution for grant in grants]),
        viewer_id=max((grant.viewer_id for grant in grants), key=_STRICTNESS.index),
        when=tuple(sorted({one for grant in grants for one in grant.when}, key=str)),
        strict_origin_enforcement=any(grant.strict_origin_enforcement for grant in grants),
        single_use=any(grant.single_use for grant in grants),
        countries=_common_countries(about_countries),
        # What grants without countries say about countries has no effect beside one that has some.
        unknown_country=(
            "refuse"
            if any(grant.unknown_country == "refuse" for grant in about_countries)
            else "allow"
        ),
        trust_viewer_country=all(grant.trust_viewer_country for grant in about_countries or grants),
        acts_for_viewers=all(grant.acts_for_viewers for grant in grants),
        entitlement=any(grant.entitlement for grant in grants),
        max_watch_seconds=_lowest([grant.max_watch_seconds for grant in grants]),
    )


def _lowest(caps: Sequence[_Cap | None]) -> _Cap | None:
    return min((cap for cap in caps if cap is not None), default=None)


def _common_countries(grants: Sequence[Grant]) -> frozenset[str] | None:
    """An empty set if there is no common country: then every request is refused."""
    sets = [grant.countries for grant in grants if grant.countries is not None]
    return frozenset.intersection(*sets) if sets else None


def _common_origins(grants: Sequence[Grant]) -> tuple[str, ...]:
    limited = [grant for grant in grants if grant.allowed_origins]
    if not limited:
        return ()
    shared = limited[0].allowed_origins
    for grant in limited[1:]:
        shared = origins.common(shared, grant.allowed_origins)
    if not shared:
        names = " and ".join(grant.name for grant in limited)
        message = f"The grants {names} of this caller allow no origin in common."
        raise NotEntitled(
            message,
            hint="Add a common origin to `allowed_origins` of each, or give the caller one of them"
            " only.",
            problems=(Problem("channel", "origins_disjoint", message),),
        )
    return shared
