"""The sections `[grants.NAME]`: what a caller may request."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, GetPydanticSchema

from tokensvc.access.origins import mistake_in
from tokensvc.arns import ChannelPattern
from tokensvc.keyring.terms import MAX_TERM_SECONDS
from tokensvc.settings.arn_values import pattern_or_name
from tokensvc.settings.section import Section, split_list
from tokensvc.token.claims import Resolution
from tokensvc.token.rules import ALLOWED_ORIGINS, broken_rules

PositiveSeconds = Annotated[int, Field(ge=1, le=MAX_TERM_SECONDS)]


def _check_origin(value: str) -> str:
    if not value:
        raise ValueError("An origin must not be empty.")
    claim = {ALLOWED_ORIGINS: value}
    broken = [rule for rule in broken_rules(claim, now=0) if rule.claim == ALLOWED_ORIGINS]
    messages = [rule.message for rule in broken]
    if "," in value:
        messages.append("An origin contains a comma. Write each origin as a separate item.")
    if mistake := mistake_in(value):
        messages.append(mistake)
    if messages:
        raise ValueError(" ".join(messages))
    return value


_Origin = Annotated[str, AfterValidator(_check_origin)]
_PatternOrName = Annotated[
    ChannelPattern | str,
    GetPydanticSchema(lambda _, handler: handler(Annotated[str, AfterValidator(pattern_or_name)])),
]


class GrantSettings(Section):
    """What a caller may request. Of all grants for a channel, the tightest limits apply."""

    channels: Annotated[
        tuple[_PatternOrName, ...],
        BeforeValidator(split_list),
        Field(min_length=1),
    ] = Field(
        description="Channels that the grant covers: names from [channels], ARNs, or"
        " arn:aws:ivs:REGION:ACCOUNT:channel/*.",
        examples=[["demo"]],
    )
    max_ttl_seconds: PositiveSeconds | None = Field(
        default=None,
        description="Maximum token lifetime in seconds. If not set, playback.max_ttl_seconds is the"
        " limit.",
        examples=[900],
    )
    allowed_origins: Annotated[tuple[_Origin, ...], BeforeValidator(split_list)] = Field(
        default=(),
        description="Web origins that a token may allow, such as https://*.example.com. If empty,"
        " any origin is possible.",
    )
    maximum_resolution: Resolution | None = Field(
        default=None,
        description="Highest rendition that a token may allow: SD, HD or FULL_HD. If not set, there"
        " is no limit.",
        examples=["HD"],
    )
    viewer_id: Literal["required", "optional"] = Field(
        default="optional",
        description="Whether a request must contain a viewer ID: required or optional.",
    )
    entitlement: bool = Field(
        default=False,
        description="Whether the hook in [entitlement] is asked. If several grants cover a channel,"
        " it is asked if one of them says so.",
    )
