"""Access to IVS for commands: clients and regions, with or without settings.

The commands for channels, stream keys, streams and tags work for every account and region that the
AWS environment gives access to. The settings, if there are any, add channel names and regions.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Concatenate

import boto3
import click
from botocore.exceptions import BotoCoreError

from tokensvc.arns import ChannelArn, Region, parse_region
from tokensvc.aws import AwsClients
from tokensvc.cli.context import Invocation
from tokensvc.errors import InvalidArn
from tokensvc.operations import build_ivs_clients
from tokensvc.settings import Settings, config_file
from tokensvc.settings.loading import setting_variables

EVERY_REGION = "all regions of the settings"
ONE_REGION = "the only region of the settings"


@dataclass(frozen=True)
class IvsAccess:
    """A command's access to IVS.

    Attributes:
        invocation: this run of the command.
        requested_region: the value of `--region`, if any.
    """

    invocation: Invocation
    requested_region: str | None

    @functools.cached_property
    def clients(self) -> AwsClients:
        """AWS clients that retry when IVS throttles or the connection fails."""
        return self._clients(retry=True)

    @functools.cached_property
    def clients_without_retries(self) -> AwsClients:
        """AWS clients for calls that must not be repeated, or are not worth a wait."""
        return self._clients(retry=False)

    @functools.cached_property
    def channel_names(self) -> Mapping[str, ChannelArn]:
        """The channel names from [channels] in the settings. Raises SettingsInvalid."""
        return self._settings.channels if self._settings else {}

    @functools.cached_property
    def regions(self) -> tuple[Region, ...]:
        """The requested region, or all regions of the settings, or AWS's default region.

        Raises:
            click.BadParameter: when there is no region, or the region is invalid.
        """
        if self.requested_region is not None:
            return (_region(self.requested_region),)
        if self._settings is not None:
            return self._settings.ivs.regions
        aws_region = _region_of_aws(self.invocation.environment)
        if not aws_region:
            raise click.BadParameter(
                "There are no settings, so a region is required. Use --region, or set AWS_REGION.",
                param_hint="--region",
            )
        return (_region(aws_region),)

    @functools.cached_property
    def _settings(self) -> Settings | None:
        """The settings; None when there is neither a settings file nor a TOKENSVC_ variable."""
        environment = self.invocation.environment
        has_file = config_file(self.invocation.config, environment)
        return self.invocation.settings if has_file or setting_variables(environment) else None

    def _clients(self, *, retry: bool) -> AwsClients:
        clients = build_ivs_clients(self.invocation.environment, retry=retry)
        return self.invocation.resources.enter_context(closing(clients))


def pass_ivs(
    default: str,
) -> Callable[[Callable[Concatenate[IvsAccess, ...], None]], Callable[..., None]]:
    """Add the option `--region`, and pass an `IvsAccess` to the command as its first argument.

    `default` says which regions of the settings the command uses without the option.
    """

    def decorate(command: Callable[Concatenate[IvsAccess, ...], None]) -> Callable[..., None]:
        @click.option(
            "--region",
            metavar="REGION",
            help=f"Any region of IVS. Default: {default}; without settings, AWS_REGION.",
        )
        @click.pass_obj
        @functools.wraps(command)
        def with_ivs(
            invocation: Invocation, /, *args: object, region: str | None, **options: object
        ) -> None:
            command(IvsAccess(invocation, region), *args, **options)

        return with_ivs

    return decorate


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
