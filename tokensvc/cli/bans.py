"""`tokensvc bans`: refuse playback URLs to viewers, or to everyone on a channel."""

from __future__ import annotations

import click

from tokensvc.access.bans import auditing
from tokensvc.access.bans.listing import kind_of, members_of, newest_first, state_of
from tokensvc.access.bans.log import BanLog
from tokensvc.access.bans.model import (
    FOREVER,
    LONGEST_NOTE,
    Ban,
    Target,
    line_passes_at,
    still_refused_by,
)
from tokensvc.access.bans.writing import BanWriter
from tokensvc.access.revocation_requests import require_viewer_id
from tokensvc.arns import ChannelArn
from tokensvc.cli.change_audit import write_event
from tokensvc.cli.context import Invocation, operator, pass_invocation
from tokensvc.cli.output import json_option, print_json, print_table, say
from tokensvc.cli.params import CONFIGURED_CHANNEL, DURATION, REASON_LINE
from tokensvc.cli.viewers import viewer_ids_of_user
from tokensvc.clock import rfc3339


@click.group()
def bans() -> None:
    """Ban viewers, close channels, and see who is banned."""


@bans.command()
@click.argument("viewer", required=False)
@click.option("--issuer", help="The `iss` of the tokens of a user; with --subject.")
@click.option("--subject", help="The `sub` of the tokens of a user, instead of VIEWER.")
@click.option(
    "--channel",
    "channels",
    multiple=True,
    type=CONFIGURED_CHANNEL,
    help="The channel, a name or an ARN. Repeat for several.",
)
@click.option("--all-channels", is_flag=True, help="Ban the viewer on all channels.")
@click.option("--everyone", is_flag=True, help="Close the channel for everyone: give no VIEWER.")
@click.option(
    "--for",
    "seconds",
    type=DURATION,
    help="How long, such as 2h. By default until the ban is lifted.",
)
@click.option("--note", default="", type=REASON_LINE, help="Why. It is stored with the ban.")
@json_option
@pass_invocation
def add(  # noqa: PLR0913 # One parameter for each option.
    invocation: Invocation,
    *,
    viewer: str | None,
    issuer: str | None,
    subject: str | None,
    channels: tuple[ChannelArn, ...],
    all_channels: bool,
    everyone: bool,
    seconds: int | None,
    note: str,
    as_json: bool,
) -> None:
    """Refuse playback URLs to VIEWER, on a channel or on all, and print the ID of the ban.

    Sessions that play are ended by `tokensvc viewers end-due --watch`. To end them at once, use
    `tokensvc viewers revoke --ban`. With --everyone, the channel is closed for new playback URLs,
    and its sessions go on.

    Calls no operation of IVS.
    """
    if len(note) > LONGEST_NOTE:
        raise click.BadParameter(f"At most {LONGEST_NOTE} characters.", param_hint="--note")
    viewer_ids = _viewer_ids(invocation, viewer, issuer, subject, everyone=everyone)
    if bool(channels) == all_channels:
        raise click.UsageError("Use --channel, or --all-channels.")
    if everyone and all_channels:
        raise click.UsageError("Everyone can be banned on one channel only: use --channel.")
    made = []
    writer = _writer(invocation)
    for channel in dict.fromkeys(channels) or (None,):
        ban = writer.ban(Target(viewer_ids, channel), seconds=seconds, by=operator(), note=note)
        write_event(auditing.made(ban, at=invocation.clock.now(), by=operator()))
        made.append(ban)
    if as_json:
        print_json([members_of(ban, invocation.clock.now()) for ban in made])
        return
    click.echo("\n".join(ban.ban_id for ban in made))
    say(_how_fast(invocation))


