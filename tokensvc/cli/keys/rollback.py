"""`tokensvc keys rollback`."""

from __future__ import annotations

import click

from tokensvc.cli.context import Invocation, pass_invocation
from tokensvc.cli.keys.progress import print_event, run_one_pass
from tokensvc.cli.output import say
from tokensvc.cli.params import ONE_REGION, reason_option, region_option
from tokensvc.keyring.reconcile_loop import ReconcileLoop


@click.command(name="rollback")
@region_option(ONE_REGION)
@reason_option
@click.option("--force", is_flag=True, help="Switch although a worker can't sign with that key.")
@pass_invocation
def command(invocation: Invocation, *, region: str | None, reason: str, force: bool) -> None:
    """Switch signing back to the key that the last switch replaced.

    Possible until the drain of that key has ended. The key that signs now drains instead, and the
    standby stays. A rotation request that waits is cancelled. Scheduled rotation is paused until
    `tokensvc keys rotate` is run.

    Calls GetPlaybackKeyPair and ListPlaybackKeyPairs; with a canary channel GetChannel.
    """
    where = invocation.region(region)
    rotator = invocation.rotator(where)
    pair = rotator.rollback(reason, force=force)
    say(f"{where}: {pair.key_id} signs again. Scheduled rotation is paused: run")
    say("`tokensvc keys rotate` when the next key may sign.")
    loop = ReconcileLoop([where], lambda _: rotator, invocation.clock, print_event)
    if not run_one_pass(loop):
        raise click.exceptions.Exit(1)
