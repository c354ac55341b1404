"""`tokensvc keys rotate` and `keys reconcile`: another key signs, and all that is due is done."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import click

from tokensvc.cli.carrying_on import Regions, carry_on, pause_until_signal
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
from tokensvc.clock import rfc3339
from tokensvc.keyring.plan import PlannedStep


@click.command()
@region_option(ONE_REGION)
@reason_option
@click.option("--plan", is_flag=True, help="Show steps, times and slots, and do nothing.")
@click.option("--force", is_flag=True, help="Rotate during a drain too: it spends the standby.")
@click.option("--wait", is_flag=True, help="Stay until the old key is gone; Ctrl-C does no harm.")
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
    """Let another key pair sign, and the present one retire when its last token has ended.

    Records the wish, then goes as far as the clock allows: `tokensvc keys reconcile` goes on, or
    --wait does. --json is for --plan.

    Calls ListPlaybackKeyPairs, GetPlaybackKeyPair and, as needed, ImportPlaybackKeyPair and
    DeletePlaybackKeyPair; with a canary channel GetChannel.
    """
    if as_json and not plan:
        raise click.UsageError("--json is for --plan.")
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
            say("The rotation stays wished: `tokensvc keys reconcile` carries it on.")
        raise click.exceptions.Exit(1)


@click.command()
@region_option(EVERY_REGION)
@click.option(
    "--rotate-after",
    callback=seconds,
    metavar="DURATION",
    help="Rotate where the active key has signed for so long: 30d, 12h, 90m, 600s.",
)
@click.option("--watch", is_flag=True, help="Do so until stopped, waiting at most 60 s in between.")
@pass_invocation
def reconcile(
    invocation: Invocation, region: str | None, rotate_after: int | None, *, watch: bool
) -> None:
    """Do all that is due: make, import, switch, delete. For a scheduled job, and after a crash.

    The exit status is 0 when nothing is due, and 1 when a region failed, which does not keep the
    others waiting. With --watch errors are told and tried again; SIGTERM and Ctrl-C end it with 0.

    Calls ListPlaybackKeyPairs, GetPlaybackKeyPair and, as needed, ImportPlaybackKeyPair and
    DeletePlaybackKeyPair; with a canary channel GetChannel.
    """
    regions = Regions(
        invocation.regions(region),
        # Made once for each region; one that can't be made is tried again at the next pass.
        functools.cache(invocation.rotator),
        invocation.clock,
        rotate_after_seconds=rotate_after,
    )
    if watch:
        with pause_until_signal() as pause:
            carry_on(regions, pause, until_settled=False)
        say("Stopped. `tokensvc keys reconcile` goes on.")
    elif not _once(regions):
        raise click.exceptions.Exit(1)


def _once(regions: Regions) -> bool:
    """Whether one pass did what can be done now, in every region."""
    ended = regions.one_pass()
    if not ended.failed and ended.next_at is not None:
        say("Then run `tokensvc keys reconcile` again.")
    return not ended.failed


def _wait(regions: Regions) -> None:
    with pause_until_signal() as pause:
        settled = carry_on(regions, pause, until_settled=True)
    if not settled:
        say("Stopped waiting; nothing is lost: `tokensvc keys reconcile` goes on.")
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
    say("Nothing was done. New key pairs have made-up IDs here.")
