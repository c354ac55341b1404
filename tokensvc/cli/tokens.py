"""`tokensvc tokens`: sign a playback token, and inspect one."""

from __future__ import annotations

import sys
from contextlib import closing
from dataclasses import replace

import click

from tokensvc.access.callers import Caller
from tokensvc.access.requests import PlaybackRequest
from tokensvc.audit import JsonLinesAudit
from tokensvc.cli.context import Invocation, operator, pass_invocation
from tokensvc.cli.output import json_option, print_json
from tokensvc.cli.params import complete_channel, complete_grant
from tokensvc.cli.token_inspection import inspect_token
from tokensvc.ivs.turns import Unlimited
from tokensvc.keyring.terms import MAX_TERM_SECONDS
from tokensvc.service import build
from tokensvc.token.claims import Resolution


@click.group()
def tokens() -> None:
    """Sign and inspect playback tokens."""


@tokens.command()
@click.argument("channel", shell_complete=complete_channel)
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
    "--viewer-country",
    metavar="CODE",
    help="Country of the viewer, which counts if the grants trust backends to name it.",
)
@click.option(
    "--grant",
    "grants",
    multiple=True,
    shell_complete=complete_grant,
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
    viewer_country: str | None,
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
        viewer_country=viewer_country,
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


tokens.add_command(inspect_token)
