"""`tokensvc keys import`."""

from __future__ import annotations

import click

from tokensvc.cli.context import Invocation, pass_invocation
from tokensvc.cli.output import say
from tokensvc.cli.params import ONE_REGION, reason_option, region_option
from tokensvc.keyring.lookup import only_pending


@click.command(name="import")
@click.argument("key_id", required=False)
@region_option(ONE_REGION)
@reason_option
@pass_invocation
def command(invocation: Invocation, key_id: str | None, region: str | None, reason: str) -> None:
    """Import the public key of KEY_ID, or of the only pending key pair, into IVS.

    Calls ImportPlaybackKeyPair.
    """
    rotator = invocation.rotator(invocation.region(region))
    pair = rotator.import_pair(key_id or only_pending(rotator.ring()).key_id, reason)
    click.echo(pair.arn)
    say(
        f"{pair.key_id} is published. `tokensvc keys reconcile` makes it active if no key pair is"
        " active yet."
    )
