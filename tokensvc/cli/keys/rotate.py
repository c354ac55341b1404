"""`tokensvc keys rotate`."""

from __future__ import annotations

from collections.abc import Sequence

import click

from tokensvc.cli.context import Invocation, pass_invocation
from tokensvc.cli.keys.progress import pause_with_countdown, print_event, run_one_pass
from tokensvc.cli.output import json_option, print_json, print_table, say
from tokensvc.cli.params import ONE_REGION, reason_option, region_option
from tokensvc.clock import rfc3339
from tokensvc.keyring.drains import former_terms_in_force
from tokensvc.keyring.plan import PlannedStep
from tokensvc.keyring.reconcile_loop import ReconcileLoop


@click.command(name="rotate")
@region_option(ONE_REGION)
@reason_option
@click.option(
    "--plan", is_flag=True, help="Print the steps with times and slots, and change nothing."
)
@click.option(
    "--force",
    is_flag=True,
    help="Rotate even during a drain, or although a worker can't sign with the standby.",
)
@click.option(
    "--custody",
    metavar="URL",
    help="Make the next key in this custody, which must be custody.url of the settings, instead of"
    " using a standby in custody.former_url.",
)
@click.option(
    "--wait",
    is_flag=True,
    help="Wait until the old key is deleted from IVS. Ctrl-C is safe.",
)
@json_option
@pass_invocation
def command(  # noqa: PLR0913 # Each is an option of the command.
    invocation: Invocation,
    *,
    region: str | None,
    reason: str,
    plan: bool,
    force: bool,
    custody: str | None,
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
    _require_custody(invocation, custody)
    where, moves = invocation.region(region), custody is not None
    rotator = invocation.rotator(where)
    if plan:
        now = invocation.clock.now()
        _print_plan(rotator.plan_rotation(force=force, moves=moves), now, as_json=as_json)
        if (ring := invocation.ring(where)) is not None:
            for former in former_terms_in_force(ring, now):
                say(former.sentence)
        return
    rotator.request_rotation(reason, force=force, moves=moves)
    loop = ReconcileLoop([where], lambda _: rotator, invocation.clock, print_event)
    if wait:
        _wait(loop)
    elif not run_one_pass(loop):
        if rotator.ring().rotation_request is not None:
            say(
                "The rotation request stays recorded. Run `tokensvc keys reconcile` to continue it."
            )
        raise click.exceptions.Exit(1)


def _require_custody(invocation: Invocation, url: str | None) -> None:
    """Return if the settings make private keys there: every worker must be able to load them.

    Raises:
        click.BadParameter: when they don't.
    """
    configured = invocation.settings.custody
    if url is not None and url != configured.url:
        raise click.BadParameter(
            f"The settings make private keys in {configured.url}. On every host, set custody.url to"
            f" {url} and custody.former_url to {configured.url}, and restart the service."
            " Then run this command again.",
            param_hint="--custody",
        )


def _wait(loop: ReconcileLoop) -> None:
    with pause_with_countdown() as pause:
        is_done = loop.run(pause, stop_when_done=True)
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
