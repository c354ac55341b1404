"""`tokensvc keys revoke`: revoke compromised key pairs at once, after printing the consequences."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import TextIO

import click

from tokensvc.cli.changing import confirm, yes_option
from tokensvc.cli.context import Invocation, pass_invocation
from tokensvc.cli.keys.progress import print_event
from tokensvc.cli.keys.session_progress import print_audited, print_session_event
from tokensvc.cli.output import say, say_error
from tokensvc.cli.params import EVERY_REGION, reason_option, region_option
from tokensvc.keyring import revocation
from tokensvc.keyring.revocation import Ended, Marked, NotMarked, RevocationEvent, RevocationPlan
from tokensvc.playback.revocation.audited_viewers import audited_viewers
from tokensvc.playback.revocation.by_region import has_failures, revoke_sessions_of


@click.command(name="revoke")
@click.argument("key_ids", metavar="[KEY]...", nargs=-1)
@click.option("--all", "all_keys", is_flag=True, help="Treat every key in custody as compromised.")
@region_option(EVERY_REGION)
@reason_option
@click.option(
    "--from-audit",
    "audit",
    type=click.File(encoding="utf-8", errors="replace"),
    help="Also revoke the sessions of the viewers that this audit log names for the keys.",
)
@yes_option
@pass_invocation
def command(
    invocation: Invocation,
    *,
    key_ids: tuple[str, ...],
    all_keys: bool,
    region: str | None,
    reason: str,
    audit: TextIO | None,
    yes: bool,
) -> None:
    """Emergency: revoke a compromised KEY, and switch signing to another key pair at once.

    The consequences for viewers are printed first. Then KEY is marked as compromised, which ends
    its signing. The standby takes over; if it is missing or wrong, a key that drains, else a new
    key pair. The private key is destroyed and the key pair is deleted from IVS.

    Marking a key, and switching to a key that exists, need neither IVS nor AWS credentials. If only
    a new key pair can take over, none signs until IVS has imported it. `tokensvc keys reconcile`
    retries steps that fail; KEY is not retired until IVS in its region confirms the deletion.

    Calls ListPlaybackKeyPairs, GetPlaybackKeyPair, DeletePlaybackKeyPair and, as needed,
    ImportPlaybackKeyPair; with a canary channel GetChannel; with --from-audit
    BatchStartViewerSessionRevocation.
    """
    if all_keys == bool(key_ids):
        raise click.UsageError("Name at least one key, or use --all, but not both.")
    invocation.operations.make_room()
    plan = revocation.plan_revocation(
        invocation.regions(region), invocation.ring, None if all_keys else key_ids
    )
    _print_plan(invocation, plan)
    if plan.regions:
        confirm("Revoke these key pairs?", yes=yes)
    refresh_seconds = invocation.settings.rotation.state_refresh_seconds
    on_event = partial(_print_event, state_refresh_seconds=refresh_seconds)
    result = revocation.revoke(plan, invocation.operations, reason, on_event)
    if result.has_failed_steps:
        say(
            "The keys stay marked as compromised. Fix the error above, then run"
            " `tokensvc keys reconcile` until it reports that nothing is left to do."
        )
    is_done = result.is_done and not plan.skipped
    if audit is not None and plan.regions:
        is_done = _revoke_sessions(invocation, audit, plan.key_ids) and is_done
    if not is_done:
        raise click.exceptions.Exit(1)


def _print_plan(invocation: Invocation, plan: RevocationPlan) -> None:
    for region, error in plan.skipped.items():
        say(f"{region}: skipped, because its ring can't be read.")
        say_error(error)
    refresh_seconds = invocation.settings.rotation.state_refresh_seconds
    for region, keys in plan.regions.items():
        for sentence in revocation.consequences(
            keys.ring, keys.key_ids, state_refresh_seconds=refresh_seconds
        ):
            say(f"{region}: {sentence}")
    if not plan.regions:
        say("There is no key pair to revoke.")


def _print_event(event: RevocationEvent, *, state_refresh_seconds: int) -> None:
    match event:
        case NotMarked():
            say(f"{event.region}: no key was marked as compromised. The active key still signs.")
            say_error(event.error)
        case Marked():
            say(
                f"{event.region}: marked as compromised: {', '.join(event.key_ids)}. Within"
                f" {state_refresh_seconds} s, no worker signs with a compromised key."
            )
        case Ended(successor=None):
            say(f"{event.region}: {_signs_no_more(event)} No key signs (no_signing_key).")
        case Ended():
            say(f"{event.region}: {_signs_no_more(event)} {event.successor} signs.")
        case _:
            print_event(event)


def _signs_no_more(event: Ended) -> str:
    verb = "signs" if len(event.key_ids) == 1 else "sign"
    return f"{', '.join(event.key_ids)} {verb} no more."


def _revoke_sessions(invocation: Invocation, audit: TextIO, key_ids: Collection[str]) -> bool:
    """Revoke the sessions, and print what could not be revoked. Returns whether all were."""
    named = audited_viewers(audit, key_ids)
    print_audited(named)
    all_revoked = True
    for event in revoke_sessions_of(
        named.viewers,
        invocation.clients,
        invocation.clock,
        clock_skew_seconds=invocation.settings.rotation.clock_skew_seconds,
    ):
        print_session_event(event)
        all_revoked = all_revoked and not has_failures(event)
    return all_revoked
