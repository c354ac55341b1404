"""`tokensvc keys reconcile`."""

from __future__ import annotations

import click

from tokensvc.cli.context import Invocation, pass_invocation
from tokensvc.cli.keys.progress import pause_with_countdown, print_event, run_one_pass
from tokensvc.cli.output import say
from tokensvc.cli.params import DURATION, EVERY_REGION, region_option
from tokensvc.keyring.reconcile_loop import ReconcileLoop


@click.command(name="reconcile")
@region_option(EVERY_REGION)
@click.option(
    "--rotate-after",
    type=DURATION,
    metavar="DURATION",
    help="Rotate if the active key has signed for this long, such as 30d, 12h, 90m or 600s.",
)
@click.option("--watch", is_flag=True, help="Repeat until stopped, at least every 60 s.")
@pass_invocation
def command(
    invocation: Invocation, region: str | None, rotate_after: int | None, *, watch: bool
) -> None:
    """Do every rotation step that is due: create, import, switch, delete.

    Run it as a scheduled job, and after a crash. A region that fails does not stop the others. The
    exit status is 1 if a region failed, otherwise 0. With --watch, errors are printed and retried;
    SIGTERM and Ctrl-C end the command with 0.

    Calls ListPlaybackKeyPairs, GetPlaybackKeyPair and, as needed, ImportPlaybackKeyPair and
    DeletePlaybackKeyPair; with a canary channel GetChannel.
    """
    regions = invocation.regions(region)
    is_scheduled = watch or rotate_after is not None
    # A scheduled job that runs while the state is away must not begin another deployment.
    if not is_scheduled:
        invocation.state.create()
    loop = ReconcileLoop(
        regions,
        invocation.rotator_by_settings_of_now,
        invocation.clock,
        print_event,
        rotate_after_seconds=rotate_after,
        report=invocation.reporter(is_scheduled=is_scheduled).report,
    )
    if watch:
        with pause_with_countdown() as pause:
            loop.run(pause, stop_when_done=False)
        say("Stopped. Run `tokensvc keys reconcile` to continue.")
    elif not run_one_pass(loop):
        raise click.exceptions.Exit(1)
