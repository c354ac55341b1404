"""The claims of a playback token: requested options in, claims that break no rule out.

The rules are in `tokensvc.token.rules`.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self

from tokensvc.arns import ChannelArn
from tokensvc.errors import InvalidRequest, Problem
from tokensvc.token.rules import (
    ALLOWED_ORIGINS,
    CHANNEL_ARN,
    EXP,
    MAXIMUM_RESOLUTION,
    SINGLE_USE_UUID,
    STRICT_ORIGIN_ENFORCEMENT,
    VIEWER_ID,
    VIEWER_SESSION_VERSION,
    broken_rules,
)


class Resolution(StrEnum):
    """The highest rendition offered to a viewer. Members are ordered from the lowest.

    >>> from tokensvc import Resolution
    >>> min(Resolution("FULL_HD"), Resolution.HD)
    <Resolution.HD: 'HD'>
    """

    SD = "SD"
    HD = "HD"
    FULL_HD = "FULL_HD"

    @property
    def _rank(self) -> int:
        return tuple(Resolution).index(self)

    def __lt__(self, other: str) -> bool:
        return self._rank < Resolution(other)._rank

    def __le__(self, other: str) -> bool:
        return self._rank <= Resolution(other)._rank

    def __gt__(self, other: str) -> bool:
        return self._rank > Resolution(other)._rank

    def __ge__(self, other: str) -> bool:
        return self._rank >= Resolution(other)._rank


@dataclass(frozen=True, slots=True)
class PlaybackOptions:
    """The options of a token, requested or granted.

    >>> from tokensvc import PlaybackOptions, Resolution
    >>> options = PlaybackOptions(ttl_seconds=300, maximum_resolution=Resolution.HD)
    >>> options.allowed_origins, options.single_use
    ((), False)

    Attributes:
        ttl_seconds: how long after signing playback may start; playback that has started
            continues after that.
        allowed_origins: patterns such as `https://*.example.com`; an empty tuple allows every
            origin.
        strict_origin_enforcement: whether every request must come from an allowed origin, instead
            of only the first.
        single_use: whether the token can start playback only once.
        maximum_resolution: the highest rendition offered; None offers all.
    """

    ttl_seconds: int
    allowed_origins: tuple[str, ...] = ()
    strict_origin_enforcement: bool = False
    single_use: bool = False
    maximum_resolution: Resolution | None = None


@dataclass(frozen=True, slots=True)
class PlaybackClaims:
    """The claims of one token. Create them with `at`, which refuses claims that break a rule.

    >>> from tokensvc import ChannelArn, PlaybackClaims, PlaybackOptions
    >>> channel = ChannelArn.parse("arn:aws:ivs:us-west-2:123456789012:channel/abcdEFGHijkl")
    >>> options = PlaybackOptions(ttl_seconds=300)
    >>> claims = PlaybackClaims.at(1_800_000_000, channel, options, "viewer-7")
    >>> claims.payload()
    {'aws:channel-arn': 'arn:aws:ivs:us-west-2:123456789012:channel/abcdEFGHijkl',
     'aws:viewer-id': 'viewer-7', 'aws:viewer-session-version': 1800000000, 'exp': 1800000300}

    Attributes:
        channel_arn: the channel that the token is for.
        options: the granted options.
        expires_at: Unix seconds.
        viewer_id: the viewer, 1 to 40 characters without personal data, or None.
        viewer_session_version: when the session began, in Unix seconds, if there is a viewer ID:
            the signing time, or that of the token which this one replaces. So revoking all sessions
            "up to now" needs no table of sessions.
        single_use_uuid: a new UUID if the token is for single use.
    """

    channel_arn: ChannelArn
    options: PlaybackOptions
    expires_at: int
    viewer_id: str | None
    viewer_session_version: int | None
    single_use_uuid: uuid.UUID | None

    @classmethod
    def at(
        cls,
        now: float,
        channel_arn: ChannelArn,
        options: PlaybackOptions,
        viewer_id: str | None = None,
        *,
        session_version: int | None = None,
        new_uuid: Callable[[], uuid.UUID] = uuid.uuid4,
    ) -> Self:
        """The claims of a token signed at `now` (Unix seconds).

        `session_version` is the version of the viewer's session; None begins a session now.

        Raises:
            InvalidRequest: with one problem for each rule that the claims would break, IVS's
                rules and tokensvc's own (IVS: private-channels-generate-tokens).
        """
        claims = cls(
            channel_arn=channel_arn,
            options=options,
            expires_at=int(now) + options.ttl_seconds,
            viewer_id=viewer_id,
            viewer_session_version=_version(viewer_id, session_version, now),
            single_use_uuid=new_uuid() if options.single_use else None,
        )
        problems = (
            *_origins_with_commas(options),
            *(
                Problem(_FIELD_OF_CLAIM[broken.claim], broken.rule, broken.message)
                for broken in broken_rules(claims.payload(), now)
            ),
        )
        if problems:
            raise InvalidRequest(
                "A playback token with these options is not allowed. "
                + " ".join(problem.message for problem in problems),
                problems=problems,
            )
        return claims

    @property
    def ttl_seconds(self) -> int:
        """The number of seconds after signing in which playback may start."""
        return self.options.ttl_seconds

    def payload(self) -> dict[str, str | int | bool]:
        """The claims under IVS's names. Options that were not requested are left out."""
        options = self.options
        payload: dict[str, str | int | bool] = {CHANNEL_ARN: str(self.channel_arn)}
        if options.allowed_origins:
            payload[ALLOWED_ORIGINS] = ",".join(options.allowed_origins)
        if options.strict_origin_enforcement:
            payload[STRICT_ORIGIN_ENFORCEMENT] = True
        if self.single_use_uuid is not None:
            payload[SINGLE_USE_UUID] = str(self.single_use_uuid)
        if self.viewer_id is not None:
            payload[VIEWER_ID] = self.viewer_id
        if self.viewer_session_version is not None:
            payload[VIEWER_SESSION_VERSION] = self.viewer_session_version
        if options.maximum_resolution is not None:
            payload[MAXIMUM_RESOLUTION] = options.maximum_resolution.value
        payload[EXP] = self.expires_at
        return payload


_FIELD_OF_CLAIM: Final = {
    EXP: "ttl_seconds",
    CHANNEL_ARN: "channel",
    ALLOWED_ORIGINS: "allowed_origins",
    STRICT_ORIGIN_ENFORCEMENT: "strict_origin_enforcement",
    SINGLE_USE_UUID: "single_use",
    VIEWER_ID: "viewer_id",
    VIEWER_SESSION_VERSION: "viewer_id",
    MAXIMUM_RESOLUTION: "maximum_resolution",
}


def _version(viewer_id: str | None, session_version: int | None, now: float) -> int | None:
    if viewer_id is None:
        return None
    return int(now) if session_version is None else session_version


def _origins_with_commas(options: PlaybackOptions) -> tuple[Problem, ...]:
    # In the claim, a comma separates origins: an item with a comma would add an origin that no
    # grant has allowed.
    if not any("," in origin for origin in options.allowed_origins):
        return ()
    return (
        Problem(
            "allowed_origins",
            "origins_one_each",
            "An origin contains a comma. Write each origin as a separate item.",
        ),
    )
