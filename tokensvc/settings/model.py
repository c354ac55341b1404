"""The settings as one frozen tree, each with its default and a help line.

This is the only list of settings there is: what is read, the file that `tokensvc init` writes and
`docs/settings.md` all come from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
)

from tokensvc.access.grants import Grant
from tokensvc.arns import ChannelArn, Region, parse_region
from tokensvc.claim_rules import ALLOWED_ORIGINS, broken_rules
from tokensvc.claims import Resolution
from tokensvc.errors import InvalidArn
from tokensvc.ivs.directory import DirectoryTerms
from tokensvc.keyring.model import Terms
from tokensvc.playback.issuance import PlaybackLimits

_WEEK_SECONDS = 7 * 86_400


def _arn(value: Any) -> ChannelArn:
    try:
        return value if isinstance(value, ChannelArn) else ChannelArn.parse(str(value))
    except InvalidArn as exc:
        raise ValueError(str(exc)) from exc


def _region(value: Any) -> Region:
    try:
        return parse_region(str(value))
    except InvalidArn as exc:
        raise ValueError(str(exc)) from exc


def _listed(value: Any) -> Any:
    """An environment variable has no lists: there, items are separated by commas."""
    if isinstance(value, str):
        return [item.strip() for item in value.split(",") if item.strip()]
    return value


def _origin(value: str) -> str:
    claim = {ALLOWED_ORIGINS: value}
    said = [rule.message for rule in broken_rules(claim, now=0) if rule.claim == ALLOWED_ORIGINS]
    if "," in value:
        said.append("An origin has no comma in it: write each as an item of its own.")
    if said:
        raise ValueError(" ".join(said))
    return value


_Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
_Origin = Annotated[str, AfterValidator(_origin)]
_Seconds = Annotated[int, Field(ge=0, le=_WEEK_SECONDS)]
_PositiveSeconds = Annotated[int, Field(ge=1, le=_WEEK_SECONDS)]


class Section(BaseModel):
    """What all sections of the settings have in common."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class IvsSettings(Section):
    """The AWS account and regions. Credentials and endpoints are found the AWS way."""

    account_id: Annotated[str, StringConstraints(pattern=r"^[0-9]{12}$")] = Field(
        description="The AWS account of the key pairs and of all channels named below: 12 digits.",
        examples=["123456789012"],
    )
    regions: Annotated[
        tuple[Annotated[Region, BeforeValidator(_region)], ...],
        BeforeValidator(_listed),
        Field(min_length=1),
    ] = Field(
        description="The regions of all channels named below; each gets key pairs of its own.",
        examples=[["us-west-2"]],
    )


class StateSettings(Section):
    """What all processes share: key states, API keys."""

    url: str = Field(
        default="sqlite:keys/state.sqlite3",
        description="Where it is kept: sqlite:FILE, for processes of one machine.",
    )


class CustodySettings(Section):
    """Where the private halves of the key pairs live and sign."""

    url: str = Field(
        default="file:keys",
        description="file:FOLDER keeps each in a file, encrypted under the key-encryption secret.",
    )
    key_encryption_secret_file: Path | None = Field(
        default=None,
        description="A file outside that folder with 32 random bytes: openssl rand -base64 32.",
        examples=["key-encryption-secret"],
    )
    key_encryption_secret: SecretStr | None = Field(
        default=None,
        description="The same as text, instead of the file; only as an environment variable.",
    )
    previous_key_encryption_secret_file: Path | None = Field(
        default=None,
        description="The secret before that one, while `keys rewrap` is under way.",
        examples=["previous-key-encryption-secret"],
    )
    previous_key_encryption_secret: SecretStr | None = Field(
        default=None,
        description="The same as text, instead of the file; only as an environment variable.",
    )


class GrantSettings(Section):
    """What a caller may ask for. API keys name grants; a channel's first matching grant counts."""

    channels: Annotated[tuple[str, ...], BeforeValidator(_listed), Field(min_length=1)] = Field(
        description="Names from [channels], ARNs, or arn:aws:ivs:REGION:ACCOUNT:channel/*.",
        examples=[["demo"]],
    )
    max_ttl_seconds: _PositiveSeconds | None = Field(
        default=None,
        description="The longest life of a token; playback.max_ttl_seconds where not set.",
        examples=[900],
    )
    allowed_origins: Annotated[tuple[_Origin, ...], BeforeValidator(_listed)] = Field(
        default=(),
        description="Web origins that may play, such as https://*.example.com; any where empty.",
    )
    maximum_resolution: Resolution | None = Field(
        default=None,
        description="The highest rendition offered: SD, HD or FULL_HD; all where not set.",
        examples=["HD"],
    )
    viewer_id: Literal["required", "optional"] = Field(
        default="optional", description="Whether each request has to name its viewer."
    )


class PlaybackSettings(Section):
    """The tokens that are signed."""

    ttl_seconds: _PositiveSeconds = Field(
        default=300, description="The life of a token where the request names none."
    )
    max_ttl_seconds: _PositiveSeconds = Field(
        default=3_600,
        description="The longest life of any token. With a viewer ID or single use it is 540.",
    )
    allow_plain_urls: bool = Field(
        default=False,
        description="Whether a public channel is answered with its URL; it is refused otherwise.",
    )


