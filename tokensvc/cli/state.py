"""`tokensvc state`: the state that all processes of a deployment share."""

from __future__ import annotations

import click

from tokensvc.cli.changing import confirm, yes_option
from tokensvc.cli.context import Invocation, pass_invocation
from tokensvc.cli.output import say
from tokensvc.state.schema import CURRENT, written_schema
from tokensvc.state_upgrade import upgrade_state


@click.group()
def state() -> None:
    """Maintain the state that all processes share."""


@state.command()
@yes_option
@pass_invocation
def upgrade(invocation: Invocation, *, yes: bool) -> None:
    """Write the state in the schema of this release from now on.

    A release reads the previous schema too, and writes it until this command is run, so that
    workers and jobs can be upgraded one after another. Run it when every process has this release:
    processes of the previous one can't read the state afterwards.

    Calls no operation of IVS.
    """
    if written_schema(invocation.state) != CURRENT:
        confirm("Processes of the previous release will stop signing. Upgrade the state?", yes=yes)
    for name in upgrade_state(invocation.state):
        click.echo(name)
    say(f"The state is written in schema version {CURRENT}.")
