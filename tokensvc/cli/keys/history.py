"""`tokensvc keys history`: the recorded state transitions of key pairs."""

from __future__ import annotations

from collections.abc import Sequence

import click

from tokensvc.arns import Region
from tokensvc.cli.context import Invocation, pass_invocation
from tokensvc.cli.output import json_option, print_json, print_table
from tokensvc.cli.params import EVERY_REGION, region_option
from tokensvc.clock import rfc3339
from tokensvc.errors import KeyNotFound
from tokensvc.keyring.model import Transition

_COMPROMISED = "compromised"


@click.command(name="history")
@click.argument("key_id", required=False)
@region_option(EVERY_REGION)
@json_option
@pass_invocation
def command(
    invocation: Invocation, key_id: str | None, region: str | None, *, as_json: bool
) -> None:
    """Print the recorded state transitions, of KEY_ID or of all key pairs, oldest first.

    The latest 200 transitions of each region are recorded. Calls no operation of IVS.
    """
    lines = [
        (where, line)
        for where in invocation.regions(region)
        for line in _history(invocation, where)
        if key_id in (None, line.key_id)
    ]
    if key_id is not None and not lines:
        raise KeyNotFound(
            f"No transition of a key pair {key_id!r} is recorded.",
            hint="Run `tokensvc keys history` to print all recorded transitions.",
        )
    lines.sort(key=lambda found: found[1].at)
    rows = [
        {
            "at": rfc3339(line.at),
            "region": where,
            "key_id": line.key_id,
            "from_state": line.from_state and line.from_state.value,
            "to_state": to_state(line),
            "by": line.by,
            "why": line.why,
        }
        for where, line in lines
    ]
    if as_json:
        print_json(rows)
    else:
        print_table(
            ("AT", "REGION", "KEY", "FROM", "TO", "BY", "WHY"),
            [[value or "-" for value in row.values()] for row in rows],
        )


def _history(invocation: Invocation, region: Region) -> Sequence[Transition]:
    ring = invocation.ring(region)
    return ring.history if ring else ()


def to_state(line: Transition) -> str:
    """The state; `compromised`, which is not a state, for a line that only marks the key."""
    return _COMPROMISED if line.from_state is line.to_state else line.to_state.value
