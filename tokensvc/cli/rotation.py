"""`tokensvc keys rotate` and `keys reconcile`: switch keys, and do every step that is due."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import click

from tokensvc.cli.durations import seconds
from tokensvc.cli.invocation import (
    EVERY_REGION,
    ONE_REGION,
    Invocation,
    pass_invocation,
    reason_option,
    region_option,
)
from tokensvc.cli.output import json_option, print_json, print_table, say
from tokensvc.cli.reconcile_loop import Regions, interruptible_pause, run_reconcile_loop
from tokensvc.clock import rfc3339
from tokensvc.keyring.plan import PlannedStep


@click.command()
@region_option(ONE_REGION)
@reason_option
@click.option(
    "--plan", is_flag=True, help="Print the steps with times and slots, and change nothing."
)
@click.option("--force", is_flag=True, help="Rotate even during a drain. This uses the standby.")
@click.option(
    "--wait",
    is_flag=True,
    help="Wait until the old key is deleted from IVS. Ctrl-C is safe.",
)
@json_option
@pass_invocation
def rotate(
    invocation: Invocation,
    *,
    region: str | None,
    reason: str,
    plan: bool,
    force: bool,
    wait: bool,
    as_json: bool,
) -> None:
    """Switch signing to the standby key.

    The old key is removed from IVS once its last token has expired. The command records a rotation
    request and does every step that is due. `tokensvc keys reconcile` does the later steps; --wait
    waits and does them. --json requires --plan.

    Calls ListPlaybackKeyPairs, GetPlaybackKeyPair and, as needed, ImportPlaybackKeyPair and
    DeletePlaybackKeyPair; with a canary channel GetChannel.
    """
    if as_json and not plan:
        raise click.UsageError("--json requires --plan.")
    where = invocation.region(region)
    rotator = invocation.rotator(where)
    if plan:
        _print_plan(rotator.plan_rotation(force=force), invocation.clock.now(), as_json=as_json)
        return
    rotator.request_rotation(reason, force=force)
    regions = Regions([where], lambda _: rotator, invocation.clock)
    if wait:
        _wait(regions)
    elif not _once(regions):
        if rotator.ring().rotation_request is not None:
            say(
                "The rotation request stays recorded. Run `tokensvc keys reconcile` to continue it."
            )
        raise click.exceptions.Exit(1)


@click.command()
@region_option(EVERY_REGION)
@click.option(
    "--rotate-after",
    callback=seconds,
    metavar="DURATION",
    help="Rotate if the active key has signed for this long, such as 30d, 12h, 90m or 600s.",
)
@click.option("--watch", is_flag=True, help="Repeat until stopped, at least every 60 s.")
@pass_invocation
def reconcile(
    invocation: Invocation, region: str | None, rotate_after: int | None, *, watch: bool
) -> None:
    """Do every rotation step that is due: create, import, switch, delete.

    Run it as a scheduled job, and after a crash. A region that fails does not stop the others. The
    exit status is 1 if a region failed, otherwise 0. With --watch, errors are printed and retried;
    SIGTERM and Ctrl-C end the command with 0.

    Calls ListPlaybackKeyPairs, GetPlaybackKeyPair and, as needed, ImportPlaybackKeyPair and
    DeletePlaybackKeyPair; with a canary channel GetChannel.
    """
    regions = Regions(
        invocation.regions(region),
        # Created once for each region; after an error it is created again at the next pass.
        functools.cache(invocation.rotator),
        invocation.clock,
        rotate_after_seconds=rotate_after,
    )
    if watch:
        with interruptible_pause() as pause:
            run_reconcile_loop(regions, pause, stop_when_done=False)
        say("Stopped. Run `tokensvc keys reconcile` to continue.")
    elif not _once(regions):
        raise click.exceptions.Exit(1)


def _once(regions: Regions) -> bool:
    """Do one pass. Returns whether every region did every step that is due."""
    ended = regions.reconcile_once()
    if not ended.failed and ended.next_at is not None:
        say("Run `tokensvc keys reconcile` again after that time.")
    return not ended.failed


def _wait(regions: Regions) -> None:
    with interruptible_pause() as pause:
        is_done = run_reconcile_loop(regions, pause, stop_when_done=True)
    if not is_done:
        say("Stopped waiting. Run `tokensvc keys reconcile` to continue the rotation.")
        raise click.exceptions.Exit(1)


def _print_plan(planned: Sequence[PlannedStep], now: float, *, as_json: bool) -> None:
    if as_json:
        print_json(
            [
                {
                    "at": rfc3339(one.at),
                    "in_seconds": round(one.at - now),
                    "action": one.step.action.value,
                    "key_id": one.step.key_id or None,
                    "slots_taken": one.slots_taken,
                }
                for one in planned
            ]
        )
        return
    print_table(
        ("AT", "IN", "STEP", "SLOTS IN IVS"),
        [
            (
                rfc3339(one.at),
                f"{round(one.at - now)} s",
                one.step.sentence,
                f"{one.slots_taken} of 3",
            )
            for one in planned
        ],
    )
    say("This is only a plan; nothing was changed. The IDs of new key pairs are placeholders.")
