"""The sections `[grants.NAME]`: what a caller may request."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    GetPydanticSchema,
    PlainValidator,
    WithJsonSchema,
)

from tokensvc.access.conditions import Condition, conditions_in
from tokensvc.access.countries import country_in
from tokensvc.access.grant import Grant, ViewerIdRule
from tokensvc.access.origins import mistake_in
from tokensvc.arns import ChannelArn, ChannelPattern
from tokensvc.ivs.limits import LONGEST_WATCH_SECONDS
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


def _check_country(value: str) -> str:
    if country_in(value) is None:
        raise ValueError(
            f"{value!r} is not a country code of ISO 3166-1 alpha-2, such as DE. Write two capital"
            " letters."
        )
    return value


def claim_value(text: str) -> Any:
    """The value of a claim in a text: a whole number, true, false, or JSON; otherwise the text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _conditions(value: Any) -> tuple[Condition, ...]:
    """The conditions in a TOML table, or in the text of a variable: CLAIM=VALUE,CLAIM=VALUE."""
    if isinstance(value, str):
        items = split_list(value)
        if not all("=" in item for item in items):
            raise ValueError("Write CLAIM=VALUE, with commas between several.")
        pairs = (item.partition("=") for item in items)
        value = {name.strip(): claim_value(text.strip()) for name, _, text in pairs}
    if not isinstance(value, Mapping):
        raise ValueError('This must be a TOML table, such as { groups = "members" }.')  # noqa: TRY004 # For pydantic.
    return tuple(conditions_in(value))


_CLAIM_SCHEMA = {"type": ["string", "integer", "boolean", "object"]}
_Conditions = Annotated[
    tuple[Condition, ...],
    PlainValidator(_conditions),
    WithJsonSchema({"type": "object", "minProperties": 1, "additionalProperties": _CLAIM_SCHEMA}),
]
_Country = Annotated[
    str,
    AfterValidator(_check_country),
    WithJsonSchema({"type": "string", "pattern": "^[A-Z]{2}$"}),
]
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
    viewer_id: ViewerIdRule = Field(
        default="optional",
        description="Whether a request must contain a viewer ID: required or optional. With"
        " from-identity, the grant applies only to callers with a token of an identity provider,"
        " who always get their own.",
    )
    when: _Conditions | None = Field(
        default=None,
        description="The grant applies only to callers whose token of an identity provider has"
        " these claims: each is the value, or a list that contains it.",
        examples=[{"groups": "members"}],
    )
    strict_origin_enforcement: bool = Field(
        default=False,
        description="Whether every token has strict origin enforcement, requested or not.",
    )
    single_use: bool = Field(
        default=False,
        description="Whether every token is for single use, requested or not.",
    )
    countries: Annotated[tuple[_Country, ...], BeforeValidator(split_list)] = Field(
        default=(),
        description="Countries of viewers, ISO 3166-1 alpha-2, such as DE. If empty, every country"
        " is allowed.",
    )
    unknown_country: Literal["refuse", "allow"] = Field(
        default="refuse",
        description="What happens if the grant has countries and that of the viewer is not known:"
        " refuse or allow.",
    )
    trust_viewer_country: bool = Field(
        default=False,
        description="Whether viewer_country in the request of a backend counts.",
    )
    acts_for_viewers: bool = Field(
        default=False,
        description="Whether a caller with a token of an identity provider is a backend that"
        " requests URLs for its viewers, as one with an API key is. Otherwise it is the viewer.",
    )

    entitlement: bool = Field(
        default=False,
        description="Whether the hook in [entitlement] is asked. If several grants cover a channel,"
        " it is asked if one of them says so.",
    )

    max_watch_seconds: Annotated[int, Field(ge=1, le=LONGEST_WATCH_SECONDS)] | None = Field(
        default=None,
        description="How many seconds after its begin a session is ended, by `tokensvc viewers"
        " end-due --watch`. A request then needs a viewer ID. If not set, sessions go on.",
        examples=[30],
    )

    def grant(self, name: str, channels: Mapping[str, ChannelArn]) -> Grant:
        """The grant of that name, with the ARNs of channels instead of their names."""
        patterns = (
            ChannelPattern.of(channels[channel]) if isinstance(channel, str) else channel
            for channel in self.channels
        )
        return Grant(
            name=name,
            channels=frozenset(patterns),
            max_ttl_seconds=self.max_ttl_seconds,
            allowed_origins=self.allowed_origins,
            maximum_resolution=self.maximum_resolution,
            viewer_id=self.viewer_id,
            when=self.when or (),
            strict_origin_enforcement=self.strict_origin_enforcement,
            single_use=self.single_use,
            countries=frozenset(self.countries) if self.countries else None,
            unknown_country=self.unknown_country,
            trust_viewer_country=self.trust_viewer_country,
            acts_for_viewers=self.acts_for_viewers,
            entitlement=self.entitlement,
            max_watch_seconds=self.max_watch_seconds,
        )
