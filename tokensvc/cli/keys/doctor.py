"""`tokensvc keys doctor`."""

from __future__ import annotations

from collections.abc import Sequence

import click

from tokensvc.arns import Region
from tokensvc.cli.context import Invocation, pass_invocation
from tokensvc.cli.output import json_option, print_json, say
from tokensvc.cli.params import EVERY_REGION, region_option
from tokensvc.keyring.checks.finding import Finding, Severity


@click.command(name="doctor")
@region_option(EVERY_REGION)
@json_option
@pass_invocation
def command(invocation: Invocation, region: str | None, *, as_json: bool) -> None:
    """Compare the rings with custody and IVS, and print how to fix each finding.

    Nothing is changed. The exit status is 1 if a finding is serious.

    Calls ListPlaybackKeyPairs and GetPlaybackKeyPair.
    """
    regions = invocation.regions(region)
    findings = invocation.doctor(regions).examine()
    if as_json:
        print_json([finding.members() for finding in findings])
    else:
        _print(findings, regions)
    if any(finding.severity is Severity.SERIOUS for finding in findings):
        raise click.exceptions.Exit(1)


def _print(findings: Sequence[Finding], regions: Sequence[Region]) -> None:
    for finding in findings:
        about = " ".join(part for part in (finding.region, finding.subject) if part)
        click.echo(f"{finding.severity.upper()} {finding.code} {about}".rstrip())
        click.echo(f"  {finding.reason}".replace("\n", "\n  "))
        click.echo(f"  -> {finding.hint}".replace("\n", "\n     "))
    if not findings:
        say(f"No problems were found in {', '.join(regions)}.")
