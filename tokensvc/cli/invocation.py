"""One run of the command: the settings, AWS and the operator that its parts stand on."""

from __future__ import annotations

import contextlib
import functools
import getpass
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import click

from tokensvc.arns import Region, parse_region
from tokensvc.aws import AwsClients
from tokensvc.bootstrap import build_patient_clients, build_rotator, build_state
from tokensvc.clock import Clock
from tokensvc.errors import InvalidArn
from tokensvc.keyring.rotator import Rotator
from tokensvc.keyring.store import RingStore
from tokensvc.settings import Settings, load_settings
from tokensvc.state.base import State

Command = TypeVar("Command", bound=Callable[..., None])

ONE_REGION = "needed when more than one is configured"
EVERY_REGION = "all that are configured where not given"


@dataclass(frozen=True)
class Invocation:
    """What a command needs, made when it is first asked for.

    Attributes:
        config: the settings file that was named, if any.
        environment: the environment variables.
        clock: the time.
        resources: what is to be closed when the command ends.
    """

    config: Path | None
    environment: Mapping[str, str]
    clock: Clock
    resources: ExitStack

    @functools.cached_property
    def settings(self) -> Settings:
        """The settings. Raises SettingsInvalid."""
        return load_settings(self.config, self.environment)

    @functools.cached_property
    def state(self) -> State:
        """The shared state."""
        return self.resources.enter_context(
            closing(build_state(self.settings.state.url, self.clock))
        )

    @functools.cached_property
    def clients(self) -> AwsClients:
        """AWS clients, shared by all regions."""
        return self.resources.enter_context(closing(build_patient_clients()))

    def rotator(self, region: Region) -> Rotator:
        """What acts on that region's ring, in the name of whoever runs the command."""
        return build_rotator(self.settings, region, self.clock, by=operator(), clients=self.clients)

    def regions(self, asked: str | None, *, asked_by: str = "--region") -> tuple[Region, ...]:
        """The asked region, or all that are configured.

        One that was configured once and has a ring still may be asked for: it is being left.

        Raises:
            click.BadParameter: when the one that the option `asked_by` asked for is neither.
        """
        configured = self.settings.ivs.regions
        if asked is None:
            return configured
        if asked in configured:
            return (Region(asked),)
        with contextlib.suppress(InvalidArn):
            region = parse_region(asked)
            if RingStore(self.state, region).load() is not None:
                return (region,)
        raise click.BadParameter(
            f"{asked} is not among the configured regions: {', '.join(configured)}.",
            param_hint=asked_by,
        )

    def region(self, asked: str | None) -> Region:
        """The asked region, or the only one that is configured.

        Raises:
            click.BadParameter: when there is a choice and none was made.
        """
        return the_only(self.regions(asked))


pass_invocation = click.make_pass_decorator(Invocation)


def region_option(what_without: str) -> Callable[[Command], Command]:
    """The option --region, whose help says what happens without it."""
    return click.option("--region", metavar="REGION", help=f"The region; {what_without}.")


def the_only(regions: Sequence[Region]) -> Region:
    """The one region that there is.

    Raises:
        click.BadParameter: when there is a choice.
    """
    if len(regions) > 1:
        raise click.BadParameter(
            f"Say for which region: {', '.join(regions)}.", param_hint="--region"
        )
    return regions[0]


def _a_line(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    if not value.isprintable():
        raise click.BadParameter("The history keeps one line of printable characters.")
    return value


reason_option = click.option(
    "--reason",
    default="by hand",
    show_default=True,
    callback=_a_line,
    help="Why; kept in the history.",
)


def operator() -> str:
    """Who runs the command, as `user@host`: what the history says."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # A container's user need not have a name.
        user = f"uid-{os.getuid()}"
    return f"{user}@{socket.gethostname()}"
