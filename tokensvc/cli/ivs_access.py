"""The way of commands to IVS itself: clients and regions, with settings or without.

What manages channels, stream keys, streams and tags works for any account and region that AWS's
own environment gives access to; the settings, where there are any, add names and regions.
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
from tokensvc.bootstrap import PATIENT_TERMS
from tokensvc.cli.invocation import Invocation, pass_invocation, the_only
from tokensvc.clock import Clock
from tokensvc.errors import InvalidArn
from tokensvc.settings import Settings, config_file
from tokensvc.settings.loading import setting_variables
from tokensvc.settings.rules import is_loopback

if TYPE_CHECKING:
    from mypy_boto3_ivs import IVSClient

_Options = ParamSpec("_Options")

_ONCE = AwsTerms(read_timeout_seconds=30.0, max_attempts=1)

every_region_option = click.option(
    "--region",
    metavar="REGION",
    help="Any region of IVS; all that are configured where not given, else AWS_REGION.",
)
one_region_option = click.option(
    "--region",
    metavar="REGION",
    help="Any region of IVS; needed where neither an ARN, the settings nor AWS_REGION say it.",
)


@dataclass(frozen=True)
class IvsAccess:
    """What a command asks IVS through.

    Attributes:
        invocation: this run of the command.
    """

    invocation: Invocation

    @property
    def clock(self) -> Clock:
        """The time."""
        return self.invocation.clock

    def client(self, region: Region) -> IVSClient:
        """A client that waits out throttling and tries again what failed on the way.

        Raises:
            IvsUnavailable: when credentials or settings of AWS are missing or make no sense.
        """
        return self._patient.ivs(region)

    def client_of_one_attempt(self, region: Region) -> IVSClient:
        """A client for what must not be done twice, or is not worth waiting for.

        Raises:
            IvsUnavailable: when credentials or settings of AWS are missing or make no sense.
        """
        return self._once.ivs(region)

    @functools.cached_property
    def channel_names(self) -> Mapping[str, ChannelArn]:
        """The names of the settings' [channels]. Raises SettingsInvalid."""
        return self._settings.channels if self._settings else {}

    def regions(self, asked: str | None) -> tuple[Region, ...]:
        """The asked region; else all that are configured; else the one of AWS's environment.

        Raises:
            click.BadParameter: when none of these says one, or it is none.
        """
        if asked is not None:
            return (_region(asked),)
        if self._settings is not None:
            return self._settings.ivs.regions
        found = _region_of_aws(self.invocation.environment)
        if not found:
            raise click.BadParameter(
                "Say for which region, here or as AWS_REGION; there are no settings to say it.",
                param_hint="--region",
            )
        return (_region(found),)

    def region(self, asked: str | None) -> Region:
        """The one region to act in.

        Raises:
            click.BadParameter: when there is a choice and none was made.
        """
        return the_only(self.regions(asked))

    @functools.cached_property
    def _settings(self) -> Settings | None:
        """The settings; None where there is neither a file nor a variable of them."""
        environment = self.invocation.environment
        is_configured = config_file(self.invocation.config, environment) or setting_variables(
            environment
        )
        return self.invocation.settings if is_configured else None

    @functools.cached_property
    def _patient(self) -> AwsClients:
        return self._clients(PATIENT_TERMS)

    @functools.cached_property
    def _once(self) -> AwsClients:
        return self._clients(_ONCE)

    def _clients(self, terms: AwsTerms) -> AwsClients:
        make_session = functools.partial(_session, self.invocation.environment)
        return self.invocation.resources.enter_context(closing(AwsClients(terms, make_session)))


def pass_ivs(
    command: Callable[Concatenate[IvsAccess, _Options], None],
) -> Callable[_Options, None]:
    """Give the command an `IvsAccess` as its first argument."""

    @pass_invocation
    @functools.wraps(command)
    def with_access(
        invocation: Invocation, /, *args: _Options.args, **options: _Options.kwargs
    ) -> None:
        command(IvsAccess(invocation), *args, **options)

    return with_access


def _region_of_aws(environment: Mapping[str, str]) -> str | None:
    # Other AWS SDKs read AWS_REGION; boto3 reads AWS_DEFAULT_REGION and the profile alone.
    try:
        return environment.get("AWS_REGION") or boto3.Session().region_name
    except BotoCoreError as exc:
        raise click.UsageError(
            f"AWS's configuration names no region that can be read ({type(exc).__name__}). Check"
            " AWS_PROFILE and ~/.aws, or say --region."
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
        # Local IVS checks no signature, so that nobody need invent credentials for it.
        return boto3.Session(aws_access_key_id="local-ivs", aws_secret_access_key="unchecked")  # noqa: S106 # Opens nothing anywhere.
    return session
