"""`tokensvc keys doctor`: gather evidence and print findings, without changing anything."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import TypeVar

import click

from tokensvc.arns import Region
from tokensvc.cli.invocation import EVERY_REGION, Invocation, pass_invocation, region_option
from tokensvc.cli.output import json_option, print_json, say
from tokensvc.errors import TokensvcError
from tokensvc.ivs.clock_offset import clock_offset_seconds
from tokensvc.ivs.key_pairs import IvsKeyPairs
from tokensvc.keyring.checks.examination import examine, find_orphans, unusable_private_keys
from tokensvc.keyring.checks.finding import Evidence, Finding, Severity
from tokensvc.keyring.custody.base import Custody
from tokensvc.keyring.model import Ring
from tokensvc.keyring.ring_document import RingStore
from tokensvc.keyring.rotator import Binding
from tokensvc.operations import bound_endpoint
from tokensvc.service import build_custody

_DAY_SECONDS = 86_400

_Value = TypeVar("_Value")


@click.command()
@region_option(EVERY_REGION)
@json_option
@pass_invocation
def doctor(invocation: Invocation, region: str | None, *, as_json: bool) -> None:
    """Compare the rings with custody and IVS, and print how to fix each finding.

    Nothing is changed. The exit status is 1 if a finding is serious.

    Calls ListPlaybackKeyPairs and GetPlaybackKeyPair.
    """
    custody = build_custody(invocation.settings.custody, invocation.clock)
    regions = invocation.regions(region)
    recorded_in = dict.fromkeys((*invocation.settings.ivs.regions, *regions))
    rings = {where: _ring(invocation, where) for where in recorded_in}
    custody_key_ids = _value_or_error(custody.key_ids)
    findings: list[Finding] = []
    for where in regions:
        evidence = _evidence(invocation, where, rings[where], custody, custody_key_ids)
        findings += examine(evidence)
    readable = [ring for ring in rings.values() if not isinstance(ring, TokensvcError)]
    # An unreadable ring may record any key, so no key can be called an orphan then.
    if len(readable) == len(rings) and not isinstance(custody_key_ids, TokensvcError):
        findings += find_orphans(custody_key_ids, [ring for ring in readable if ring is not None])
    if as_json:
        print_json([finding.members() for finding in findings])
    else:
        _print_findings(findings, regions)
    if any(finding.severity is Severity.SERIOUS for finding in findings):
        raise click.exceptions.Exit(1)


def _ring(invocation: Invocation, region: Region) -> Ring | TokensvcError | None:
    stored = _value_or_error(RingStore(invocation.state, region).load)
    return stored if stored is None or isinstance(stored, TokensvcError) else stored.ring


def _evidence(
    invocation: Invocation,
    region: Region,
    ring: Ring | TokensvcError | None,
    custody: Custody,
    custody_key_ids: Collection[str] | TokensvcError,
) -> Evidence:
    settings = invocation.settings
    key_pairs = IvsKeyPairs(invocation.clients, region)
    endpoint = _value_or_error(lambda: bound_endpoint(key_pairs.endpoint))
    if isinstance(endpoint, TokensvcError):
        # IVS can't be called at all. `held` reports that, so the endpoint is not compared.
        endpoint = ring.endpoint if isinstance(ring, Ring) else ""
    held = _value_or_error(key_pairs.held)
    offset = _value_or_error(
        partial(clock_offset_seconds, invocation.clients, region, invocation.clock)
    )
    unusable: Mapping[str, TokensvcError] = {}
    if isinstance(ring, Ring) and not isinstance(custody_key_ids, TokensvcError):
        unusable = unusable_private_keys(custody, ring)
    return Evidence(
        binding=Binding(region, settings.ivs.account_id, endpoint),
        ring=ring,
        held=held,
        custody_key_ids=custody_key_ids,
        unusable=unusable,
        now=invocation.clock.now(),
        clock_offset_seconds=offset,
        clock_skew_seconds=settings.rotation.clock_skew_seconds,
        key_age_warning_seconds=settings.rotation.key_age_warning_days * _DAY_SECONDS,
        keep_standby=settings.rotation.keep_standby,
        has_canary=settings.canary_channel(region) is not None,
        decommissioning=region not in settings.ivs.regions,
    )


def _value_or_error(read: Callable[[], _Value]) -> _Value | TokensvcError:
    """What `read` returns, or the error that it raises, which becomes a finding."""
    try:
        return read()
    except TokensvcError as exc:
        return exc


def _print_findings(findings: Sequence[Finding], regions: Sequence[Region]) -> None:
    for finding in findings:
        about = " ".join(part for part in (finding.region, finding.subject) if part)
        click.echo(f"{finding.severity.upper()} {finding.code} {about}".rstrip())
        click.echo(f"  {finding.reason}".replace("\n", "\n  "))
        click.echo(f"  -> {finding.hint}".replace("\n", "\n     "))
    if not findings:
        say(f"No problems were found in {', '.join(regions)}.")
