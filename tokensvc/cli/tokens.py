"""`tokensvc tokens`: sign one by hand, and see why IVS would take or refuse one."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from contextlib import closing

import click

from tokensvc.access.callers import Caller
from tokensvc.arns import ChannelArn
from tokensvc.audit import JsonLinesAudit
from tokensvc.bootstrap import build_service
from tokensvc.claims import Resolution
from tokensvc.cli.invocation import Invocation, operator, pass_invocation
from tokensvc.cli.output import json_option, print_json, say
from tokensvc.errors import InvalidArn
from tokensvc.keyring.model import KeyState
from tokensvc.keyring.store import RingStore
from tokensvc.p384 import PublicKey
from tokensvc.playback.inspection import Inspection, inspect
from tokensvc.playback.issuance import Circumstances, PlaybackRequest

_KNOWN_TO_IVS = (KeyState.PUBLISHED, KeyState.ACTIVE, KeyState.RETIRING)


@click.group()
def tokens() -> None:
    """Playback tokens."""


@tokens.command()
@click.argument("channel")
@click.option("--ttl-seconds", type=click.IntRange(min=1), help="Its life; capped as for anyone.")
@click.option("--viewer-id", help="Who watches.")
@click.option("--allowed-origin", "allowed_origins", multiple=True, help="Give it again for more.")
@click.option("--strict-origin-enforcement", is_flag=True)
@click.option("--single-use", is_flag=True)
@click.option("--maximum-resolution", type=click.Choice([one.value for one in Resolution]))
@click.option("--grant", "grants", multiple=True, help="By this grant; by any that fits without.")
@json_option
@pass_invocation
def sign(  # noqa: PLR0913 # One for each option.
    invocation: Invocation,
    *,
    channel: str,
    ttl_seconds: int | None,
    viewer_id: str | None,
    allowed_origins: tuple[str, ...],
    strict_origin_enforcement: bool,
    single_use: bool,
    maximum_resolution: str | None,
    grants: tuple[str, ...],
    as_json: bool,
) -> None:
    """Print a signed playback URL for CHANNEL, a name or an ARN.

    It goes the way of every request, grants and audit included; the audit's line is on standard
    error. Calls GetChannel.
    """
    settings = invocation.settings
    request = PlaybackRequest(
        channel=channel,
        ttl_seconds=ttl_seconds,
        viewer_id=viewer_id,
        allowed_origins=allowed_origins,
        strict_origin_enforcement=strict_origin_enforcement,
        single_use=single_use,
        maximum_resolution=Resolution(maximum_resolution) if maximum_resolution else None,
    )
    caller = Caller(f"operator:{operator()}", operator(), grants or tuple(settings.grants))
    audit = JsonLinesAudit(sys.stderr)
    with closing(build_service(settings, invocation.clock, audit)) as service:
        service.start()
        url = service.issuer.issue(caller, request, Circumstances())
    if as_json:
        print_json(url.members())
    else:
        click.echo(url.playback_url)


@tokens.command(name="inspect")
@click.argument("token_or_url", default="-")
@click.option("--channel", help="The channel that it is for, a name or an ARN.")
@json_option
@pass_invocation
def inspect_token(
    invocation: Invocation, token_or_url: str, channel: str | None, *, as_json: bool
) -> None:
    """Tell why IVS would take or refuse a token, or the one in a playback URL.

    Read from standard input where not given, which keeps it out of the shell's history. The exit
    status is 1 when IVS would refuse it. Calls no operation of IVS.
    """
    if token_or_url == "-":  # noqa: S105 # Not a password: the usual name of standard input.
        token_or_url = sys.stdin.buffer.read().decode(errors="replace")
    found = inspect(
        token_or_url.strip(),
        now=invocation.clock.now(),
        public_keys=_public_keys(invocation),
        channel_arn=_channel_arn(invocation, channel),
    )
    if as_json:
        print_json(_findings(found))
    else:
        _tell(found)
    if not found.ivs_takes_it:
        raise click.exceptions.Exit(1)


def _public_keys(invocation: Invocation) -> Mapping[PublicKey, str]:
    """The public halves that IVS holds, as far as is recorded, each with its key ID."""
    stored = (
        RingStore(invocation.state, region).load() for region in invocation.settings.ivs.regions
    )
    return {
        pair.public_key: pair.key_id
        for one in stored
        if one is not None
        for pair in one.ring.in_state(*_KNOWN_TO_IVS)
        if pair.public_key is not None
    }


def _channel_arn(invocation: Invocation, channel: str | None) -> ChannelArn | None:
    if channel is None or channel in invocation.settings.channels:
        return invocation.settings.channels.get(channel or "")
    try:
        return ChannelArn.parse(channel)
    except InvalidArn as exc:
        raise click.BadParameter(str(exc), param_hint="--channel") from exc


def _findings(found: Inspection) -> Mapping[str, object]:
    return {
        "ivs_takes_it": found.ivs_takes_it,
        "signed_by": found.signed_by,
        "seconds_left": found.seconds_left,
        "findings": [
            {
                "claim": finding.claim,
                "rule": finding.rule,
                "message": finding.message,
                "enforced_by_ivs": finding.enforced_by_ivs,
            }
            for finding in found.findings
        ],
        "header": found.header,
        "payload": found.payload,
    }


def _tell(found: Inspection) -> None:
    click.echo("IVS would take it." if found.ivs_takes_it else "IVS would refuse it.")
    for finding in found.findings:
        whose = "" if finding.enforced_by_ivs else " (a rule of this service, not of IVS)"
        click.echo(f"  {finding.claim}: {finding.message}{whose}")
    click.echo(f"Signed by: {found.signed_by or 'no key pair that is known here'}")
    if found.seconds_left is not None:
        click.echo(f"Seconds left: {found.seconds_left}")
    for claim, value in found.payload.items():
        # As JSON: a stranger's text must not reach the terminal with control characters in it.
        click.echo(f"  {json.dumps(claim)}: {json.dumps(value)}")
    say("What was read is not verified unless a key pair is named as its signer.")
