"""`tokensvc viewers end-due`: carry out kicks, bans and due ends at Amazon IVS."""

from __future__ import annotations

import click

from tokensvc.cli.context import Invocation, pass_invocation
from tokensvc.cli.output import say
from tokensvc.cli.revocation_progress import RevocationProgress
from tokensvc.keyring.reconcile_loop import interruptible_pause
from tokensvc.moderation import revocation_loop
from tokensvc.playback.revocation.loop import run


@click.command(name="end-due")
@click.option(
    "--watch/--once",
    default=False,
    help="Go on until stopped, or do what is due now. Default: --once.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON line for each revocation.")
@pass_invocation
def command(invocation: Invocation, *, watch: bool, as_json: bool) -> None:
    """End the sessions whose time has come, and carry out kicks and bans that are pending.

    Only this command ends playback with `watch_until`, so run it with --watch as a service of its
    own. Kicks and bans go first: those that a request or `viewers revoke` could not carry out. IVS
    allows two calls a second in a region, with 20 viewers each. Several of these processes may run:
    one calls IVS, and another one goes on about 10 s after it has died.

    With --watch, errors are printed and retried; SIGTERM and Ctrl-C end the command with 0. With
    --once, the exit status is 1 if something that is due is left.

    Calls BatchStartViewerSessionRevocation; for bans on all channels ListStreams and ListChannels.
    """
    progress = RevocationProgress(invocation.clock, as_json=as_json)
    with revocation_loop(
        invocation.settings, invocation.state, invocation.clock, progress.note
    ) as loop:
        if watch:
            with interruptible_pause() as pause:
                run(loop, pause, lambda: False)
            say("Stopped. What is pending waits for the next run.")
            return
        progress.run_until(loop, lambda: loop.is_done)
        if not loop.is_done:
            say(f"Pending kicks and bans: {len(loop.plan.bans)}. Due ends: {loop.plan.ends}.")
            raise click.exceptions.Exit(1)