class RotationSettings(Section):
    """How key pairs take turns; see the rules of rotation before changing any."""

    publish_delay_seconds: _Seconds = Field(
        default=60,
        description="How long IVS knows a key pair before it may sign: longer, by the skew, than "
        "an import takes to reach IVS's edge (believed; AWS documents no time).",
    )
    view_max_age_seconds: _PositiveSeconds = Field(
        default=120, description="The oldest knowledge of the key states that a process signs from."
    )
    clock_skew_seconds: _Seconds = Field(
        default=10, description="The most by which any two clocks differ, those of IVS included."
    )
    state_refresh_seconds: _PositiveSeconds = Field(
        default=5, description="How often each process looks whether the shared state has changed."
    )
    keep_standby: bool = Field(
        default=True, description="Whether the next key pair is made as soon as a switch is done."
    )
    canary_channels: Annotated[tuple[str, ...], BeforeValidator(_listed)] = Field(
        default=(),
        description="A private channel for each region, by name or ARN, live or not: the edge is"
        " asked for it before a new key signs.",
    )
    key_age_warning_days: Annotated[int, Field(ge=1, le=3_650)] = Field(
        default=90, description="After how many days of signing `keys doctor` calls a key old."
    )


class DirectorySettings(Section):
    """How long answers of GetChannel serve."""

    fresh_seconds: _PositiveSeconds = Field(
        default=300, description="How long an answer serves before IVS is asked again."
    )
    usable_while_failing_seconds: _Seconds = Field(
        default=86_400, description="How long the last good answer serves while IVS fails."
    )
    negative_seconds: _PositiveSeconds = Field(
        default=10, description="How long it is remembered that there is no such channel."
    )
    capacity: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        default=10_000, description="How many channels each process remembers."
    )


class ServiceSettings(Section):
    """The HTTP service."""

    host: Annotated[str, StringConstraints(min_length=1)] = Field(
        default="127.0.0.1", description="The address to listen at."
    )
    port: Annotated[int, Field(ge=1, le=65_535)] = Field(
        default=8_000, description="The port to listen at."
    )
    workers: Annotated[int, Field(ge=1, le=128)] = Field(
        default=2, description="How many processes answer; one for each core is right."
    )
    threads: Annotated[int, Field(ge=1, le=64)] = Field(
        default=4, description="How many requests a process answers at once, waiting ones included."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least level that is logged."
    )

    @property
    def address(self) -> str:
        """Host and port in one, an IPv6 address in brackets (RFC 3986 §3.2.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


class DemoSettings(Section):
    """The player page `/demo`; off without this section. Only for loopback, IVS's end included."""

    channel: _Name = Field(
        description="The name of the private channel that plays.", examples=["demo"]
    )
    other_channel: _Name = Field(
        description="The name of another, whose token the page shows being refused.",
        examples=["other"],
    )
    grant: _Name = Field(
        description="The grant that the page asks with; it covers both channels.",
        examples=["demo"],
    )


class Settings(Section):
    """All settings. Paths in it are absolute."""

    ivs: IvsSettings
    state: StateSettings
    custody: CustodySettings
    channels: dict[_Name, Annotated[ChannelArn, BeforeValidator(_arn)]] = Field(
        description="Names of channels, for requests and grants: NAME = ARN.",
        examples=[{"demo": "arn:aws:ivs:us-west-2:123456789012:channel/abcdEFGHijkl"}],
    )
    grants: dict[_Name, GrantSettings]
    playback: PlaybackSettings
    rotation: RotationSettings
    directory: DirectorySettings
    service: ServiceSettings
    demo: DemoSettings | None = None

    def rotation_terms(self) -> Terms:
        """The marks that every ring is raised to."""
        rotation = self.rotation
        return Terms(
            publish_delay_seconds=rotation.publish_delay_seconds,
            view_max_age_seconds=rotation.view_max_age_seconds,
            longest_ttl_seconds=self.playback.max_ttl_seconds,
            clock_skew_seconds=rotation.clock_skew_seconds,
        )

    def canary_channel(self, region: Region) -> ChannelArn | None:
        """The channel at which that region's edge is asked before a new key signs, if any."""
        named = (
            self.channels.get(text) or ChannelArn.parse(text)
            for text in self.rotation.canary_channels
        )
        return next((arn for arn in named if arn.region == region), None)

    def directory_terms(self) -> DirectoryTerms:
        """How long the answers of GetChannel serve."""
        return DirectoryTerms(**self.directory.model_dump())

    def playback_limits(self) -> PlaybackLimits:
        """What no grant goes beyond."""
        return PlaybackLimits(**self.playback.model_dump())

    def grants_by_name(self) -> Mapping[str, Grant]:
        """The grants, with names of channels turned into their ARNs."""
        return {
            name: Grant(
                name=name,
                channels=tuple(str(self.channels.get(one, one)) for one in grant.channels),
                max_ttl_seconds=grant.max_ttl_seconds,
                allowed_origins=grant.allowed_origins,
                maximum_resolution=grant.maximum_resolution,
                viewer_id=grant.viewer_id,
            )
            for name, grant in self.grants.items()
        }


def section_model(name: str) -> type[Section] | None:
    """The model of that section, or of each grant; None for a table of the user's own names."""
    annotation: object = Settings.model_fields[name].annotation
    # An optional section is a union of its model and None.
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, Section):
            return candidate
    return None
