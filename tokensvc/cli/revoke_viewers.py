"""`tokensvc viewers revoke`: kick or ban viewers, and end their sessions at Amazon IVS."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TextIO

import click

from tokensvc.access.bans import auditing
from tokensvc.access.bans.model import Ban, Target, line_passes_at
from tokensvc.access.revocation_requests import require_viewer_id
from tokensvc.arns import ChannelArn
from tokensvc.cli.change_audit import write_event
from tokensvc.cli.context import Invocation, operator, pass_invocation
from tokensvc.cli.output import (
    erase_line,
    json_option,
    print_json,
    progress,
    say,
)
from tokensvc.cli.params import CONFIGURED_CHANNEL, DURATION, REASON_LINE, complete_channel
from tokensvc.cli.revocation_progress import RevocationProgress
from tokensvc.cli.viewers import viewer_ids_of_user
from tokensvc.clock import rfc3339
from tokensvc.moderation import carry_out_at_once, revocation_loop, write_revocations
from tokensvc.playback.revocation.events import LoopEvent, Revoked


@click.command(name="revoke")
@click.argument(
    "channel_and_viewers",
    metavar="[CHANNEL] [VIEWER]...",
    nargs=-1,
    shell_complete=complete_channel,
)
@click.option("--all-channels", is_flag=True, help="On all channels: give no CHANNEL.")
@click.option("--ban", "ban_seconds", type=DURATION, metavar="DURATION", help="Ban for that time.")
@click.option("--issuer", help="The `iss` of the tokens of a user; with --subject.")
@click.option("--subject", help="The `sub` of the tokens of a user, instead of VIEWER.")
@click.option(
    "--from",
    "viewers_file",
    type=click.File(encoding="utf-8"),
    help="A file with a viewer ID on each line; - is standard input.",
)
@click.option("--note", default="", type=REASON_LINE, help="Why. It is stored with the ban.")
@json_option
@pass_invocation
def command(  # noqa: PLR0913 # One parameter for each option.
    invocation: Invocation,
    *,
    channel_and_viewers: tuple[str, ...],
    all_channels: bool,
    ban_seconds: int | None,
    issuer: str | None,
    subject: str | None,
    viewers_file: TextIO | None,
    note: str,
    as_json: bool,
) -> None:
    """Kick each VIEWER from CHANNEL: end the sessions of the viewer, who may begin another one.

    With --ban, the viewer gets no playback URL for that time, such as 2h.

    Each kick or ban is stored first. Then IVS is called until it has confirmed all of them: 40
    viewers of a channel a second. If the command is interrupted, run it again: it goes on with what
    is pending. So does `viewers end-due`. The exit status is 1 while something is pending.

    Calls BatchStartViewerSessionRevocation; with --all-channels ListStreams and ListChannels.
    """
    arn, viewers = _arguments(channel_and_viewers, all_channels=all_channels)
    if viewers_file is not None:
        viewers += [line.strip() for line in viewers_file if line.strip()]
    targets = [Target((require_viewer_id(viewer),), arn) for viewer in dict.fromkeys(viewers)]
    if (issuer is None) != (subject is None):
        raise click.UsageError("Use --issuer and --subject together.")
    if issuer is not None and subject is not None:
        targets.append(Target(viewer_ids_of_user(invocation, issuer, subject), arn))
    if not targets:
        raise click.UsageError(
            "Name at least one VIEWER, or use --issuer and --subject, or --from."
        )
    bans = _write(invocation, targets, ban_seconds, note)
    pending = _carry_out(invocation, bans)
    if as_json:
        print_json({"revocations": [_members(ban, pending) for ban in bans]})
    else:
        _print(bans, pending)
    if pending:
        raise click.exceptions.Exit(1)


def _arguments(given: Sequence[str], *, all_channels: bool) -> tuple[ChannelArn | None, list[str]]:
    """The channel, None for all, and the viewers."""
    if all_channels:
        return None, list(given)
    if not given:
        raise click.UsageError("Name a CHANNEL, or use --all-channels.")
    context = click.get_current_context()
    parameter = click.Argument(["channel"])
    return CONFIGURED_CHANNEL.convert(given[0], parameter, context), list(given[1:])


def _write(
    invocation: Invocation, targets: Sequence[Target], ban_seconds: int | None, note: str
) -> Sequence[Ban]:
    bans, earlier = [], []
    writing = write_revocations(
        invocation.settings,
        invocation.state,
        invocation.clock,
        targets,
        ban_seconds=ban_seconds,
        by=operator(),
        note=note,
    )
    with progress(writing, "Stored", length=len(targets)) as bar:
        for written in bar:
            bans.append(written.ban)
            if written.is_earlier:
                earlier.append(written.ban.made_at)
            else:
                write_event(auditing.made(written.ban, at=invocation.clock.now(), by=operator()))
    if earlier:
        say(
            f"{_viewers(len(earlier))} of an earlier run, since {rfc3339(min(earlier))}: still"
            " pending. To end sessions that began since, run the command once more afterwards."
        )
    return bans


def _carry_out(invocation: Invocation, bans: Sequence[Ban]) -> frozenset[str]:
    """Call IVS until it has confirmed all. Returns the IDs of those that are pending."""
    carry_out_at_once(invocation.settings, invocation.state, invocation.clock, bans)
    own = frozenset(ban.ban_id for ban in bans)
    confirmed: set[str] = set()
    with progress(range(len(own)), "Confirmed by Amazon IVS") as bar:

        def count(event: Revoked) -> None:
            new = own & {ban.ban_id for ban in event.confirmed} - confirmed
            confirmed.update(new)
            bar.update(len(new))

        def note(event: LoopEvent) -> None:
            erase_line()
            shown.note(event)

        shown = RevocationProgress(invocation.clock, count=count)
        with revocation_loop(
            invocation.settings, invocation.state, invocation.clock, note, own=own
        ) as loop:
            shown.run_until(loop, lambda: loop.has_read_bans and own.isdisjoint(loop.plan.bans))
            pending = own & loop.plan.bans.keys() if loop.has_read_bans else own
        bar.update(len(own) - len(pending) - len(confirmed))  # Those of the first attempt.
    return pending


def _members(ban: Ban, pending: frozenset[str]) -> dict[str, Any]:
    return {
        "ban_id": ban.ban_id,
        "viewer_ids": list(ban.viewer_ids),
        "channel_arn": None if ban.channel_arn is None else str(ban.channel_arn),
        "banned_until": None if ban.banned_until is None else rfc3339(ban.banned_until),
        "line_passes_at": rfc3339(line_passes_at(ban.line)),
        "pending": ban.ban_id in pending,
    }


def _print(bans: Sequence[Ban], pending: frozenset[str]) -> None:
    revoked = len(bans) - len(pending)
    if revoked:
        say(f"Amazon IVS has revoked the sessions of {_viewers(revoked)}.")
    last = max(bans, key=lambda ban: ban.banned_until or line_passes_at(ban.line))
    if last.banned_until is None:
        say(f"Kicked. A new session is possible from {rfc3339(line_passes_at(last.line))} on.")
    else:
        say(f"Banned until {rfc3339(last.banned_until)}.")
    for ban in bans:
        click.echo(ban.ban_id)
    if pending:
        say(
            f"Pending: {_viewers(len(pending))}. Run the same command again, or"
            " `tokensvc viewers end-due`."
        )


def _viewers(number: int) -> str:
    return "1 viewer" if number == 1 else f"{number} viewers"
