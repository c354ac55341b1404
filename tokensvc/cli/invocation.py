"""One run of the command line: its settings, state, AWS clients and operator."""

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
from tokensvc.clock import Clock
from tokensvc.errors import InvalidArn
from tokensvc.keyring.ring_document import RingStore
from tokensvc.keyring.rotator import Rotator
from tokensvc.operations import build_command_clients, build_rotator
from tokensvc.service import build_state
from tokensvc.settings import Settings, load_settings
from tokensvc.state.base import State

Command = TypeVar("Command", bound=Callable[..., None])

ONE_REGION = "Required if several are configured."
EVERY_REGION = "Default: all configured regions."


@dataclass(frozen=True)
class Invocation:
    """The objects that a command needs; each is created when it is first used.

    Attributes:
        config: the settings file that `--config` names, if any.
        environment: the environment variables.
        clock: the time.
        resources: closes the objects when the command ends.
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
        return self.resources.enter_context(closing(build_command_clients()))

    def rotator(self, region: Region) -> Rotator:
        """The rotator of that region's ring, acting in the operator's name."""
        return build_rotator(self.settings, region, self.clock, by=operator(), clients=self.clients)

    def regions(self, requested: str | None, *, option: str = "--region") -> tuple[Region, ...]:
        """The requested region, or all configured regions.

        A region that was removed from the settings and still has a ring may be requested too: it is
        being decommissioned.

        Raises:
            click.BadParameter: when the requested region, which `option` gave, is neither.
        """
        configured = self.settings.ivs.regions
        if requested is None:
            return configured
        if requested in configured:
            return (Region(requested),)
        with contextlib.suppress(InvalidArn):
            region = parse_region(requested)
            if RingStore(self.state, region).load() is not None:
                return (region,)
        raise click.BadParameter(
            f"{requested} is not among the configured regions: {', '.join(configured)}.",
            param_hint=option,
        )

    def require_grants(self, names: Sequence[str]) -> None:
        """Return if the settings have every one of these grants.

        Raises:
            click.BadParameter: a value of the option --grant is not a grant of the settings.
        """
        configured = self.settings.grants
        for name in names:
            if name not in configured:
                known = ", ".join(configured) or "none. Add a section [grants.NAME]"
                raise click.BadParameter(
                    f"The settings have no grant {name!r}. Configured grants: {known}.",
                    param_hint="--grant",
                )

    def region(self, requested: str | None) -> Region:
        """The requested region, or the only configured one.

        Raises:
            click.BadParameter: when several regions are configured and none was requested.
        """
        return only_region(self.regions(requested))


pass_invocation = click.make_pass_decorator(Invocation)


def region_option(default: str) -> Callable[[Command], Command]:
    """The option --region. `default` is the sentence of its help about leaving it out."""
    return click.option("--region", metavar="REGION", help=f"AWS region. {default}")


def only_region(regions: Sequence[Region]) -> Region:
    """The region of a sequence of one.

    Raises:
        click.BadParameter: when there are several.
    """
    if len(regions) > 1:
        raise click.BadParameter(
            f"Several regions are configured: {', '.join(regions)}. Name one of them.",
            param_hint="--region",
        )
    return regions[0]


def _printable_line(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    if not value.isprintable():
        raise click.BadParameter("The reason must be one line of printable characters.")
    return value


reason_option = click.option(
    "--reason",
    default="manual",
    show_default=True,
    callback=_printable_line,
    help="Reason to record in the history.",
)


def operator() -> str:
    """The operator who runs the command, as the history records it: `user@host`."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # A container's user may have no name.
        user = f"uid-{os.getuid()}"
    return f"{user}@{socket.gethostname()}"
