"""Access to IVS for commands: clients and regions, with or without settings.

The commands for channels, stream keys, streams and tags work for every account and region that the
AWS environment gives access to. The settings, if there are any, add channel names and regions.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Concatenate, ParamSpec
from urllib.parse import urlsplit

import boto3
import click
from botocore.exceptions import BotoCoreError

from tokensvc.arns import ChannelArn, Region, parse_region
from tokensvc.aws import AwsClients, AwsTerms
from tokensvc.cli.invocation import Invocation, only_region, pass_invocation
from tokensvc.clock import Clock
from tokensvc.errors import InvalidArn
from tokensvc.operations import COMMAND_TERMS
from tokensvc.settings import Settings, config_file
from tokensvc.settings.loading import setting_variables
from tokensvc.settings.rules import is_loopback

if TYPE_CHECKING:
    from mypy_boto3_ivs import IVSClient

_Options = ParamSpec("_Options")

_NO_RETRIES = AwsTerms(read_timeout_seconds=30.0, max_attempts=1)

every_region_option = click.option(
    "--region",
    metavar="REGION",
    help="Any region of IVS. Default: all regions of the settings; without settings, AWS_REGION.",
)
one_region_option = click.option(
    "--region",
    metavar="REGION",
    help="Any region of IVS. Default: the only region of the settings; without settings,"
    " AWS_REGION.",
)


@dataclass(frozen=True)
class IvsAccess:
    """A command's access to IVS.

    Attributes:
        invocation: this run of the command.
    """

    invocation: Invocation

    @property
    def clock(self) -> Clock:
        """The time."""
        return self.invocation.clock

    def client(self, region: Region) -> IVSClient:
        """Return a client that retries when IVS throttles or the connection fails.

        Raises:
            IvsUnavailable: when AWS credentials or configuration are missing or invalid.
        """
        return self._clients_with_retries.ivs(region)

    def client_without_retries(self, region: Region) -> IVSClient:
        """Return a client for calls that must not be repeated, or are not worth a wait.

        Raises:
            IvsUnavailable: when AWS credentials or configuration are missing or invalid.
        """
        return self._clients_without_retries.ivs(region)

    @functools.cached_property
    def channel_names(self) -> Mapping[str, ChannelArn]:
        """The channel names from [channels] in the settings. Raises SettingsInvalid."""
        return self._settings.channels if self._settings else {}

    def regions(self, requested: str | None) -> tuple[Region, ...]:
        """Return the requested region, or all regions of the settings, or AWS's default region.

        Raises:
            click.BadParameter: when there is no region, or the region is invalid.
        """
        if requested is not None:
            return (_region(requested),)
        if self._settings is not None:
            return self._settings.ivs.regions
        aws_region = _region_of_aws(self.invocation.environment)
        if not aws_region:
            raise click.BadParameter(
                "There are no settings, so a region is required. Use --region, or set AWS_REGION.",
                param_hint="--region",
            )
        return (_region(aws_region),)

    def region(self, requested: str | None) -> Region:
        """Return the single region to act in.

        Raises:
            click.BadParameter: when there are several regions and none was requested.
        """
        return only_region(self.regions(requested))

    @functools.cached_property
    def _settings(self) -> Settings | None:
        """The settings; None when there is neither a settings file nor a TOKENSVC_ variable."""
        environment = self.invocation.environment
        is_configured = config_file(self.invocation.config, environment) or setting_variables(
            environment
        )
        return self.invocation.settings if is_configured else None

    @functools.cached_property
    def _clients_with_retries(self) -> AwsClients:
        return self._clients(COMMAND_TERMS)

    @functools.cached_property
    def _clients_without_retries(self) -> AwsClients:
        return self._clients(_NO_RETRIES)

    def _clients(self, terms: AwsTerms) -> AwsClients:
        make_session = functools.partial(_session, self.invocation.environment)
        return self.invocation.resources.enter_context(closing(AwsClients(terms, make_session)))


def pass_ivs(
    command: Callable[Concatenate[IvsAccess, _Options], None],
) -> Callable[_Options, None]:
    """Pass an `IvsAccess` to the command as its first argument."""

    @pass_invocation
    @functools.wraps(command)
    def with_access(
        invocation: Invocation, /, *args: _Options.args, **options: _Options.kwargs
    ) -> None:
        command(IvsAccess(invocation), *args, **options)

    return with_access


def _region_of_aws(environment: Mapping[str, str]) -> str | None:
    # Other AWS SDKs read AWS_REGION; boto3 reads only AWS_DEFAULT_REGION and the profile.
    try:
        return environment.get("AWS_REGION") or boto3.Session().region_name
    except BotoCoreError as exc:
        raise click.UsageError(
            f"The region can't be read from the AWS configuration ({type(exc).__name__}). Check"
            " AWS_PROFILE and the files in ~/.aws, or use --region."
        ) from exc


def _region(text: str) -> Region:
    try:
        return parse_region(text)
    except InvalidArn as exc:
        raise click.BadParameter(str(exc), param_hint="--region") from exc


def _session(environment: Mapping[str, str]) -> boto3.Session:
    session = boto3.Session()
    endpoint = environment.get("AWS_ENDPOINT_URL_IVS") or environment.get("AWS_ENDPOINT_URL", "")
    host = urlsplit(endpoint).hostname
    if host and is_loopback(host) and session.get_credentials() is None:
        # Local IVS does not check signatures, so it needs no real credentials.
        return boto3.Session(aws_access_key_id="local-ivs", aws_secret_access_key="unchecked")  # noqa: S106 # Not a secret.
    return session
