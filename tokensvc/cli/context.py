"""One run of the command line: its settings, state, AWS clients and operator."""

from __future__ import annotations

import contextlib
import functools
import getpass
import os
import socket
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import click

from tokensvc import operations
from tokensvc.arns import Region, parse_region
from tokensvc.aws import AwsClients
from tokensvc.cli.change_audit import write_change, write_notification
from tokensvc.clock import Clock
from tokensvc.errors import InvalidArn, StateMissing
from tokensvc.ivs.model import HeldKeyPair
from tokensvc.keyring.checks.doctor import Doctor
from tokensvc.keyring.custody.base import Custody
from tokensvc.keyring.model import Ring
from tokensvc.keyring.reporting.reporter import Reporter
from tokensvc.keyring.rotator import Rotator
from tokensvc.notifying import build_reporter
from tokensvc.operations import Operations
from tokensvc.settings import Settings, load_settings
from tokensvc.state.base import State


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
    def operations(self) -> Operations:
        """What changes keys, in the operator's name; each part is opened when it is first used."""
        return self.resources.enter_context(
            closing(
                operations.build(self.settings, self.clock, by=operator(), on_change=write_change)
            )
        )

    @property
    def state(self) -> State:
        """The shared state."""
        return self.operations.state

    @property
    def clients(self) -> AwsClients:
        """AWS clients, shared by all regions."""
        return self.operations.clients

    def custody(self, region: Region) -> Custody:
        """The custody of that region's private keys. Raises SettingsInvalid."""
        return self.operations.custody(region)

    def ring(self, region: Region) -> Ring | None:
        """That region's stored ring, read now; None when the region has no ring yet.

        Raises:
            StateUnavailable, StateDamaged: when the ring can't be read.
        """
        return self.operations.ring(region)

    def key_pairs_in_ivs(self, region: Region) -> Sequence[HeldKeyPair]:
        """The key pairs that IVS holds in that region.

        Raises:
            IvsUnavailable, IvsRefused: when IVS can't be called.
        """
        return self.operations.key_pairs(region).held()

    def doctor(self, regions: Sequence[Region]) -> Doctor:
        """The doctor that examines those regions."""
        return self.operations.doctor(regions)

    def rotator(self, region: Region) -> Rotator:
        """The rotator of that region's ring, acting in the operator's name."""
        return self.operations.rotator(region)

    def rotator_by_settings_of_now(self, region: Region) -> Rotator:
        """The same, by the settings and the key-encryption secret as they are now.

        A process that runs for long must see that `keys rewrap` has changed the secret. With the
        previous one it would make key pairs that no worker can use.
        """
        settings = load_settings(self.config, self.environment)
        return self.operations.with_settings(settings).rotator(region)

    def reporter(self, *, is_scheduled: bool) -> Reporter:
        """Reports the runs of this command, which is a schedule if `is_scheduled`."""
        return build_reporter(
            self.settings,
            self.state,
            self.ring,
            self.clock,
            by=operator(),
            is_scheduled=is_scheduled,
            on_state=write_notification,
        )

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
        with contextlib.suppress(InvalidArn, StateMissing):
            region = parse_region(requested)
            if self.ring(region) is not None:
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


def operator() -> str:
    """The operator who runs the command, as the history records it: `user@host`."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # A container's user may have no name.
        user = f"uid-{os.getuid()}"
    return f"{user}@{socket.gethostname()}"
