"""`tokensvc keys terms`."""

from __future__ import annotations

import dataclasses
from typing import Any

import click

from tokensvc.arns import Region
from tokensvc.cli.context import Invocation, pass_invocation
from tokensvc.cli.output import json_option, print_json, print_table, say
from tokensvc.cli.params import EVERY_REGION, reason_option, region_option
from tokensvc.clock import rfc3339
from tokensvc.keyring.drains import former_terms_in_force
from tokensvc.keyring.model import Ring
from tokensvc.keyring.ring_document import ring_missing
from tokensvc.keyring.terms import FormerTerms, Terms


@click.command(name="terms")
@region_option(EVERY_REGION)
@click.option("--lower", is_flag=True, help="Lower the limits of the rings to these settings.")
@reason_option
@json_option
@pass_invocation
def command(
    invocation: Invocation, region: str | None, reason: str, *, lower: bool, as_json: bool
) -> None:
    """Print the limits that every process keeps to, and until when earlier ones count.

    A limit in the settings raises the one in the ring by itself. --lower lowers those that are
    higher than in these settings, for everything that is signed from then on. Each drain still
    allows for what was signed before, until that has expired. Lower the settings of every host
    first: a host with higher ones raises the limits again.

    Calls ListPlaybackKeyPairs and GetPlaybackKeyPair with --lower, to compare the clocks.
    """
    settings = invocation.settings.rotation_terms()
    rings = [
        invocation.rotator(where).lower_terms(reason) if lower else _ring(invocation, where)
        for where in invocation.regions(region)
    ]
    now = invocation.clock.now()
    if as_json:
        print_json([_members(ring, settings, now) for ring in rings])
        return
    print_table(
        ("REGION", "LIMIT", "IN THE RING", "IN THE SETTINGS"),
        [
            (ring.region, name, str(value), str(_by_name(settings)[name]))
            for ring in rings
            for name, value in _by_name(ring.terms).items()
        ],
    )
    for ring in rings:
        for former in former_terms_in_force(ring, now):
            say(f"{ring.region}: {former.sentence}")


def _ring(invocation: Invocation, region: Region) -> Ring:
    ring = invocation.ring(region)
    if ring is None:
        raise ring_missing(region)
    return ring


def _by_name(terms: Terms) -> dict[str, int]:
    return dataclasses.asdict(terms)


def _members(ring: Ring, settings: Terms, now: float) -> dict[str, Any]:
    return {
        "region": ring.region,
        "terms": _by_name(ring.terms),
        "settings": _by_name(settings),
        "former_terms": [_former(former) for former in former_terms_in_force(ring, now)],
    }


def _former(former: FormerTerms) -> dict[str, Any]:
    until = former.until
    return {
        "terms": _by_name(former.terms),
        "lowered_by": former.lowered_by,
        "reason": former.reason,
        "until": None if until is None else rfc3339(until),
    }
