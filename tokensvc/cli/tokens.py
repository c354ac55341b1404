"""`tokensvc tokens`: sign a playback token, and inspect one."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace

import click

from tokensvc.access.callers import Caller
from tokensvc.access.requests import PlaybackRequest
from tokensvc.arns import ChannelArn
from tokensvc.audit import JsonLinesAudit
from tokensvc.cli.context import Invocation, operator, pass_invocation
from tokensvc.cli.output import json_option, print_json, say
from tokensvc.cli.params import CONFIGURED_CHANNEL
from tokensvc.ivs.turns import Unlimited
from tokensvc.keyring.model import KeyState
from tokensvc.keyring.terms import MAX_TERM_SECONDS
from tokensvc.playback.inspection import Inspection, inspect
from tokensvc.service import build
from tokensvc.token.claims import Resolution
from tokensvc.token.p384 import PublicKey

_STATES_IN_IVS = (KeyState.PUBLISHED, KeyState.ACTIVE, KeyState.RETIRING)


@click.group()
def tokens() -> None:
    """Sign and inspect playback tokens."""


@tokens.command()
@click.argument("channel")
@click.option(
    "--ttl-seconds",
    type=click.IntRange(1, MAX_TERM_SECONDS),
    help="Token lifetime in seconds; the usual caps apply.",
)
@click.option("--viewer-id", help="Viewer ID to put into the token.")
@click.option(
    "--allowed-origin",
    "allowed_origins",
    multiple=True,
    help="Origin of a page that may play the channel. Repeat for several. Default: any origin.",
)
@click.option(
    "--strict-origin-enforcement",
    is_flag=True,
    help="Check the origin on every request. Default: only on the first.",
)
@click.option("--single-use", is_flag=True, help="Let the token start playback only once.")
@click.option(
    "--maximum-resolution",
    type=click.Choice([one.value for one in Resolution]),
    help="Highest rendition in the playlist. Default: all renditions.",
)
@click.option(
    "--grant",
    "grants",
    multiple=True,
    help="Sign under this grant. Repeat for several. Default: all grants, the tightest limits.",
)
@json_option
@pass_invocation
def sign(  # noqa: PLR0913 # One parameter for each option.
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
    """Print a signed playback URL for CHANNEL, a configured name or an ARN.

    The request is handled like a request to the service: the grants apply, and the audit record is
    printed on standard error. Calls GetChannel.
    """
    settings = invocation.settings
    invocation.require_grants(grants)
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
    service = build(
        settings,
        invocation.clock,
        audit,
        state=invocation.state,
        # The operator may have changed the channel a moment ago: IVS is asked in any case. The
        # workers leave one call a second to commands.
        directory_terms=replace(settings.directory_terms(), fresh_seconds=0),
        turns=Unlimited(),
    )
    with closing(service):
        service.read()
        service.answer_writer.start()
        url = service.issuer.issue(caller, request)
    if as_json:
        print_json(url.members())
    else:
        click.echo(url.playback_url)


@tokens.command(name="inspect")
@click.argument("token_or_url", default="-")
@click.option(
    "--channel",
    type=CONFIGURED_CHANNEL,
    help="Also check that it is for this channel, a name or an ARN.",
)
@json_option
@pass_invocation
def inspect_token(
    invocation: Invocation, token_or_url: str, channel: ChannelArn | None, *, as_json: bool
) -> None:
    """Show whether IVS would accept a token, or the token of a playback URL, and why not.

    Without an argument the token is read from standard input, which keeps it out of the shell's
    history. The exit status is 1 if IVS would refuse the token. Calls no operation of IVS.
    """
    if token_or_url == "-":  # noqa: S105 # Not a password: the usual name of standard input.
        token_or_url = sys.stdin.buffer.read().decode(errors="replace")
    found = inspect(
        token_or_url.strip(),
        now=invocation.clock.now(),
        public_keys=_public_keys(invocation),
        channel_arn=channel,
    )
    if as_json:
        print_json(_members(found))
    else:
        _print_inspection(found)
    if not found.accepted_by_ivs:
        raise click.exceptions.Exit(1)


def _public_keys(invocation: Invocation) -> Mapping[PublicKey, str]:
    """The public keys that the rings record as held by IVS, each with its key ID."""
    rings = [invocation.ring(region) for region in invocation.settings.ivs.regions]
    return {
        pair.public_key: pair.key_id
        for ring in rings
        if ring is not None
        for pair in ring.in_state(*_STATES_IN_IVS)
        if pair.public_key is not None
    }


def _members(found: Inspection) -> Mapping[str, object]:
    return {
        "accepted_by_ivs": found.accepted_by_ivs,
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


def _print_inspection(found: Inspection) -> None:
    verdict = "accept" if found.accepted_by_ivs else "refuse"
    click.echo(f"IVS would {verdict} this token.")
    for finding in found.findings:
        source = "" if finding.enforced_by_ivs else " (a rule of this service, not of IVS)"
        click.echo(f"  {finding.claim}: {finding.message}{source}")
    click.echo(f"Signed by: {found.signed_by or 'no known key pair'}")
    if found.seconds_left is not None:
        click.echo(f"Seconds left: {found.seconds_left}")
    for claim, value in found.payload.items():
        # As JSON, because untrusted text must not send control characters to the terminal.
        click.echo(f"  {json.dumps(claim)}: {json.dumps(value)}")
    say('These claims are verified only if a key pair is named after "Signed by".')