@bans.command(name="list")
@click.option("--all", "include_ended", is_flag=True, help="Also those that refuse nothing more.")
@json_option
@pass_invocation
def list_bans(invocation: Invocation, *, include_ended: bool, as_json: bool) -> None:
    """List bans, kicks and closed channels, the newest first.

    PENDING shows what IVS has not revoked yet. A ban is kept for 25 hours after its end.
    """
    now = invocation.clock.now()
    listed = [
        ban
        for ban in newest_first(BanLog(invocation.state, invocation.clock).read().bans)
        if include_ended or not ban.is_over(now)
    ]
    if as_json:
        print_json([members_of(ban, now) for ban in listed])
        return
    print_table(
        ("BAN", "KIND", "VIEWER", "CHANNEL", "STATE", "PENDING", "MADE", "BY", "NOTE"),
        [
            (
                ban.ban_id,
                kind_of(ban),
                ban.viewer_ids[0] if ban.viewer_ids else "everyone",
                "all" if ban.channel_arn is None else str(ban.channel_arn),
                _state(ban, now),
                _pending(ban),
                rfc3339(ban.made_at),
                ban.made_by,
                ban.note,
            )
            for ban in listed
        ],
    )


@bans.command()
@click.argument("ban_ids", metavar="BAN...", nargs=-1, required=True)
@pass_invocation
def lift(invocation: Invocation, ban_ids: tuple[str, ...]) -> None:
    """Lift bans, or open closed channels, by their IDs.

    IVS has revoked what was signed up to the ban's line, and can't undo that. The viewer gets a
    playback URL again when the line has passed, which the command prints.

    Calls no operation of IVS.
    """
    writer = _writer(invocation)
    for ban_id in ban_ids:
        ban = writer.lift(ban_id, by=operator())
        now = invocation.clock.now()
        write_event(auditing.lifted(ban, at=now, by=operator()))
        click.echo(f"{ban.ban_id} {_when_it_may_play(ban, now)}")
        _warn_of_others(invocation, ban, now)
    say(_how_fast(invocation))


def _warn_of_others(invocation: Invocation, lifted: Ban, now: float) -> None:
    bans_now = BanLog(invocation.state, invocation.clock).read().bans
    others = still_refused_by(lifted, bans_now, now)
    if others:
        named = " ".join(other.ban_id for other in newest_first(others))
        say(
            f"Other bans are still in force there: lift them too with `tokensvc bans lift {named}`."
        )


def _viewer_ids(
    invocation: Invocation,
    viewer: str | None,
    issuer: str | None,
    subject: str | None,
    *,
    everyone: bool,
) -> tuple[str, ...]:
    if (issuer is None) != (subject is None):
        raise click.UsageError("Use --issuer and --subject together.")
    if [viewer is not None, subject is not None, everyone].count(True) != 1:
        raise click.UsageError("Name a VIEWER, or use --issuer and --subject, or --everyone.")
    if viewer is not None:
        return (require_viewer_id(viewer),)
    if issuer is not None and subject is not None:
        return viewer_ids_of_user(invocation, issuer, subject)
    return ()


def _writer(invocation: Invocation) -> BanWriter:
    log = BanLog(invocation.state, invocation.clock)
    return BanWriter(log, invocation.clock, invocation.settings.ban_terms(), log.read)


def _how_fast(invocation: Invocation) -> str:
    settings = invocation.settings
    return (
        f"Workers apply this within {settings.rotation.state_refresh_seconds} s. A worker that"
        f" can't read the state refuses every request after"
        f" {settings.state.access_max_age_seconds} s."
    )


def _state(ban: Ban, now: float) -> str:
    state = state_of(ban, now)
    if state != "active" or ban.banned_until is None:
        return state
    return "until lifted" if ban.banned_until >= FOREVER else f"until {rfc3339(ban.banned_until)}"


def _pending(ban: Ban) -> str:
    if not ban.unconfirmed:
        return "-"
    return f"{len(ban.channels_left)} channels" if ban.channels_left else "yes"


def _when_it_may_play(ban: Ban, now: float) -> str:
    if ban.is_of_channel:
        return "was lifted: the channel is open."
    left_seconds = line_passes_at(ban.line) - int(now)
    if left_seconds <= 0:
        return "was lifted: the viewer may play again."
    at = rfc3339(line_passes_at(ban.line))
    return f"was lifted: the viewer may play again at {at}, in {left_seconds} s."
