"""`tokensvc tokens inspect`."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Final

import click

from tokensvc.access.bans.log import BanLog
from tokensvc.arns import ChannelArn
from tokensvc.cli.context import Invocation, pass_invocation
from tokensvc.cli.output import json_option, print_json, say
from tokensvc.cli.params import CONFIGURED_CHANNEL
from tokensvc.ivs.channels import get_channel
from tokensvc.playback.inspected_signature import KnownKey, known_keys
from tokensvc.playback.inspected_target import refusal_in
from tokensvc.playback.inspection import BELIEVED, Check, Evidence, Inspection, inspect
from tokensvc.token.p384 import PublicKey
from tokensvc.token.rules import BrokenRule

_TITLES: Final[Mapping[str, str]] = {
    "form": "the token has three segments of base64url and JSON",
    "header": "the header is that of ES384",
    "signature": "a key pair in IVS signed it",
    "exp": "exp is in Unix seconds",
    "not_expired": "it has not expired",
    "ten_minute_rule": "with a viewer ID or for single use, it ends within ten minutes",
    "channel": "it is for a channel; with --channel, for that one",
    "channel_in_ivs": "IVS has that channel, and it is private",
    "claims": "its other claims have the documented form",
    "origin": "the page may play it",
    "viewer": "its viewer is neither banned nor revoked",
    "size": "it is short enough",
}
_SIGNS: Final = {"passed": ("ok", "green"), "failed": ("NO", "red"), "not_checked": ("--", None)}


@click.command(name="inspect")
@click.argument("token_or_url", default="-")
@click.option(
    "--channel",
    type=CONFIGURED_CHANNEL,
    help="Also check that it is for this channel, a name or an ARN.",
)
@click.option("--origin", help="Also check that a page of this origin may play it.")
@click.option(
    "--ask-ivs",
    is_flag=True,
    help="Also ask IVS for the channel and for the key pairs that it has.",
)
@json_option
@pass_invocation
def inspect_token(
    invocation: Invocation,
    token_or_url: str,
    channel: ChannelArn | None,
    origin: str | None,
    *,
    ask_ivs: bool,
    as_json: bool,
) -> None:
    """Show whether IVS would accept a token, or the token of a playback URL, and why not.

    Without an argument the token is read from standard input, which keeps it out of the shell's
    history. The exit status is 1 if IVS would refuse the token. It needs no private key.

    Calls GetChannel, ListPlaybackKeyPairs and GetPlaybackKeyPair with --ask-ivs, and no operation
    of IVS without it.
    """
    if token_or_url == "-":  # noqa: S105 # Not a password: the usual name of standard input.
        token_or_url = sys.stdin.buffer.read().decode(errors="replace")
    now = invocation.clock.now()
    evidence = Evidence(
        now=now,
        keys=_keys_in_ivs(invocation) if ask_ivs else _keys(invocation),
        channel_arn=channel,
        origin=origin,
        get_channel=partial(get_channel, invocation.clients) if ask_ivs else None,
        refusal_of_viewer=refusal_in(BanLog(invocation.state, invocation.clock).read(), now),
    )
    found = inspect(token_or_url.strip(), evidence)
    if as_json:
        print_json(found.members())
    else:
        _print(found, asked_ivs=ask_ivs)
    if not found.accepted_by_ivs:
        raise click.exceptions.Exit(1)


def _keys(invocation: Invocation) -> Mapping[PublicKey, KnownKey]:
    regions = invocation.settings.ivs.regions
    return known_keys((region, invocation.ring(region)) for region in regions)


def _keys_in_ivs(invocation: Invocation) -> Mapping[PublicKey, KnownKey]:
    """The key pairs of the rings, and whether IVS has them now."""
    held = {
        (region, pair.fingerprint)
        for region in invocation.settings.ivs.regions
        for pair in invocation.key_pairs_in_ivs(region)
    }
    return {
        public_key: replace(key, is_in_ivs=(key.region, public_key.fingerprint) in held)
        for public_key, key in _keys(invocation).items()
    }


def _print(found: Inspection, *, asked_ivs: bool) -> None:
    verdict, color = ("accept", "green") if found.accepted_by_ivs else ("refuse", "red")
    click.secho(f"IVS would {verdict} this token.", fg=color, bold=True)
    for check in found.checks:
        _print_check(check)
    click.echo(f"Signed by: {found.signed_by or 'no known key pair'}")
    if found.seconds_left is not None:
        left = found.seconds_left
        click.echo(f"Expires in: {left} s" if left > 0 else f"Expired: {-left} s ago")
    for claim, value in found.payload.items():
        # As JSON, because untrusted text must not send control characters to the terminal.
        click.echo(f"  {json.dumps(claim)}: {json.dumps(value)}")
    say('These claims are verified only if a key pair is named after "Signed by".')
    if not asked_ivs:
        say("IVS was not asked: --ask-ivs also checks the channel and the key pairs there.")


def _print_check(check: Check) -> None:
    sign, color = _SIGNS[check.verdict]
    click.echo(f"{click.style(sign, fg=color)}  {_TITLES[check.name]}")
    for finding in check.findings:
        click.echo(f"      {finding.claim}: {finding.message}{_source(finding)}")


def _source(finding: BrokenRule) -> str:
    if not finding.enforced_by_ivs:
        return " (a rule of this service, not of IVS)"
    return " (believed)" if finding.rule in BELIEVED else ""
