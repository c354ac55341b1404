"""`tokensvc keys generate`."""

from __future__ import annotations

import click

from tokensvc.cli.context import Invocation, pass_invocation
from tokensvc.cli.output import say
from tokensvc.cli.params import ONE_REGION, reason_option, region_option


@click.command(name="generate")
@region_option(ONE_REGION)
@reason_option
@pass_invocation
def command(invocation: Invocation, region: str | None, reason: str) -> None:
    """Create a key pair, its private key in custody. It is not imported into IVS yet.

    This command is for working step by step: `tokensvc keys reconcile` creates, imports and
    switches by itself. Calls no operation of IVS.
    """
    where = invocation.region(region)
    invocation.state.create()
    pair = invocation.rotator(where).generate(reason)
    click.echo(pair.key_id)
    say(f"Created. Next, import it: tokensvc keys import {pair.key_id} --region {where}")
