"""The settings as one frozen tree of models, with the default and the help text of each setting.

This is the only list of settings. The loader, the file that `tokensvc init` writes and
`docs/settings.md` are all derived from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal, get_args, get_origin

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    StringConstraints,
    WithJsonSchema,
)

from tokensvc.access.bans.model import BanTerms
from tokensvc.access.grant import Grant
from tokensvc.access.request_limits import RequestRates
from tokensvc.arns import ChannelArn, Region
from tokensvc.ivs.cache_entry import DirectoryTerms
from tokensvc.keyring.terms import MAX_TERM_SECONDS, Terms
from tokensvc.net import Network
from tokensvc.playback.issuance import PlaybackLimits
from tokensvc.settings.arn_values import checked_region, parse_channel_arn
from tokensvc.settings.cors import CorsSettings
from tokensvc.settings.entitlement import EntitlementSettings
from tokensvc.settings.grants import GrantSettings, PositiveSeconds
from tokensvc.settings.http_values import check_root_path, parse_network
from tokensvc.settings.issuers import IssuerSettings
from tokensvc.settings.limits import LimitsSettings
from tokensvc.settings.metrics import MetricsSettings
from tokensvc.settings.notify import NotifySettings
from tokensvc.settings.section import Section, split_list
from tokensvc.settings.tracing import TracingSettings
from tokensvc.settings.viewer_country import ViewerCountrySettings
from tokensvc.settings.viewer_ids import ViewerIdSettings

_Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
_ChannelArn = Annotated[
    ChannelArn,
    BeforeValidator(parse_channel_arn),
    WithJsonSchema({"type": "string", "pattern": r"^arn:aws:ivs:[a-z0-9-]+:[0-9]+:channel/"}),
]
_Seconds = Annotated[int, Field(ge=0, le=MAX_TERM_SECONDS)]


class IvsSettings(Section):
    """AWS account and regions. Credentials and endpoints are read from the AWS configuration."""

    account_id: Annotated[str, StringConstraints(pattern=r"^[0-9]{12}$")] = Field(
        description="AWS account of the key pairs and of all channels named here: 12 digits.",
        examples=["123456789012"],
    )
    regions: Annotated[
        tuple[Annotated[Region, BeforeValidator(checked_region)], ...],
        BeforeValidator(split_list),
        Field(min_length=1),
    ] = Field(
        description="Regions of all channels named here. Each region has its own key pairs.",
        examples=[["us-west-2"]],
    )


class StateSettings(Section):
    """State that all processes share, such as key states and API keys."""

    url: str = Field(
        default="sqlite:keys/state.sqlite3",
        description="Where the state is stored: sqlite:FILE, for processes on one machine, or"
        " dynamodb:REGION/TABLE, for any number of machines. The region of the environment is not"
        " used.",
    )
    access_max_age_seconds: PositiveSeconds = Field(
        default=120,
        description="Maximum age in seconds of the API keys that a process accepts, while it can't"
        " read the state. A revoked key may be accepted for that long.",
    )


class CustodySettings(Section):
    """Where the private keys are stored and used to sign."""

    url: str = Field(
        default="file:keys",
        description="Where the keys are stored: file:FOLDER, one file per key, encrypted with the"
        " key-encryption secret; secretsmanager:PREFIX, one secret per key in AWS Secrets Manager;"
        " kms:ALIAS_PREFIX, such as kms:alias/tokensvc/: AWS KMS, which then signs each token.",
    )
    former_url: str | None = Field(
        default=None,
        description="Where keys still are that were made before url was another kind of custody.",
        examples=["file:keys"],
    )
    secrets_kms_key: str | None = Field(
        default=None,
        description="KMS key that encrypts the secrets of secretsmanager:PREFIX: alias/NAME, or an"
        " ID or ARN. By default AWS's own key for Secrets Manager.",
        examples=["alias/tokensvc-secrets"],
    )
    single_host: bool = Field(
        default=False,
        description="Set to true if every process runs on this machine: only then may the keys be"
        " in its files, file:FOLDER, while the state is in DynamoDB.",
    )
    key_encryption_secret_file: Path | None = Field(
        default=None,
        description="File outside that folder with the key-encryption secret: 32 random bytes from"
        " `openssl rand -base64 32`. It is refused while every user can access it.",
        examples=["key-encryption-secret"],
    )
    key_encryption_secret: SecretStr | None = Field(
        default=None,
        description="The key-encryption secret itself, instead of the file. Can only be set as an"
        " environment variable.",
    )
    previous_key_encryption_secret_file: Path | None = Field(
        default=None,
        description="File with the previous key-encryption secret. Needed only until `tokensvc keys"
        " rewrap` is done.",
        examples=["previous-key-encryption-secret"],
    )
    previous_key_encryption_secret: SecretStr | None = Field(
        default=None,
        description="The previous key-encryption secret itself, instead of the file. Can only be"
        " set as an environment variable.",
    )

    @property
    def urls(self) -> tuple[str, ...]:
        """Where private keys are: the custody in which new ones are made comes first."""
        return (self.url,) if self.former_url is None else (self.url, self.former_url)

    @property
    def is_in_aws(self) -> bool:
        """Whether each region has private keys of its own, because some are in AWS."""
        return not all(url.startswith("file:") for url in self.urls)

    @property
    def files_url(self) -> str | None:
        """The URL of the custody of files, if there is one."""
        return next((url for url in self.urls if url.startswith("file:")), None)


class PlaybackSettings(Section):
    """Defaults and limits of all tokens."""

    ttl_seconds: PositiveSeconds = Field(
        default=300,
        description="Token lifetime in seconds if the request does not contain one.",
    )
    max_ttl_seconds: PositiveSeconds = Field(
        default=3_600,
        description="Maximum lifetime of any token in seconds. With a viewer ID or single use, it"
        " is never more than 540.",
    )
    allow_plain_urls: bool = Field(
        default=False,
        description="Whether a request for a public channel gets its playback URL, without a token."
        " If false, the request is refused.",
    )


class RotationSettings(Section):
    """Timing of key rotation. Read docs/rotation.md before you change a value."""

    publish_delay_seconds: _Seconds = Field(
        default=60,
        description="Minimum time in seconds between the import of a key pair into IVS and its"
        " first use. It must be longer, by clock_skew_seconds, than an import takes to reach IVS's"
        " edge (believed; AWS documents no time).",
    )
    ring_max_age_seconds: PositiveSeconds = Field(
        default=3_600,
        description="Maximum age in seconds of the key states that a process signs with, while it"
        " can't read the state. A drain takes that much longer.",
    )
    clock_skew_seconds: _Seconds = Field(
        default=10,
        description="Maximum difference in seconds between any two clocks, including those of IVS."
        " A process whose clock differs more from IVS's signs nothing and deletes no key pair.",
    )
    state_refresh_seconds: PositiveSeconds = Field(
        default=5,
        description="Interval in seconds at which each process checks the state for changes.",
    )
    keep_standby: bool = Field(
        default=True,
        description="Whether the next key pair is created as soon as a switch is done.",
    )
    canary_channels: Annotated[tuple[str, ...], BeforeValidator(split_list)] = Field(
        default=(),
        description="One private channel per region, by name or ARN, live or offline. Before a new"
        " key pair becomes active, IVS's edge must accept a token for this channel.",
    )
    key_age_warning_days: Annotated[int, Field(ge=1, le=3_650)] = Field(
        default=90,
        description="Days of signing after which `tokensvc keys doctor` reports a key pair as old.",
    )
    reconcile_overdue_seconds: Annotated[int, Field(ge=0, le=31_536_000)] = Field(
        default=90_000,
        description="Seconds without a successful `tokensvc keys reconcile` after which /readyz and"
        " `tokensvc keys doctor` report it, once it was run with --watch or --rotate-after. 0 means"
        " never.",
    )


class DirectorySettings(Section):
    """Cache for IVS's answers to GetChannel."""

    fresh_seconds: PositiveSeconds = Field(
        default=300, description="Seconds for which an answer is used before IVS is called again."
    )
    usable_while_failing_seconds: _Seconds = Field(
        default=86_400,
        description="Seconds for which the last good answer is used while IVS fails.",
    )
    negative_seconds: PositiveSeconds = Field(
        default=10,
        description="Seconds for which IVS's answer that a channel does not exist is used.",
    )
    capacity: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        default=10_000, description="Maximum number of channels in the cache of each process."
    )


