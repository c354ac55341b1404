"""What a playback token claims: options asked for, then claims that break no rule at a moment.

The rules themselves are in `claim_rules`.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self

from tokensvc.arns import ChannelArn
from tokensvc.claim_rules import (
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
from tokensvc.errors import InvalidRequest, Problem

GRANTED_UNDER_TEN_MINUTE_RULE_SECONDS: Final = 540
"""What is granted where IVS takes 600: a minute's room for clocks that differ."""

LONGEST_TOKEN_BYTES: Final = 2_048
"""The whole JWT; believed: no page of AWS that we hold says it."""


class Resolution(StrEnum):
    """The highest rendition that a viewer is offered, ordered from the lowest."""

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
    """What is asked of a token, or granted.

    Attributes:
        ttl_seconds: how long after signing playback may start; a stream that plays goes on.
        allowed_origins: patterns such as `https://*.example.com`; none allows every origin.
        strict_origin_enforcement: whether every request must come from them, not the first alone.
        single_use: whether the token dies when it has started playback once.
        maximum_resolution: the highest rendition offered; None offers all.
    """

    ttl_seconds: int
    allowed_origins: tuple[str, ...] = ()
    strict_origin_enforcement: bool = False
    single_use: bool = False
    maximum_resolution: Resolution | None = None


@dataclass(frozen=True, slots=True)
class PlaybackClaims:
    """The claims of one token; `at` makes them, and makes none that breaks a rule.

    Attributes:
        channel_arn: the channel that the token is for.
        options: what was granted.
        expires_at: Unix seconds.
        viewer_id: who watches, 1 to 40 characters without personal data, or None.
        viewer_session_version: Unix seconds of signing wherever there is a viewer ID, so that
            revoking "up to now" needs no table of sessions.
        single_use_uuid: a fresh UUID where the token is for single use.
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
        new_uuid: Callable[[], uuid.UUID] = uuid.uuid4,
    ) -> Self:
        """The claims of a token signed at `now` (Unix seconds).

        Raises:
            InvalidRequest: with a problem for every rule that they would break, IVS's
                and this house's (IVS: private-channels-generate-tokens).
        """
        claims = cls(
            channel_arn=channel_arn,
            options=options,
            expires_at=int(now) + options.ttl_seconds,
            viewer_id=viewer_id,
            viewer_session_version=None if viewer_id is None else int(now),
            single_use_uuid=new_uuid() if options.single_use else None,
        )
        problems = (
            *_joined_origins(options),
            *(
                Problem(_FIELD_OF_CLAIM[broken.claim], broken.rule, broken.message)
                for broken in broken_rules(claims.payload(), now)
            ),
        )
        if problems:
            raise InvalidRequest(
                "A playback token may not be made like this: "
                + " ".join(problem.message for problem in problems),
                problems=problems,
            )
        return claims

    @property
    def ttl_seconds(self) -> int:
        """For how many seconds after signing playback may start."""
        return self.options.ttl_seconds

    def payload(self) -> dict[str, str | int | bool]:
        """The claims under IVS's names; what was not asked for is left out."""
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


def _joined_origins(options: PlaybackOptions) -> tuple[Problem, ...]:
    # In the claim a comma begins another origin, so that one item could bring in a second one
    # past whoever allowed the first.
    if not any("," in origin for origin in options.allowed_origins):
        return ()
    return (
        Problem(
            "allowed_origins",
            "origins_one_each",
            "An origin holds a comma: give each origin as an item of its own.",
        ),
    )