class ServiceSettings(Section):
    """The HTTP service."""

    host: Annotated[str, StringConstraints(min_length=1)] = Field(
        default="127.0.0.1", description="Address to listen on."
    )
    port: Annotated[int, Field(ge=1, le=65_535)] = Field(
        default=8_000, description="Port to listen on."
    )
    workers: Annotated[int, Field(ge=1, le=128)] = Field(
        default=2,
        description="Number of processes that serve requests. One per CPU core is recommended.",
    )
    threads: Annotated[int, Field(ge=1, le=64)] = Field(
        default=4,
        description="Threads in each process for the requests of one caller that must wait. There"
        " are twice as many, so that no caller has all of them.",
    )
    drain_seconds: Annotated[int, Field(ge=0, le=3_600)] = Field(
        default=0,
        description="Seconds for which a stopping service still accepts connections, while /readyz"
        " answers `draining`. Behind a load balancer, set it to the time in which the balancer sees"
        " that and stops sending requests.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info",
        description="Minimum level of the lines that are logged: debug, info, warning or error.",
    )
    log_format: Literal["json", "text"] = Field(
        default="json",
        description="Whether the lines of the log are JSON for programs, or text for people. The"
        " audit is JSON always.",
    )
    ops_page: bool = Field(
        default=False,
        description="Whether to serve the operator's page at /ops. Its data need an API key with"
        " the scope operate.",
    )
    root_path: Annotated[str, AfterValidator(check_root_path)] = Field(
        default="",
        description="Path prefix under which a reverse proxy publishes the API, such as /playback."
        " It does not matter whether the proxy removes the prefix.",
    )
    trusted_proxies: Annotated[
        tuple[Annotated[Network, BeforeValidator(parse_network)], ...],
        BeforeValidator(split_list),
    ] = Field(
        default=(),
        description="Networks of the reverse proxies whose X-Forwarded-For and X-Forwarded-Prefix"
        " are used, such as 10.0.0.0/8. Of any other client, they are ignored.",
    )

    @property
    def address(self) -> str:
        """HOST:PORT, with an IPv6 address in brackets (RFC 3986 §3.2.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


class Settings(Section):
    """All settings. All paths are absolute."""

    ivs: IvsSettings
    state: StateSettings
    custody: CustodySettings
    channels: dict[_Name, _ChannelArn] = Field(
        description="Names of channels for use in requests and grants: NAME = ARN.",
        examples=[{"demo": "arn:aws:ivs:us-west-2:123456789012:channel/abcdEFGHijkl"}],
    )
    grants: dict[_Name, GrantSettings]
    issuers: dict[_Name, IssuerSettings]
    viewer_ids: ViewerIdSettings
    viewer_country: ViewerCountrySettings
    playback: PlaybackSettings
    rotation: RotationSettings
    notify: NotifySettings
    entitlement: EntitlementSettings
    directory: DirectorySettings
    limits: LimitsSettings
    cors: CorsSettings
    service: ServiceSettings
    metrics: MetricsSettings
    tracing: TracingSettings

    @property
    def secret_files(self) -> Sequence[Path]:
        """The files that contain secrets."""
        files = (
            self.custody.key_encryption_secret_file,
            self.custody.previous_key_encryption_secret_file,
            self.notify.webhook_secret_file,
            self.viewer_ids.secret_file,
            self.viewer_country.secret_file,
        )
        return [file for file in files if file is not None]

    def rotation_terms(self) -> Terms:
        """The terms to which every ring is raised. A ring never lowers its own."""
        rotation = self.rotation
        return Terms(
            publish_delay_seconds=rotation.publish_delay_seconds,
            ring_max_age_seconds=rotation.ring_max_age_seconds,
            longest_ttl_seconds=self.playback.max_ttl_seconds,
            clock_skew_seconds=rotation.clock_skew_seconds,
        )

    def canary_channel(self, region: Region) -> ChannelArn | None:
        """The canary channel of that region, or None."""
        named = (
            self.channels.get(text) or ChannelArn.parse(text)
            for text in self.rotation.canary_channels
        )
        return next((arn for arn in named if arn.region == region), None)

    def directory_terms(self) -> DirectoryTerms:
        """How long IVS's answers to GetChannel are used."""
        return DirectoryTerms(**self.directory.model_dump())

    def request_rates(self) -> RequestRates:
        """How much one caller or viewer may request."""
        return RequestRates(**self.limits.model_dump(exclude={"new_channels_per_second"}))

    def playback_limits(self) -> PlaybackLimits:
        """The limits that apply to every grant."""
        return PlaybackLimits(**self.playback.model_dump())

    def ban_terms(self) -> BanTerms:
        """What the lines of bans depend on."""
        return BanTerms(self.rotation.clock_skew_seconds, self.state.access_max_age_seconds)

    def grants_by_name(self) -> Mapping[str, Grant]:
        """The grants, with the ARNs of channels instead of their names."""
        return {name: grant.grant(name, self.channels) for name, grant in self.grants.items()}


def section_model(name: str) -> type[Section] | None:
    """The model of that section, or of each grant. None for [channels], whose keys are names."""
    annotation: object = Settings.model_fields[name].annotation
    # The annotation of [grants] is a dictionary with the model of each grant.
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, Section):
            return candidate
    return None


def is_table_of_sections(name: str) -> bool:
    """Whether its sections have names of their own, such as [grants.NAME]."""
    annotation = Settings.model_fields[name].annotation
    return get_origin(annotation) is dict and section_model(name) is not None
